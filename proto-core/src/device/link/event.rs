//! Inputs and outputs of [`Link`](super::Link).

use crate::{
    Reason,
    effect::{Effect, IoEvent},
    machine::TimerKind,
    noise::handshake::initiator,
    secret::SecretText,
    wire::{Frame, Welcome},
};

/// Facts and commands for a link.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Something happened to its WebSocket.
    Io(IoEvent<()>),
    /// Send this frame, if the link is up; else it is dropped and counted, for its owner will send it again once it is.
    Send(Frame),
    /// Use this credential from now on; while the link is up it is also shown to the relay (`Rotate`).
    Renew(SecretText),
    /// Try now instead of waiting for the next attempt: a restart, a wake-up, a changed network.
    RetryNow,
    /// Close and stay closed.
    Stop,
}

/// What a link wants and what it reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// For the adapter.
    Effect(Effect<()>),
    /// The relay admitted this device; frames flow.
    Up(Welcome),
    /// Frames flow no more; the link tries again by itself, unless it was stopped or ended.
    Down(Reason),
    /// An attempt came to nothing; the link tries again by itself.
    Failed(Reason),
    /// The relay ended this device's access, under its pinned key.
    Ended(Reason),
    /// A frame for the owner: any but pings, pongs, rekeys and what the link handles itself.
    Received(Frame),
    /// The relay accepted the renewed credential of this generation.
    Rotated(u64),
}

/// What a link does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The handshake takes too long.
    Handshake(initiator::Timer),
    /// The next attempt to connect.
    NextAttempt,
    /// A ping, because nothing was sent for a while.
    Ping,
    /// New keys for what is sent.
    Rekey,
    /// The end, because nothing was received for too long.
    Silence,
    /// Earlier attempts are forgotten.
    Stable,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Handshake(timer) => timer.why(),
            Self::NextAttempt => "next attempt",
            Self::Ping => "ping",
            Self::Rekey => "rekey",
            Self::Silence => "silence of the relay",
            Self::Stable => "the link counts as stable",
        }
    }
}
