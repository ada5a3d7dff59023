//! The suite on async-std.

use std::pin::pin;

use async_std::task::block_on;
use conformance::{Id, Subject};
use futures_util::future::{Either, select};
use io_async_std::{Adapter, Clock};
use io_engine::{Home, Roots};
use proto_core::{
    Deadline, Instant,
    effect::{Effect, Happening},
};

struct OnAsyncStd {
    adapter: Adapter<Id>,
    clock: Clock,
}

impl Subject for OnAsyncStd {
    fn start(home: Option<Home>, roots: Roots) -> Self {
        Self { adapter: Adapter::new(home, roots), clock: Clock::start() }
    }

    fn perform(&mut self, effect: Effect<Id>) {
        self.adapter.perform(effect);
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn next(&mut self, deadline: Option<Deadline>) -> Option<Happening<Id>> {
        let Self { adapter, clock } = self;
        match block_on(select(pin!(adapter.next()), pin!(clock.sleep_until(deadline)))) {
            Either::Left((happening, _)) => Some(happening),
            Either::Right(_) => None,
        }
    }

    fn shutdown(self) {
        block_on(self.adapter.shutdown());
    }

    /// It never has a task: the work is the adapter's own.
    fn abandon(self) -> usize {
        drop(self);
        0
    }
}

conformance::suite!(OnAsyncStd);
