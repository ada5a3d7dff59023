//! The laws of the machine contract (`proto_core::machine`), checked for any machine on random traces.
//!
//! | law | what holds | how it is checked |
//! |---|---|---|
//! | L1 | drained means `None` until the next `handle_*` | polled again after the drain, and after reading deadline and status |
//! | L2 | after `handle_timeout(t)` and draining, the deadline is `None` or later than `t` | after each timeout |
//! | L3 | a spurious `handle_timeout` changes nothing | the same trace with timeouts strewn in before each deadline |
//! | L4 | ended: no deadline, inputs ignored and counted, the end stays as it is | every step after the end |
//! | L5 | same seed and trace, same outputs | the same trace again |
//! | L6 | `Err(Misuse)` leaves state, queue and the count of ignored inputs as they were | the same trace without the misused inputs |
//! | L7 | no input sequence at any times panics | panics are caught |
//! | L8 | every queue and map is bounded | a long trace, drained and undrained: outputs and `Debug` text stay in bounds |
//! | L9 | running without a deadline, it names what it waits for | every step |
//! | L10 | waking only at deadlines is as good as ticking | the same trace, punctual, with and without ticks |
//! | clamp | a `now` that goes back counts as the latest one | the same trace with the clock held instead |
//! | clock | a reading of the wall clock that says nothing new changes nothing | the same trace with such readings strewn in before each step |
//!
//! All but L8 compare what a driver sees (outputs, deadline, status, ignored inputs, misuse), so the machine need not be `Clone` or `Eq`. A trace is
//! made of [`Step`]s; a fact in it is a recipe from which [`Subject::input`] makes the input, knowing what the machine
//! said so far, so that answers can fit questions.

mod driver;
mod flood;
mod step;
#[allow(missing_docs, reason = "the facts of a subject are named after the inputs that they become")]
pub mod subjects;

use std::{
    collections::BTreeSet,
    fmt::{self, Debug},
};

use proptest::{
    strategy::{BoxedStrategy, Strategy, ValueTree},
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use proto_core::{Instant, Machine, Outbox};

pub use driver::Observation;
pub use step::{Step, Trace};

pub use crate::fixtures::clock;

/// A machine to be checked: how it starts and what it may hear.
pub trait Subject {
    /// The machine.
    type Machine: Machine<Output: Clone + Debug + PartialEq> + Debug;
    /// The recipe for one input.
    type Fact: Clone + Debug + 'static;

    /// The most outputs that one call may lead to.
    const MAX_OUTPUTS: usize = 64;

    /// The longest `Debug` text of the drained machine, in bytes: what its named constants allow (L8).
    const MAX_DEBUG: usize = 65_536;

    /// How many inputs a flood has (L8): more than fit into the queue, unless each is slow.
    const FLOOD: usize = Outbox::<()>::LIMIT * 2;

    /// A fresh machine at [`START`], by the wall clock of [`clock`]; the same one for the same seed.
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

    /// Makes an input. `said` is what the machine said so far, oldest first, the latest [`REMEMBERED`] of it.
    fn input(&self, fact: &Self::Fact, said: &[OutputOf<Self>]) -> InputOf<Self>;
}

/// The inputs of a subject's machine.
pub type InputOf<S> = <<S as Subject>::Machine as Machine>::Input;
/// The outputs of a subject's machine.
pub type OutputOf<S> = <<S as Subject>::Machine as Machine>::Output;

/// The timers of a subject's machine.
pub type TimerOf<S> = <<S as Subject>::Machine as Machine>::Timer;

/// When every trace begins: late enough for the clock to go back.
pub const START: Instant = Instant::from_nanos(3_600_000_000_000);

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
    /// Misuse changes nothing.
    L6,
    /// Nothing panics.
    L7,
    /// Everything is bounded.
    L8,
    /// Whoever waits says what for.
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

/// Checks one law on one trace.
///
/// # Errors
/// How it is broken. A panic of the machine is a violation of L7, whichever law was asked about.
pub fn hold<S: Subject>(subject: &S, law: Law, trace: &Trace<S::Fact>) -> Result<(), Violation> {
    match law {
        Law::L8 => flood::check(subject, trace),
        _ => driver::check(subject, law, trace),
    }
}

/// Checks all laws, each on `cases` random traces; L8 on two, which are long. `reached` are the beginnings of statuses
/// ("waiting for …", "finished", "failed: …") to which such traces must lead, for the laws to have been checked there.
///
/// # Panics
/// When a law does not hold, with the smallest trace found, or when a status is not reached.
pub fn check<S: Subject>(subject: &S, cases: u32, reached: &[&str]) {
    for law in Law::ALL {
        let cases = if law == Law::L8 { 2 } else { cases };
        if let Err(report) = search(subject, law, cases) {
            panic!("{report}");
        }
    }
    let statuses = statuses(subject, cases);
    for status in reached {
        assert!(statuses.iter().any(|seen| seen.starts_with(status)), "no trace reached {status:?}: {statuses:#?}");
    }
}

/// The statuses that random traces lead to.
fn statuses<S: Subject>(subject: &S, cases: u32) -> BTreeSet<String> {
    let mut runner = TestRunner::deterministic();
    let traces = step::traces(subject.facts());
    let trace = |_| traces.new_tree(&mut runner).expect("the strategy rejects nothing").current();
    (0..cases).map(trace).flat_map(|trace| driver::statuses(subject, &trace).unwrap_or_default()).collect()
}

/// Looks for a trace that breaks `law`.
///
/// # Errors
/// The violation and the smallest trace found, as text.
pub fn search<S: Subject>(subject: &S, law: Law, cases: u32) -> Result<(), String> {
    // Of a flood, only its seed matters.
    let max_shrink_iters = if law == Law::L8 { 0 } else { 2_000 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&step::traces(subject.facts()), |trace| {
        hold(subject, law, &trace).map_err(|violation| TestCaseError::fail(violation.to_string()))
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, trace)) => Err(format!("{reason}\n{trace:#?}")),
        Err(TestError::Abort(reason)) => Err(reason.to_string()),
    }
}
