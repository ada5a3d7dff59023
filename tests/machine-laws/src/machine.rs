//! The contract, as far as the laws need it.

use std::{fmt::Debug, time::Duration};

/// A moment that does not come: deadlines there are never due.
pub const NEVER: Duration = Duration::from_nanos(u64::MAX);

/// A deterministic state machine that does no I/O. Moments are durations since an arbitrary start, [`NEVER`] at most.
pub trait Machine: Debug {
    /// What it takes.
    type Input;
    /// What it wants done, and what it tells.
    type Output: Clone + Debug + PartialEq;
    /// What a deadline is for.
    type Timer: Clone + Debug + PartialEq;

    /// Takes one input. A `now` before the latest one seen counts as that.
    ///
    /// # Errors
    /// [`Refused`] is a mistake of the caller's and changes nothing (L6).
    fn handle_input(&mut self, now: Duration, input: Self::Input) -> Result<(), Refused>;

    /// Fires every deadline at or before `now`; does nothing when none is due (L3).
    fn handle_timeout(&mut self, now: Duration);

    /// Takes a new reading of both clocks: the computer slept, or its wall clock was set. A reading from which the wall clock went on to
    /// the latest one as it should changes nothing. A machine without a wall clock ignores it.
    fn handle_clock(&mut self, _now: Duration, _reading: Reading) {}

    /// Takes the next output.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, and what for. `None` once ended (L4).
    fn poll_timeout(&self) -> Option<(Duration, Self::Timer)>;

    /// Where the machine stands.
    fn status(&self) -> Status;

    /// How many inputs had no effect so far. Never falls.
    fn ignored(&self) -> u64;
}

/// Where a machine stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It goes on. Empty only where there is a deadline (L9).
    Waiting(String),
    /// It reached its goal.
    Finished,
    /// It ended without.
    Failed(String),
}

impl Status {
    /// The same as one line, for [`check`](crate::check): "waiting for …", "finished", "failed: …".
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Waiting(what) => format!("waiting for {what}"),
            Self::Finished => "finished".into(),
            Self::Failed(why) => format!("failed: {why}"),
        }
    }
}

/// Why an input was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many outputs wait to be taken.
    Full,
    /// This input must not come, or not now.
    Misuse(String),
}

/// Both clocks, read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The clock that never goes back, as in the calls.
    pub at: Duration,
    /// The wall clock, in seconds since 1970.
    pub unix: u64,
}

impl Reading {
    /// What the clocks show this much later if neither is set.
    pub(crate) fn later(self, seconds: u64) -> Self {
        let later = self.unix.checked_add(seconds).map(|unix| Self { at: after(self.at, Duration::from_secs(seconds)), unix });
        later.unwrap_or(self)
    }
}

pub(crate) fn after(moment: Duration, by: Duration) -> Duration {
    moment.saturating_add(by).min(NEVER)
}
