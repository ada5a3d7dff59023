#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod driver;
mod flood;
mod machine;
mod search;
mod trace;

use std::{
    fmt::{self, Debug},
    time::Duration,
};

use proptest::strategy::BoxedStrategy;

pub use machine::{Machine, NEVER, Reading, Refused, Status};
pub use search::{check, hold, search};
pub use trace::{Step, Trace};

/// A machine to be checked: how it starts and which inputs may come.
pub trait Subject {
    /// The machine.
    type Machine: Machine;
    /// The recipe for one input.
    type Fact: Clone + Debug + 'static;

    /// How many outputs may wait before the machine refuses inputs with [`Refused::Full`].
    const QUEUE: usize;

    /// The most outputs that one call may lead to.
    const MAX_OUTPUTS: usize = 64;

    /// The longest `Debug` text of the drained machine, in bytes (L8).
    const MAX_DEBUG: usize = 65_536;

    /// How many inputs a flood has (L8): more than fit into the queue, unless each is slow.
    const FLOOD: usize = Self::QUEUE * 2;

    /// What both clocks show when a trace begins: late enough for either to go back.
    const START: Reading = Reading { at: Duration::from_hours(1), unix: 1_800_000_000 };

    /// A fresh machine at [`START`](Self::START); the same one for the same seed.
    fn start(&self, seed: u64) -> Self::Machine;

    /// Recipes for facts, in and out of order.
    fn facts(&self) -> BoxedStrategy<Self::Fact>;

    /// What leads to where a flood does most (L8).
    fn before_flood(&self) -> Vec<Self::Fact> {
        Vec::new()
    }

    /// Recipes for a flood (L8): such as do not end the machine, where that can be helped.
    fn flood(&self) -> BoxedStrategy<Self::Fact> {
        self.facts()
    }

    /// Makes an input. `said` is what the machine said so far, oldest first, the latest [`REMEMBERED`] of it, so that answers can fit
    /// questions.
    fn input(&self, fact: &Self::Fact, said: &[OutputOf<Self>]) -> InputOf<Self>;
}

/// The inputs of a subject's machine.
pub type InputOf<S> = <<S as Subject>::Machine as Machine>::Input;

/// The outputs of a subject's machine.
pub type OutputOf<S> = <<S as Subject>::Machine as Machine>::Output;

/// The timers of a subject's machine.
type TimerOf<S> = <<S as Subject>::Machine as Machine>::Timer;

/// How many outputs [`Subject::input`] gets to see.
pub const REMEMBERED: usize = 64;

/// A law of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// Drained means `None` until the next call.
    L1,
    /// No deadline is due after a timeout.
    L2,
    /// A spurious timeout changes nothing.
    L3,
    /// Ended is ended.
    L4,
    /// Same trace, same outputs.
    L5,
    /// A refused input changes nothing.
    L6,
    /// Nothing panics.
    L7,
    /// Everything is bounded.
    L8,
    /// A machine that waits says what for.
    L9,
    /// Ticking and sleeping are the same.
    L10,
    /// A clock that goes back stands still.
    Clamp,
    /// A wall clock that was not set changes nothing.
    Clock,
}

impl Law {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::L1,
        Self::L2,
        Self::L3,
        Self::L4,
        Self::L5,
        Self::L6,
        Self::L7,
        Self::L8,
        Self::L9,
        Self::L10,
        Self::Clamp,
        Self::Clock,
    ];
}

/// A law that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// The step of the trace at which it showed.
    pub step: usize,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} does not hold at step {}: {}", self.law, self.step, self.what)
    }
}
