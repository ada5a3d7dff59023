//! Inputs and outputs of [`Responder`](super::Responder).

use bytes::Bytes;

use crate::{
    Reason,
    key::StaticKey,
    machine::TimerKind,
    secret::Secret,
    wire::{Hello, Preamble, Refused, Role, Welcome},
};

/// Which initiators a responder accepts, and how their transport messages are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Acceptor {
    /// A relay's: daemons and viewers, transport messages in segments (WIRE section 5).
    Devices,
    /// A daemon's: viewers through the relay, transport messages bare (WIRE section 8).
    Peers,
}

impl Acceptor {
    /// Whether this responder accepts that role.
    pub const fn is_for(self, role: Role) -> bool {
        matches!((self, role), (Self::Devices, Role::Daemon | Role::Viewer) | (Self::Peers, Role::Peer))
    }
}

/// A fact about the connection, or the answer to [`Output::Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// A message arrived.
    Received(Bytes),
    /// The caller decided.
    Verdict(Verdict),
    /// The connection is gone, with the reason that its close frame gave, if any.
    Closed(Option<Reason>),
}

/// Whether the initiator is let in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is. Whether `psk` fits the pattern is checked once more: a mismatch is refused with `noise_psk_invalid`.
    Admit {
        /// The PSK of the initiator's static key, under IKpsk2.
        psk: Option<Secret>,
        /// What it is told.
        welcome: Welcome,
    },
    /// It is not.
    Refuse(Refused),
}

/// What to do, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output<N> {
    /// Decide about this initiator; answered by [`Input::Verdict`]. Asked once. Until the confirmation it may be a replay.
    Hello {
        /// Suite and role.
        preamble: Preamble,
        /// The sender of message 1 holds the private half.
        static_key: StaticKey,
        /// What it said.
        hello: Hello,
    },
    /// Send this message.
    Send(Bytes),
    /// The initiator is there: its first transport message opened.
    Confirmed {
        /// The session.
        noise: N,
        /// What that message said: for [`Acceptor::Devices`] see [`Channel::confirmed`](crate::noise::channel::Channel::confirmed).
        plaintext: Bytes,
    },
    /// There will be no session: after what was sent, close the connection with this reason.
    Failed(Reason),
}

/// What a responder waits for no longer than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The first transport message.
    Confirmation,
    /// Message 1.
    FirstMessage,
    /// [`Input::Verdict`].
    Verdict,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Confirmation => "handshake: confirmation",
            Self::FirstMessage => "handshake: message 1",
            Self::Verdict => "handshake: verdict",
        }
    }
}
