//! A machine on a bench: facts go in, time passes, and everything it said is written down with its moment.

use core::{fmt::Debug, time::Duration};

use proto_core::{Instant, Machine, Misuse, WallClock};

use super::START;

/// How many deadlines may fire while time passes once; more is a machine that does not come to rest (L2).
const MAX_FIRINGS: usize = 100_000;

/// A machine, the virtual moment, and what it has said.
#[derive(Debug)]
pub struct Bench<M: Machine> {
    /// The machine.
    pub machine: M,
    /// Now.
    pub now: Instant,
    /// What it said, and when.
    pub said: Vec<(Instant, M::Output)>,
}

impl<M: Machine<Output: Debug>> Bench<M> {
    /// Puts a machine that was made at [`START`] on the bench.
    pub fn new(machine: M) -> Self {
        Self::at(START, machine)
    }

    /// Puts a machine that was made at `now` on the bench.
    pub fn at(now: Instant, machine: M) -> Self {
        let mut bench = Self { machine, now, said: Vec::new() };
        bench.drain();
        bench
    }

    /// Tells it a fact, and gives what it says to that.
    ///
    /// # Errors
    /// What the machine answers; then it says nothing.
    pub fn try_tell(&mut self, input: M::Input) -> Result<&[(Instant, M::Output)], Misuse> {
        let before = self.said.len();
        self.machine.handle_input(self.now, input)?;
        self.drain();
        Ok(&self.said[before..])
    }

    /// The same for a fact that is in order.
    ///
    /// # Panics
    /// When the machine calls it misuse.
    pub fn tell(&mut self, input: M::Input) -> &[(Instant, M::Output)] {
        self.try_tell(input).expect("a fact that is in order")
    }

    /// Says what the wall clock shows, after a suspend or a step. Gives what is said to that.
    pub fn tell_clock(&mut self, wall: WallClock) -> &[(Instant, M::Output)] {
        let before = self.said.len();
        self.machine.handle_clock(self.now, wall);
        self.drain();
        &self.said[before..]
    }

    /// Lets time pass, and the deadlines in it fire on time. Gives what is said meanwhile.
    ///
    /// # Panics
    /// When the machine fires without end.
    pub fn pass(&mut self, time: Duration) -> &[(Instant, M::Output)] {
        let (before, until) = (self.said.len(), self.now.after(time));
        for _ in 0..MAX_FIRINGS {
            match self.machine.poll_timeout().filter(|deadline| deadline.at <= until) {
                None => {
                    self.now = until;
                    return &self.said[before..];
                }
                Some(deadline) => {
                    self.now = self.now.max(deadline.at);
                    self.machine.handle_timeout(self.now);
                    self.drain();
                }
            }
        }
        panic!("it fires without end: {:?}", self.machine.poll_timeout());
    }

    /// Lets time pass in one leap, as a suspend does: nothing fires before its end, and then everything at once.
    pub fn leap(&mut self, time: Duration) -> &[(Instant, M::Output)] {
        let before = self.said.len();
        self.now = self.now.after(time);
        self.machine.handle_timeout(self.now);
        self.drain();
        &self.said[before..]
    }

    fn drain(&mut self) {
        let now = self.now;
        self.said.extend(core::iter::from_fn(|| self.machine.poll_output()).map(|output| (now, output)));
    }
}
