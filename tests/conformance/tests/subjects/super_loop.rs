//! The example without a runtime.

#[path = "../../../../io-engine/examples/super_loop/adapter.rs"]
mod adapter;

use conformance::{Name, Subject};
use io_engine::{Home, Roots};
use proto_core::{
    Deadline, Instant,
    effect::{Effect, Happening},
};

use adapter::SuperLoop;

pub(crate) struct OnNothing<I>(SuperLoop<I>);

impl<I: Name> Subject<I> for OnNothing<I> {
    fn start(home: Option<Home>, roots: Roots) -> Self {
        Self(SuperLoop::new(home, roots))
    }

    fn perform(&mut self, effect: Effect<I>) {
        self.0.perform(effect);
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn next(&mut self, deadline: Option<Deadline>) -> Option<Happening<I>> {
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
