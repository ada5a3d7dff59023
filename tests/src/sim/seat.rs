//! Somebody who watches: a viewer's program, which can be started again.

use io_engine::Turns;
use proto_core::{Instant, Jitter, api::Approval, crypto::Identity, noise::Noise, secret::Secret};

use super::host::{Clock, Stopped};
use crate::world::Watcher;

/// One viewer.
#[derive(Debug)]
pub struct Seat<N> {
    /// The program.
    pub watcher: Watcher<N>,
    /// The number of its org.
    pub org: usize,
    /// How often it was started: what belongs to an earlier life is lost.
    pub life: u32,
    /// Its clock.
    pub clock: Clock,
    /// Its loop.
    pub(super) turns: Turns,
    /// Until then nothing of it runs; whether it sleeps meanwhile.
    pub(super) stopped: Option<Stopped>,
    /// When its timer fires.
    pub(super) scheduled: Option<Instant>,
    seed: Secret,
    approval: Approval,
}

impl<N: Noise> Seat<N> {
    pub(super) fn new(now: Instant, org: usize, seed: Secret, approval: Approval, jitter: Jitter) -> Self {
        let clock = Clock::of_server();
        let identity = Identity::from_seed(seed.clone());
        let watcher = Watcher::new(clock.monotonic(now), clock.reading(now), identity, approval.clone(), jitter);
        let turns = Turns::new(clock.reading(now));
        Self { watcher, org, life: 0, clock, turns, stopped: None, scheduled: None, seed, approval }
    }

    /// The program is started again, with the credential that it has stored.
    pub(super) fn restart(&mut self, now: Instant, jitter: Jitter) {
        self.approval.issue_token = self.watcher.record.issue_token.clone();
        self.approval.relay.static_keys.clone_from(&self.watcher.record.relay.static_keys);
        let identity = Identity::from_seed(self.seed.clone());
        if let Some(Stopped { since, asleep: true, .. }) = self.stopped.take() {
            self.clock.slept += now.since(since);
        }
        let (at, clock) = (self.clock.monotonic(now), self.clock.reading(now));
        self.turns = Turns::new(clock);
        self.watcher = Watcher::new(at, clock, identity, self.approval.clone(), jitter);
        self.life += 1;
        self.scheduled = None;
    }
}
