//! A viewer's program, which can be started again.

use proto_core::{Entropy, Instant, JitterRng, device::watcher::Goal, noise::Noise};

use super::host::{Clock, Stopped};
use crate::world::{Disk, ViewerDevice};

/// One viewer.
#[derive(Debug)]
pub struct Viewer<N> {
    /// The device.
    pub tablet: ViewerDevice<N>,
    /// The number of its org.
    pub org: usize,
    /// How often it was started: what belongs to an earlier life is lost.
    pub life: u32,
    /// Its clock.
    pub clock: Clock,
    /// Until then nothing of it runs; whether it sleeps meanwhile.
    pub(super) stopped: Option<Stopped>,
    /// When its timer fires.
    pub(super) scheduled: Option<Instant>,
}

impl<N: Noise> Viewer<N> {
    pub(super) fn new(now: Instant, org: usize, disk: Disk, entropy: &Entropy, jitter: JitterRng) -> Self {
        let clock = Clock::of_server();
        let tablet = boot(&clock, now, disk, entropy, jitter);
        Self { tablet, org, life: 0, clock, stopped: None, scheduled: None }
    }

    /// The program is started again, on what its disk holds.
    pub(super) fn restart(&mut self, now: Instant, entropy: &Entropy, jitter: JitterRng) {
        let disk = std::mem::take(&mut self.tablet.disk);
        if let Some(Stopped { since, asleep: true, .. }) = self.stopped.take() {
            self.clock.slept += now.since(since);
        }
        self.tablet = boot(&self.clock, now, disk, entropy, jitter);
        self.life += 1;
        self.scheduled = None;
    }
}

fn boot<N: Noise>(clock: &Clock, now: Instant, disk: Disk, entropy: &Entropy, jitter: JitterRng) -> ViewerDevice<N> {
    ViewerDevice::boot(clock.monotonic(now), clock.reading(now), disk, None, Goal::Chosen, entropy, jitter)
}
