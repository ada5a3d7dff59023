//! The adapter for tokio, with a runtime of its own.

use std::time::Duration;

use conformance::{
    Name, Subject,
    turns::{Diary, Script},
};
use io_engine::{DriverLoop, Home, Network, drive};
use io_tokio::{Adapter, Clock};
use proto_core::{
    Deadline, Instant, WallClock,
    effect::{Effect, IoEvent},
};
use tokio::runtime::{Builder, Runtime};

pub(crate) struct OnTokio<I> {
    runtime: Runtime,
    adapter: Adapter<I>,
    clock: Clock,
}

impl<I: Name> Subject<I> for OnTokio<I> {
    fn start(home: Option<Home>, network: Network) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (adapter, clock) = runtime.block_on(async { (Adapter::new(home, network), Clock::start()) });
        Self { runtime, adapter, clock }
    }

    fn perform(&mut self, effect: Effect<I>) {
        let _context = self.runtime.enter();
        self.adapter.perform(effect);
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall(&self) -> WallClock {
        self.clock.wall()
    }

    fn drive(&mut self, machine: &mut Diary, turns: &mut DriverLoop, script: &mut Script) {
        let Self { runtime, clock, .. } = self;
        runtime.block_on(drive(machine, turns, clock, script));
    }

    fn next(&mut self, deadline: Option<Deadline>) -> Option<IoEvent<I>> {
        let Self { runtime, adapter, clock } = self;
        runtime.block_on(async {
            tokio::select! {
                biased;
                event = adapter.next() => Some(event),
                () = clock.sleep_until(deadline) => None,
            }
        })
    }

    fn shutdown(self) {
        self.runtime.block_on(self.adapter.shutdown());
    }

    fn abandon(self) -> usize {
        let Self { runtime, adapter, clock } = self;
        drop((adapter, clock));
        let metrics = runtime.metrics();
        let at_rest = async {
            while metrics.num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        };
        // A task that stays shows in the number, and need not hang the test.
        let _ = runtime.block_on(async { tokio::time::timeout(Duration::from_mins(1), at_rest).await });
        metrics.num_alive_tasks()
    }
}
