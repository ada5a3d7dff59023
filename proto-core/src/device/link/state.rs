//! Where a link stands.

use super::up::Up;
use crate::{Instant, Reason, noise::handshake::Initiator};

/// The states of a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State<N> {
    /// Waits for the moment of the next attempt.
    Waiting { until: Instant },
    /// The WebSocket is being opened.
    Connecting,
    /// Noise messages 1 and 2.
    Handshaking(Initiator<N>),
    /// Frames flow.
    Up(Up<N>),
    /// The close frame is on its way; what comes next is decided.
    Closing(AfterClose),
    /// It was told to stop.
    Stopped,
    /// The relay ended this device's access, under its pinned key.
    Ended(Reason),
}

/// What follows a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum AfterClose {
    Retry(Reason),
    Stop,
    End(Reason),
}

impl AfterClose {
    pub(super) const fn reason(self) -> Option<Reason> {
        match self {
            Self::Retry(reason) | Self::End(reason) => Some(reason),
            Self::Stop => None,
        }
    }
}
