//! When to try again (D7, LINK-1).

use core::time::Duration;

use crate::{Instant, JitterRng, machine::backoff::Backoff};

/// The number of quick attempts, as `vpd status` counts them.
pub const QUICK_ATTEMPTS: u32 = 5;
/// The shortest time between slow attempts.
pub const MIN_SLOW: Duration = Duration::from_secs(10);
/// The longest time between slow attempts. The span between the two spreads the devices of a relay that was away.
pub const MAX_SLOW: Duration = Duration::from_secs(30);
/// A link that was up that long counts as stable: attempts are counted from the beginning again.
pub const STABLE_AFTER: Duration = Duration::from_secs(30);

const QUICK: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(15) };

/// Counts attempts and spreads them. It never gives up: after the quick ones come slow ones, for good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Schedule {
    jitter: JitterRng,
    attempt: u32,
    /// The other side asked for no attempt before then.
    earliest: Option<Instant>,
}

impl Schedule {
    pub(super) const fn new(jitter: JitterRng) -> Self {
        Self { jitter, attempt: 0, earliest: None }
    }

    /// The attempts since the link was stable last: 0 before the first failure.
    pub(super) const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// An attempt failed or the link was lost: the moment of the next one.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        self.attempt = self.attempt.saturating_add(1);
        let wait = if self.attempt <= QUICK_ATTEMPTS { QUICK.wait(self.attempt, &mut self.jitter) } else { self.slow() };
        self.earliest.take().map_or(now.after(wait), |earliest| earliest.max(now.after(wait)))
    }

    fn slow(&mut self) -> Duration {
        MIN_SLOW.saturating_add(self.jitter.up_to(MAX_SLOW.saturating_sub(MIN_SLOW)))
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

    /// The parent asks for quick attempts again.
    pub(super) fn retry_now(&mut self) {
        self.attempt = self.attempt.min(QUICK_ATTEMPTS.saturating_sub(1));
        self.earliest = None;
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeMap, vec::Vec};

    use super::*;

    /// LINK-1: a relay that accepts and closes at once sees at most 365 attempts in its first hour.
    #[test]
    fn a_relay_that_accepts_and_closes_sees_few_attempts() {
        for seed in 0..200 {
            let mut schedule = Schedule::new(JitterRng::new(seed));
            let mut now = Instant::ZERO;
            let mut attempts = 0;
            while now < Instant::ZERO.after(Duration::from_hours(1)) {
                attempts += 1;
                now = schedule.next(now);
            }
            assert!(attempts <= 365, "{attempts}");
        }
    }

    #[test]
    fn a_retry_after_is_honoured() {
        let late = Instant::ZERO.after(Duration::from_mins(10));
        let mut schedule = Schedule::new(JitterRng::new(1));
        schedule.not_before(late);
        assert_eq!(schedule.next(Instant::ZERO), late);
        assert!(schedule.next(late) < late.after(MIN_SLOW));
    }

    /// D7, LINK-1: ten thousand devices whose relay was away for longer than their quick attempts last come back spread over their
    /// waits: no second gets more than four times the mean. After a shorter outage most are back within seconds, as people expect.
    #[test]
    fn many_devices_come_back_evenly() {
        for away in [40, 60, 600, 3_600].map(Duration::from_secs) {
            let back_at = Instant::ZERO.after(away);
            let arrivals: Vec<_> = (0..10_000).map(|seed| first_attempt_from(back_at, seed).since(back_at).as_secs()).collect();
            let mut per_second = BTreeMap::<_, u64>::new();
            for second in &arrivals {
                *per_second.entry(*second).or_default() += 1;
            }
            let seconds = arrivals.iter().max().unwrap() + 1;
            let busiest = per_second.values().max().unwrap();
            assert!(busiest * seconds <= 4 * 10_000, "{busiest} of 10000 within a second of {seconds}, away {away:?}");
            assert!(seconds <= 31, "all are back within the longest wait: {seconds}, away {away:?}");
        }
    }

    /// When a device whose link was lost at zero tries for the first time from `back_at` on. An attempt before that fails at once.
    fn first_attempt_from(back_at: Instant, seed: u64) -> Instant {
        let mut schedule = Schedule::new(JitterRng::new(seed));
        core::iter::successors(Some(Instant::ZERO), |failed| Some(schedule.next(*failed))).find(|at| *at >= back_at).unwrap()
    }
}
