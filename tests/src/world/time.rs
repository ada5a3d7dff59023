//! How time passes.

use std::time::Duration;

use proto_core::{Instant, Machine};

use super::World;

impl World {
    /// Lets everything happen that can happen now.
    pub fn settle(&mut self) {
        let limit = self.count + 1_000_000;
        while self.step() {
            assert!(self.count < limit, "the world does not come to rest");
        }
    }

    /// One event, or the deadlines that are due. False when there is nothing to do now.
    pub fn step(&mut self) -> bool {
        self.count += 1;
        if let Some(event) = self.events.pop_front() {
            self.happen(event);
            return true;
        }
        let is_due = self.next_deadline().is_some_and(|at| at <= self.now);
        if is_due {
            self.fire();
        }
        is_due
    }

    /// So many events, or as many as there are now.
    pub fn steps(&mut self, steps: u64) {
        for _ in 0..steps {
            self.step();
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        self.settle();
        while let Some(at) = self.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    /// Lets time pass until something holds, for a day at most.
    pub fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        let end = self.now.after(Duration::from_hours(24));
        while !holds(self) {
            if !self.step() {
                let at = self.next_deadline().filter(|at| *at <= end).expect("it never comes to that");
                self.now = self.now.max(at);
            }
        }
    }

    /// Time jumps to the next deadline of any party, which is not fired yet.
    pub fn wait(&mut self) {
        let at = self.next_deadline().expect("a party with a deadline");
        self.now = self.now.max(at);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let daemon = self.laptop.daemon.iter().filter_map(Machine::poll_timeout);
        let watchers = self.watchers.iter().filter_map(|tablet| tablet.watcher.poll_timeout());
        let relays = self.relays.values().flat_map(|relay| relay.connections.values()).filter_map(Machine::poll_timeout);
        let daemon = daemon.map(|deadline| deadline.at);
        daemon.chain(watchers.map(|deadline| deadline.at)).chain(relays.map(|deadline| deadline.at)).min()
    }

    pub(super) fn fire(&mut self) {
        self.turn_laptop(None);
        for watcher in 0..self.watchers.len() {
            self.turn_watcher(watcher, None);
        }
        for url in self.relays.keys().cloned().collect::<Vec<_>>() {
            let wants = self.relays.get_mut(&url).unwrap().fire(self.now);
            self.relay_wants(&url, wants);
        }
    }
}
