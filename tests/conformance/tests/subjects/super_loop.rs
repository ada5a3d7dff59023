//! The example without a runtime.

#[path = "../../../../io-engine/examples/super_loop/adapter.rs"]
mod adapter;
#[path = "../../../../io-engine/examples/super_loop/driver.rs"]
mod driver;

use conformance::{
    Name, Subject,
    turns::{Diary, Script},
};
use io_engine::{DriverLoop, Home, Network, Next, wall_clock};
use proto_core::{
    Deadline, Instant, WallClock,
    effect::{Effect, IoEvent},
};

use adapter::SuperLoop;

pub(crate) struct OnNothing<I>(SuperLoop<I>);

/// What a script has comes first; then the adapter sleeps until the deadline.
impl<I: Name> driver::MachineIo<Diary, I> for Script {
    fn inputs(&mut self, adapter: &mut SuperLoop<I>, deadline: Option<Deadline>, inputs: &mut Vec<u32>) -> Next {
        match self.burst() {
            Some(mut burst) => inputs.append(&mut burst),
            None => assert!(adapter.next(deadline).is_none(), "nothing was asked for"),
        }
        Next::GoOn
    }

    fn flush(&mut self, _: &mut SuperLoop<I>) {
        self.flush();
    }
}

impl<I: Name> Subject<I> for OnNothing<I> {
    fn start(home: Option<Home>, network: Network) -> Self {
        Self(SuperLoop::new(home, network))
    }

    fn perform(&mut self, effect: Effect<I>) {
        self.0.perform(effect);
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn wall(&self) -> WallClock {
        wall_clock(self.0.now())
    }

    fn drive(&mut self, machine: &mut Diary, turns: &mut DriverLoop, script: &mut Script) {
        driver::drive(machine, turns, &mut self.0, script);
    }

    fn next(&mut self, deadline: Option<Deadline>) -> Option<IoEvent<I>> {
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
