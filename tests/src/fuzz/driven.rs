//! A machine in the hands of a driver that keeps the contract and checks that the machine does as well.

use std::time::Duration;

use proto_core::{Instant, Machine, Status, WallClock};

/// The most outputs that one input may cause in a target (LINK-3, L8).
const MAX_OUTPUTS: usize = 4096;

/// A machine and its virtual clock.
pub(super) struct Driven<M> {
    pub(super) machine: M,
    pub(super) now: Instant,
}

impl<M: Machine + Clone + PartialEq> Driven<M> {
    pub(super) const fn new(machine: M, now: Instant) -> Self {
        Self { machine, now }
    }

    /// Everything that is queued (L1, L8).
    pub(super) fn drain(&mut self) -> Vec<M::Output> {
        let outputs: Vec<_> = core::iter::from_fn(|| self.machine.poll_output()).take(MAX_OUTPUTS).collect();
        assert!(outputs.len() < MAX_OUTPUTS, "one input, outputs without end");
        assert!(self.machine.poll_output().is_none(), "L1: drained");
        outputs
    }

    /// Hands in one fact; `None` when the machine called it a misuse, which changes nothing (L6).
    pub(super) fn input(&mut self, input: M::Input) -> Option<Vec<M::Output>> {
        let before = self.machine.clone();
        let taken = self.machine.handle_input(self.now, input).is_ok();
        if !taken {
            assert!(self.machine == before, "L6: a misuse changes nothing");
            return None;
        }
        let outputs = self.drain();
        self.check_end();
        Some(outputs)
    }

    /// The machine slept, or its wall clock was set. Said twice, because the second time says nothing new.
    pub(super) fn clock(&mut self, wall: WallClock) -> Vec<M::Output> {
        self.machine.handle_clock(self.now, wall);
        let outputs = self.drain();
        let told = self.machine.clone();
        self.machine.handle_clock(self.now, wall);
        assert!(self.machine == told, "a clock that was not set changes nothing");
        self.check_end();
        outputs
    }

    /// Lets time pass, and what is due happen: `None` when nothing was.
    pub(super) fn pass(&mut self, by: Duration) -> Option<Vec<M::Output>> {
        self.now = self.now.after(by);
        let is_due = self.machine.poll_timeout().is_some_and(|deadline| deadline.at <= self.now);
        is_due.then(|| self.timeout())
    }

    /// Lets time pass up to the next deadline: `None` when there is none.
    pub(super) fn fire(&mut self) -> Option<Vec<M::Output>> {
        let deadline = self.machine.poll_timeout()?;
        self.now = self.now.max(deadline.at);
        Some(self.timeout())
    }

    fn timeout(&mut self) -> Vec<M::Output> {
        self.machine.handle_timeout(self.now);
        let outputs = self.drain();
        if let Some(deadline) = self.machine.poll_timeout() {
            assert!(deadline.at > self.now || self.now == Instant::MAX, "L2: still due: {}", deadline.why());
        }
        let quiet = self.machine.clone();
        self.machine.handle_timeout(self.now);
        assert!(self.machine == quiet, "L3: a spurious timeout changes nothing");
        self.check_end();
        outputs
    }

    fn check_end(&self) {
        if !matches!(self.machine.status(), Status::Running { .. }) {
            assert_eq!(self.machine.poll_timeout(), None, "L4: an ended machine has no deadline");
        }
    }
}
