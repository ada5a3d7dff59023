//! The laws of the machine contract (`proto_core::machine`) for the machines of the core: what [`machine_laws`] needs to know of
//! each.

mod of_core;
#[allow(missing_docs, reason = "the facts of a subject are named after the inputs that they become")]
pub mod subjects;

use std::fmt::Debug;

use proptest::strategy::BoxedStrategy;
use proto_core::{Instant, Machine, Outbox};

pub use machine_laws::{Law, REMEMBERED, Step, Trace, Violation};

use self::of_core::CoreSubject;
pub use crate::fixtures::clock;

/// A machine of the core to be checked: see [`machine_laws::Subject`].
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

/// When every trace begins: late enough for the clock to go back.
pub const START: Instant = Instant::from_nanos(3_600_000_000_000);

/// See [`machine_laws::check`].
///
/// # Panics
/// When a law does not hold, with the smallest trace found, or when a status is not reached.
pub fn check<S: Subject>(subject: &S, cases: u32, reached: &[&str]) {
    machine_laws::check(&CoreSubject(subject), cases, reached);
}

/// See [`machine_laws::hold`].
///
/// # Errors
/// How the law is broken.
pub fn hold<S: Subject>(subject: &S, law: Law, trace: &Trace<S::Fact>) -> Result<(), Violation> {
    machine_laws::hold(&CoreSubject(subject), law, trace)
}
