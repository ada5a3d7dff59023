//! The contract that every machine keeps, and the loop that drives it.
//!
//! ```text
//!  handle_clock(now, wall)  ──►┌─────────┐──► poll_output()   until None: perform it
//!  handle_timeout(now)      ──►│ machine │
//!  handle_input(now, fact)  ──►└─────────┘──► poll_timeout()  then sleep until a fact or the deadline
//! ```
//!
//! The driver's loop, the same for every machine:
//!
//! 1. Wait for outside facts or for the deadline, whichever comes first.
//! 2. Read both clocks, once.
//! 3. Where the wall clock is not where it should be: [`Machine::handle_clock`]. The computer slept, or the clock was set.
//! 4. Where the deadline has come: [`Machine::handle_timeout`]. What was due comes before what arrived.
//! 5. For each fact, in order: [`Machine::handle_input`].
//! 6. Read [`Machine::poll_timeout`] again; go to 1.
//!
//! **Every change is followed by a complete drain**: after each call of 3, 4 and 5 the driver takes [`Machine::poll_output`] until
//! there is nothing more, and performs what comes, in order. A machine that has just been made is drained as well.
//!
//! The loop to copy, on threads; the adapters of this workspace have it with futures, as `io_engine::drive`.
//!
//! ```
//! use std::{
//!     sync::mpsc::{self, Receiver, RecvTimeoutError},
//!     time::{SystemTime, UNIX_EPOCH},
//! };
//!
//! use proto_core::{Instant, Machine, Status, UnixTime, WallClock};
//!
//! /// Both clocks, read at once.
//! fn read(zero: std::time::Instant) -> WallClock {
//!     let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
//!     WallClock::new(Instant::ZERO.after(zero.elapsed()), UnixTime(unix))
//! }
//!
//! /// Runs a machine that was made with the reading `told` until it has ended.
//! fn drive<M: Machine>(
//!     machine: &mut M,
//!     zero: std::time::Instant,
//!     mut told: WallClock,
//!     facts: &Receiver<M::Input>,
//!     mut perform: impl FnMut(M::Output),
//! ) {
//!     let mut drain = |machine: &mut M| {
//!         while let Some(output) = machine.poll_output() {
//!             perform(output);
//!         }
//!     };
//!     drain(machine);
//!     while matches!(machine.status(), Status::Running { .. }) {
//!         let fact = match machine.poll_timeout() {
//!             None => facts.recv().map_err(|_| RecvTimeoutError::Disconnected),
//!             Some(deadline) => facts.recv_timeout(deadline.at.since(read(zero).at())),
//!         };
//!         let wall = read(zero);
//!         let now = wall.at();
//!         if told.unix_at(now).0.abs_diff(wall.unix_at(now).0) >= 5 {
//!             told = wall;
//!             machine.handle_clock(now, wall);
//!             drain(machine);
//!         }
//!         if machine.poll_timeout().is_some_and(|deadline| deadline.at <= now) {
//!             machine.handle_timeout(now);
//!             drain(machine);
//!         }
//!         match fact {
//!             Ok(fact) => {
//!                 machine.handle_input(now, fact).expect("a driver that drains is not refused");
//!                 drain(machine);
//!             }
//!             Err(RecvTimeoutError::Timeout) => {}
//!             Err(RecvTimeoutError::Disconnected) => return,
//!         }
//!     }
//! }
//!
//! // A pairing that its person gives up.
//! use proto_core::{Entropy, Reason, api::PairingMode, device::pairing, id::DeviceKind};
//!
//! let zero = std::time::Instant::now();
//! let wall = read(zero);
//! let settings = pairing::Settings {
//!     api_endpoint: "https://api.example".to_owned(),
//!     kind: DeviceKind::Daemon,
//!     mode: PairingMode::New,
//!     org: None,
//!     name: "laptop".to_owned(),
//!     software: "vpd".to_owned(),
//! };
//! let mut pairing = pairing::Pairing::start(wall.at(), wall, settings, &Entropy::new([7; 32]));
//! let (sender, facts) = mpsc::channel();
//! sender.send(pairing::Input::Cancel)?;
//! let mut wanted = Vec::new();
//! drive(&mut pairing, zero, wall, &facts, |output| wanted.push(output));
//! assert_eq!(pairing.status(), Status::Failed(&Reason::PairingCancelled));
//! assert!(matches!(wanted[..], [pairing::Output::Effect(_)]), "it had asked for a code");
//! # Ok::<(), mpsc::SendError<pairing::Input>>(())
//! ```
//!
//! What every machine needs for its side of this is in [`base`]: room for outputs, a time that never goes back, the count of what
//! was ignored, and the one way to hand an input to a child.
//!
//! The laws L1 to L10 of this contract are those of the crate `machine-laws`; `tests/` checks them for every machine.

pub mod backoff;
pub mod base;
pub mod buffer_pool;
pub mod entropy;
pub mod outbox;
pub mod time;
pub(crate) mod timed;
pub mod unhashed;

use self::time::{Instant, WallClock};

/// A pure, deterministic protocol machine.
pub trait Machine {
    /// Facts from outside, answers to earlier outputs, and local commands: owned data.
    type Input;
    /// What to do (imperative) and what happened (past tense), in order.
    type Output;
    /// Why the machine ended without reaching its goal.
    type Failure: core::error::Error + Clone + PartialEq;
    /// What a deadline can be for; [`Infallible`](core::convert::Infallible) where there never is one.
    type Timer: TimerKind;

    /// Takes one fact. A `now` before the latest one seen is clamped to that.
    ///
    /// # Errors
    /// [`Misuse`] is the caller's mistake and changes nothing (L6). A peer that misbehaves is a transition, never an error.
    fn handle_input(&mut self, now: Instant, input: Self::Input) -> Result<(), Misuse>;

    /// Fires every deadline at or before `now`; does nothing when none is due (L3).
    fn handle_timeout(&mut self, now: Instant);

    /// Takes a new reading of both clocks: the computer slept, or its wall clock was set. From now on `wall` maps stamps to moments
    /// and back, and what waits tries at once where a suspend may have made its wait pointless. A reading that
    /// [agrees](WallClock::agrees_with) with the one that the machine has changes nothing, as a spurious timeout does (L3).
    ///
    /// A machine that knows no wall clock does nothing here. One that owns machines which do hands the reading on to all of them.
    fn handle_clock(&mut self, _now: Instant, _wall: WallClock) {}

    /// Pops the next output. Works nothing out and cannot fail.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, and why. `None` once ended (L4).
    fn poll_timeout(&self) -> Option<Deadline<Self::Timer>>;

    /// Where the machine stands.
    fn status(&self) -> Status<'_, Self::Failure>;

    /// How many inputs had no effect so far, in the machine or in a part of it: answers that are not awaited any more, frames that
    /// are not valid where they came, whatever came after the end (L4). Never falls; an input that was [`Misuse`] does not count.
    fn ignored(&self) -> u64;
}

/// What a deadline is for: one enum for each machine, in which a parent's wraps those of its children.
pub trait TimerKind: Copy + core::fmt::Debug + Ord + core::hash::Hash {
    /// The same in a few words: for logs and for the reader of a trace.
    fn why(self) -> &'static str;
}

/// For drivers, which need no more than words.
impl TimerKind for &'static str {
    fn why(self) -> &'static str {
        self
    }
}

/// For machines without a deadline.
impl TimerKind for core::convert::Infallible {
    fn why(self) -> &'static str {
        match self {}
    }
}

/// The next moment at which a machine acts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline<T = &'static str> {
    /// When.
    pub at: Instant,
    /// What for.
    pub timer: T,
}

impl<T: TimerKind> Deadline<T> {
    /// A deadline at `at` for `timer`.
    pub const fn new(at: Instant, timer: T) -> Self {
        Self { at, timer }
    }

    /// What for, in a few words.
    pub fn why(self) -> &'static str {
        self.timer.why()
    }

    /// The same for a driver, which needs only the time, and the purpose as text.
    pub fn in_words(self) -> Deadline {
        Deadline { at: self.at, timer: self.why() }
    }

    /// The same as a parent's.
    pub fn map<U>(self, wrap: impl FnOnce(T) -> U) -> Deadline<U> {
        Deadline { at: self.at, timer: wrap(self.timer) }
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
