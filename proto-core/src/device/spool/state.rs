//! Where a spool stands.

use alloc::{boxed::Box, collections::VecDeque};

use crate::{Instant, Reason, wire::Outcome};

use super::tail::Tail;

/// The states of a spool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// Frames pass between the process and the relay as they are.
    Passing(Passing),
    /// The spool is the relay for the process, and the process for the relay.
    Spooling(Box<Spooling>),
    /// All records there are, are the relay's; the end is to be told. It is known unless the relay has to say first how many it
    /// has.
    Closing(Option<End>),
    /// The relay has all of it.
    Finished,
    /// It cannot be delivered.
    Failed(Reason),
}

/// An end, and after how many records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct End {
    pub(super) records: u64,
    pub(super) outcome: Outcome,
}

/// State while frames pass through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Passing {
    /// The first record that the process still has, once that is known.
    pub(super) source_first: Option<u64>,
    /// Everything below was passed on.
    pub(super) passed: u64,
    /// The end that was passed on.
    pub(super) end: Option<End>,
    /// What the relay is waited for.
    pub(super) awaited: Option<Awaited>,
    pub(super) way: InFlight,
}

/// Records that were passed on and are not acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct InFlight {
    /// The bytes of each, the oldest first.
    pub(super) lens: VecDeque<usize>,
    pub(super) bytes: usize,
    /// Since when they nearly fill the window of the process: it has more than the relay takes.
    pub(super) is_full_since: Option<Instant>,
}

/// What the relay owes, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Awaited {
    pub(super) since: Instant,
    /// Everything below this acknowledged; `None`: to say where to go on.
    pub(super) below: Option<u64>,
}

/// While the spool keeps records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Spooling {
    pub(super) source: Source,
    /// Not before this moment the process hands its records to the relay itself again.
    pub(super) stays_until: Instant,
    /// What is durable, the oldest first, without a gap.
    pub(super) segments: VecDeque<Segment>,
    pub(super) intake: Producer,
    pub(super) delivery: Delivery,
    pub(super) reading: Reading,
    /// Everything below is durable at the relay.
    pub(super) acknowledged: u64,
}

/// The process that makes the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Away,
    Here {
        /// The first record that it still has; 0 where it does not say.
        source_first: u64,
    },
}

impl Source {
    /// The first record that it has for certain.
    pub(super) const fn source_first(self) -> u64 {
        match self {
            Self::Away => 0,
            Self::Here { source_first } => source_first,
        }
    }
}

/// One file of a spool: the records from `first` on, without `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Segment {
    pub(super) first: u64,
    /// Known once it was written or read in this life, or another one follows.
    pub(super) next: u64,
    pub(super) bytes: u64,
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Producer {
    /// After a restart: the last segment is read, to know where it ends. A process that attaches meanwhile waits.
    Restoring {
        /// The process does not come back.
        is_closed: bool,
    },
    /// The process goes on.
    Open(Tail),
    /// The last that was kept is the end.
    Ended(Tail),
    /// There will be no more, and no end was said.
    Cut(Tail),
}

/// How far the way to the relay is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Delivery {
    /// The relay has not said where to go on.
    Waiting,
    /// Record `cursor` is the next one to hand over.
    Flowing { cursor: u64 },
}

/// What is read from the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reading {
    Idle,
    /// The segment that begins with this number.
    Busy(u64),
    /// The last one could not be read.
    Failed {
        again: Instant,
    },
}

/// What was ignored, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stats {
    /// Records that did not continue what is kept; they come again.
    pub out_of_turn: u64,
    /// Frames that say nothing to a spool.
    pub unexpected_frames: u64,
    /// Answers of the disk to no pending request.
    pub stale_answers: u64,
}

impl Stats {
    pub(super) const fn ignored(&self) -> u64 {
        self.out_of_turn.saturating_add(self.unexpected_frames).saturating_add(self.stale_answers)
    }
}
