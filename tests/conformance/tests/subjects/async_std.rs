//! The adapter for async-std.

use std::pin::pin;

use async_std::task::block_on;
use conformance::{
    Name, Subject,
    turns::{Diary, Script},
};
use futures_util::future::{Either, select};
use io_async_std::{Adapter, Clock};
use io_engine::{DriverLoop, Home, Network, drive};
use proto_core::{
    Deadline, Instant, WallClock,
    effect::{Effect, IoEvent},
};

pub(crate) struct OnAsyncStd<I> {
    adapter: Adapter<I>,
    clock: Clock,
}

impl<I: Name> Subject<I> for OnAsyncStd<I> {
    fn start(home: Option<Home>, network: Network) -> Self {
        Self { adapter: Adapter::new(home, network), clock: Clock::start() }
    }

    fn perform(&mut self, effect: Effect<I>) {
        self.adapter.perform(effect);
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall(&self) -> WallClock {
        self.clock.wall()
    }

    fn drive(&mut self, machine: &mut Diary, turns: &mut DriverLoop, script: &mut Script) {
        block_on(drive(machine, turns, &mut self.clock, script));
    }

    fn next(&mut self, deadline: Option<Deadline>) -> Option<IoEvent<I>> {
        let Self { adapter, clock } = self;
        match block_on(select(pin!(adapter.next()), pin!(clock.sleep_until(deadline)))) {
            Either::Left((event, _)) => Some(event),
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
