//! When to try again (D7, LINK-1).

use core::time::Duration;

use crate::{Instant, Jitter, machine::backoff::Backoff};

/// The number of quick attempts, as `vpd status` counts them.
pub const QUICK_ATTEMPTS: u32 = 5;
/// Between slow attempts.
pub const SLOW_INTERVAL: Duration = Duration::from_mins(5);
/// A link that was up that long counts as stable: attempts are counted from the beginning again.
pub const STABLE_AFTER: Duration = Duration::from_secs(30);

const QUICK: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(15) };

/// Counts attempts and spreads them. It never gives up: after the quick ones come slow ones, for good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Schedule {
    jitter: Jitter,
    attempt: u32,
    /// The other side asked for patience until then, before the next attempt.
    earliest: Option<Instant>,
}

impl Schedule {
    pub(super) const fn new(jitter: Jitter) -> Self {
        Self { jitter, attempt: 0, earliest: None }
    }

    /// The attempts since the link was stable last: 0 before the first failure.
    pub(super) const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// An attempt failed or the link was lost: the moment of the next one.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        self.attempt = self.attempt.saturating_add(1);
        let wait = if self.attempt <= QUICK_ATTEMPTS { QUICK.wait(self.attempt, &mut self.jitter) } else { SLOW_INTERVAL };
        self.earliest.take().map_or(now.after(wait), |earliest| earliest.max(now.after(wait)))
    }

    /// The link was up long enough.
    pub(super) const fn settle(&mut self) {
        self.attempt = 0;
    }

    /// No attempt before `earliest`.
    pub(super) fn not_before(&mut self, earliest: Instant) {
        self.earliest = self.earliest.max(Some(earliest));
    }

    /// No quick attempts for now.
    pub(super) fn slow_down(&mut self) {
        self.attempt = self.attempt.max(QUICK_ATTEMPTS);
    }

    /// Somebody asks for quick attempts again.
    pub(super) fn hurry(&mut self) {
        self.attempt = self.attempt.min(QUICK_ATTEMPTS.saturating_sub(1));
        self.earliest = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LINK-1: a relay that accepts and closes at once sees at most 17 attempts in its first hour.
    #[test]
    fn a_relay_that_accepts_and_closes_sees_few_attempts() {
        for seed in 0..200 {
            let mut schedule = Schedule::new(Jitter::new(seed));
            let mut now = Instant::ZERO;
            let mut attempts = 0;
            while now < Instant::ZERO.after(Duration::from_hours(1)) {
                attempts += 1;
                now = schedule.next(now);
            }
            assert!(attempts <= 1 + 5 + 12, "{attempts}");
        }
    }

    #[test]
    fn a_retry_after_is_honoured() {
        let late = Instant::ZERO.after(Duration::from_mins(10));
        let mut schedule = Schedule::new(Jitter::new(1));
        schedule.not_before(late);
        assert_eq!(schedule.next(Instant::ZERO), late);
        assert!(schedule.next(late) < late.after(SLOW_INTERVAL));
    }
}
