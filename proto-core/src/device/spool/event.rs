//! Inputs and outputs of [`Spool`](super::Spool).

use crate::{
    Reason,
    effect::{Effect, IoEvent},
    machine::TimerKind,
    wire::Frame,
};

/// What a spool asks its adapter for. Each says what it is for, so an answer that comes late is not taken for another one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectId {
    /// Everything below this number durable.
    Keep(u64),
    /// The segment that begins with this number.
    Read(u64),
    /// The segment that begins with this number removed.
    Remove(u64),
}

/// Facts and commands for a spool.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The process that makes the records says this.
    Source {
        /// What.
        frame: Frame,
        /// So many bytes more may lie in the spools of this machine.
        free: u64,
    },
    /// That process is gone, for now or for good.
    Left,
    /// It does not come back: what there is of its records is all there will be.
    Close,
    /// The relay says this about the session.
    Relay(Frame),
    /// What came of an effect.
    Io(IoEvent<EffectId>),
}

/// Outputs of a spool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Hand this to the process that makes the records, if it is there.
    ToSource(Frame),
    /// Hand this to the relay in place of the process, after [`TakesOver`](Self::TakesOver).
    ToRelay(Frame),
    /// From now on the spool hands records to the relay, and the process does not.
    TakesOver,
    /// The process hands its records to the relay itself again.
    HandsBack,
    /// For the adapter.
    Effect(Effect<EffectId>),
    /// The disk does not take what is to be kept, or gives it back, and is asked again; or something of this session is lost.
    Trouble(Reason),
}

/// What a spool does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The relay took too long: records are kept.
    Patience,
    /// The process has had more than the relay takes for too long: records are kept.
    Behind,
    /// What was gathered is written.
    Write,
    /// What could not be read is read again.
    Read,
    /// Records pass again.
    Pass,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Patience => "keep what the relay does not take",
            Self::Behind => "keep what is more than the relay takes",
            Self::Write => "write what was gathered",
            Self::Read => "read again what could not be read",
            Self::Pass => "let records pass again",
        }
    }
}
