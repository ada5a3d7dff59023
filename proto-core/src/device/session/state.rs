//! Where a session stands.

use crate::{Reason, wire::Outcome};

/// The states of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// Records are made, or wait to become durable.
    Live { path: Path, stream: Stream },
    /// Every record and the end are durable.
    Finished,
    /// Streaming was cut. What the terminal shows goes on without us.
    Failed(Reason),
}

/// How far the way to the relay is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Path {
    /// No daemon.
    Detached,
    /// The daemon was told; the relay has not said yet where to go on.
    Opening,
    /// Records flow; `cursor` is the next one to send.
    Flowing { cursor: u64, end_sent: bool },
}

/// Whether more content may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stream {
    Open,
    Ended(Outcome),
}

/// What was ignored, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stats {
    /// Content pushed after the end or after a cut.
    pub pushed_after_end: u64,
    /// Frames that are not for a session, for another one, or came after its end.
    pub unexpected_frames: u64,
    /// Acknowledgements from before a reconnect.
    pub stale_acknowledgements: u64,
}

impl Stats {
    pub(super) const fn ignored(&self) -> u64 {
        self.pushed_after_end.saturating_add(self.unexpected_frames).saturating_add(self.stale_acknowledgements)
    }
}
