//! The suite on the example without a runtime.

#[path = "../../../io-engine/examples/super_loop/adapter.rs"]
mod adapter;

use adapter::SuperLoop;
use conformance::{Id, Subject};
use io_engine::{Home, Roots};
use proto_core::{
    Deadline, Instant,
    effect::{Effect, Happening},
};

struct OnNothing(SuperLoop<Id>);

impl Subject for OnNothing {
    fn start(home: Option<Home>, roots: Roots) -> Self {
        Self(SuperLoop::new(home, roots))
    }

    fn perform(&mut self, effect: Effect<Id>) {
        self.0.perform(effect);
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn next(&mut self, deadline: Option<Deadline>) -> Option<Happening<Id>> {
        self.0.next(deadline)
    }

    fn shutdown(self) {
        self.0.shutdown();
    }

    /// There is nothing that could have tasks.
    fn abandon(self) -> usize {
        drop(self);
        0
    }
}

conformance::suite!(OnNothing);
