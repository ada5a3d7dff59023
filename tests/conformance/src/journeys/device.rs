//! Devices that one thread drives in turns, as a program around an adapter that blocks has to.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use crate::PATIENCE;

/// How long one of several devices may wait for something while the others wait for their turn.
const TURN: Duration = Duration::from_millis(2);

/// One or more devices.
pub(super) trait Device: Debug {
    /// Lets at most one thing happen, and waits for it no longer than that. Whether anything did.
    fn turn(&mut self, wait: Duration) -> bool;
}

impl<D: Device> Device for &mut D {
    fn turn(&mut self, wait: Duration) -> bool {
        (**self).turn(wait)
    }
}

impl<A: Device, B: Device> Device for (A, B) {
    fn turn(&mut self, wait: Duration) -> bool {
        let moved = (self.0.turn(Duration::ZERO), self.1.turn(Duration::ZERO));
        moved.0 || moved.1 || self.0.turn(wait.min(TURN)) || self.1.turn(wait.min(TURN))
    }
}

impl<A: Device, B: Device, C: Device> Device for (A, B, C) {
    fn turn(&mut self, wait: Duration) -> bool {
        let (a, b, c) = self;
        (a, (b, c)).turn(wait)
    }
}

/// Drives the devices until that has come.
pub(super) fn until<D: Device>(mut devices: D, what: &str, has_come: impl Fn(&D) -> bool) {
    let began = Instant::now();
    while !has_come(&devices) {
        let left = PATIENCE.saturating_sub(began.elapsed());
        assert!(!left.is_zero(), "it does not come that {what}: {devices:#?}");
        devices.turn(left);
    }
}
