//! The contract that every machine keeps, and the loop that drives it.
//!
//! ```text
//!            handle_input(now, fact) ──►┌─────────┐──► poll_output()   until None: perform it
//!  1. facts                             │ machine │
//!            handle_timeout(now)     ──►└─────────┘──► poll_timeout()  then sleep until a fact or the deadline
//! ```
//!
//! The driver's loop, the same for every machine:
//!
//! 1. Wait for an outside fact or for the deadline, whichever comes first.
//! 2. Read the clock once; call [`Machine::handle_input`] or [`Machine::handle_timeout`].
//! 3. Drain [`Machine::poll_output`] and perform what comes, in order.
//! 4. Read [`Machine::poll_timeout`] again; go to 1.
//!
//! The laws L1 to L10 of this contract are checked for every machine by one suite in `tests/`.

pub mod aside;
pub mod backoff;
pub mod entropy;
pub mod outbox;
pub mod spares;
pub mod time;
pub(crate) mod timed;

use self::time::Instant;

/// A pure, deterministic protocol machine.
pub trait Machine {
    /// Facts from outside, answers to earlier outputs, and local commands: owned data.
    type Input;
    /// What to do (imperative) and what happened (past tense), in order.
    type Output;
    /// Why the machine ended without reaching its goal.
    type Failure: core::error::Error + Clone + PartialEq;

    /// Takes one fact. A `now` before the latest one seen is clamped to that.
    ///
    /// # Errors
    /// [`Misuse`] is the caller's mistake and changes nothing (L6). A peer that misbehaves is a transition, never an error.
    fn handle_input(&mut self, now: Instant, input: Self::Input) -> Result<(), Misuse>;

    /// Fires every deadline at or before `now`; does nothing when none is due (L3).
    fn handle_timeout(&mut self, now: Instant);

    /// Pops the next output. Works nothing out and cannot fail.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, and why. `None` once ended (L4).
    fn poll_timeout(&self) -> Option<Deadline>;

    /// Where the machine stands.
    fn status(&self) -> Status<'_, Self::Failure>;
}

/// The next moment at which a machine acts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    /// When.
    pub at: Instant,
    /// What for, in a few words: for logs and for the reader of a trace.
    pub why: &'static str,
}

impl Deadline {
    /// A deadline at `at` for the reason `why`.
    pub const fn new(at: Instant, why: &'static str) -> Self {
        Self { at, why }
    }

    /// The earlier of two deadlines, where there is one.
    pub fn earliest(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        }
    }
}

/// Where a machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status<'a, F> {
    /// Under way. With nothing queued and no deadline, `waiting_for` names the outside input that is awaited (L9).
    Running {
        /// What the machine waits for.
        waiting_for: &'static str,
    },
    /// Reached its goal. Absorbs every input.
    Finished,
    /// Ended without reaching its goal. Absorbs every input, keeps its reason.
    Failed(&'a F),
}

/// The caller broke the contract. Nothing has changed (L6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Misuse {
    /// An input that is only valid before the machine was started, or once.
    #[error("the machine was already started")]
    AlreadyStarted,
    /// An input that is only valid after the machine was started.
    #[error("the machine has not been started")]
    NotStarted,
    /// An argument is outside its documented range.
    #[error("argument out of range: {0}")]
    OutOfRange(&'static str),
    /// The machine's queue or buffer is full: drain [`Machine::poll_output`], or wait for the peer, and try again.
    #[error("full: {0}")]
    Full(&'static str),
    /// The input names something this machine does not have.
    #[error("unknown: {0}")]
    Unknown(&'static str),
}
