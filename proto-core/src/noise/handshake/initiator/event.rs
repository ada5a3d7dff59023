//! Inputs and outputs of [`Initiator`](super::Initiator).

use bytes::Bytes;

use crate::{
    Reason,
    machine::TimerKind,
    wire::{Refused, Welcome},
};

/// A fact about the connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// A message arrived.
    Received(Bytes),
    /// The connection is gone, with the reason that its close frame gave, if any. That reason is not authenticated.
    Closed(Option<Reason>),
}

/// What to do, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output<N> {
    /// Send this message.
    Send(Bytes),
    /// The handshake is through, and the responder lets this side in.
    Established {
        /// The session, ready for transport messages.
        noise: N,
        /// What the responder says.
        welcome: Welcome,
    },
    /// There will be no session: close the connection with the failure's reason.
    Failed(Failure),
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Failure {
    /// The responder said no, under its own key. Only this may end a binding (D12).
    #[error("refused: {}", .0.reason)]
    Refused(Refused),
    /// It did not come about; the reason is not authenticated.
    #[error("{0}")]
    Broken(Reason),
}

impl Failure {
    /// The reason of the catalogue.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Refused(refused) => refused.reason,
            Self::Broken(reason) => *reason,
        }
    }
}

/// What an initiator waits for no longer than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Message 2.
    Answer,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Answer => "handshake: message 2",
        }
    }
}
