//! The time that credentials and proofs go by, on a device whose own clock may be wrong (D19).
//!
//! Stamps in credentials are the platform's, and a proof has to be dated within five minutes of the platform's time. A device
//! learns that time from the `Date` of the platform's answers that no cache may keep, refusals too: no other source is asked. It is
//! trusted as far as the answer itself, which by `https` is the platform's own, and by `http` whatever is between; so it decides
//! when to renew and how to date a proof, which the platform judges in the end, and by which time the platform's own fresh
//! credential is looked at. It ends nothing that is durable.
//!
//! What was learnt holds until the device's wall clock is set or the computer slept: then the two cannot be told apart, the
//! device's own clock counts again, and the next answer corrects it.

use crate::{Instant, UnixTime, WallClock};

/// How far off the device's clock may be before the platform's time counts instead, in seconds: an answer may be that old, and
/// verifiers allow twice as much.
pub const TOLERANCE: u64 = 30;

/// A device's clock, and the platform's time where that is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlatformClock {
    own: WallClock,
    stated: Option<WallClock>,
}

impl PlatformClock {
    /// As long as nothing else is known, the device's own.
    pub const fn new(own: WallClock) -> Self {
        Self { own, stated: None }
    }

    /// The best that is known.
    pub const fn best(&self) -> WallClock {
        match self.stated {
            Some(stated) => stated,
            None => self.own,
        }
    }

    /// The device's own, for stamps that only this device reads.
    pub const fn own(&self) -> WallClock {
        self.own
    }

    /// Takes note of the time that the platform states at `now`. Whether that is another one than was gone by so far.
    pub fn learn(&mut self, now: Instant, stated: UnixTime) -> bool {
        let is_near = |clock: WallClock| apart(clock.unix_at(now), stated) <= TOLERANCE;
        if is_near(self.best()) {
            return false;
        }
        self.stated = Some(WallClock::new(now, stated)).filter(|_| !is_near(self.own));
        true
    }

    /// The device's clock was set, or the computer slept.
    pub const fn set(&mut self, own: WallClock) {
        *self = Self::new(own);
    }

    /// Whether `own` is the reading that the device's clock has shown so far.
    pub fn agrees_with(&self, own: WallClock) -> bool {
        self.own.agrees_with(own)
    }

    /// By how many seconds the device's clock is wrong, as far as the platform has said: positive when it is ahead.
    pub fn ahead(&self, now: Instant) -> Option<i64> {
        let (own, stated) = (self.own.unix_at(now), self.stated?.unix_at(now));
        let amount = i64::try_from(apart(own, stated)).unwrap_or(i64::MAX);
        Some(if own > stated { amount } else { amount.saturating_neg() })
    }
}

const fn apart(a: UnixTime, b: UnixTime) -> u64 {
    a.0.abs_diff(b.0)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const START: Instant = Instant::from_nanos(7_000_000_000);
    const UNIX: UnixTime = UnixTime(1_700_000_000);

    fn clock() -> PlatformClock {
        PlatformClock::new(WallClock::new(START, UNIX))
    }

    fn later(seconds: u64) -> Instant {
        START.after(Duration::from_secs(seconds))
    }

    #[test]
    fn what_is_near_changes_nothing() {
        let mut clock = clock();
        for stated in [UNIX.0 - TOLERANCE, UNIX.0, UNIX.0 + TOLERANCE] {
            assert!(!clock.learn(START, UnixTime(stated)));
        }
        assert_eq!((clock.best(), clock.ahead(START)), (WallClock::new(START, UNIX), None));
    }

    #[test]
    fn what_is_further_off_counts_from_then_on() {
        for (stated, ahead) in [(UNIX.0 - 7_200, 7_200), (UNIX.0 + 31, -31), (0, 1_700_000_000), (u64::MAX, i64::MIN + 1)] {
            let mut clock = clock();
            assert!(clock.learn(START, UnixTime(stated)), "{stated}");
            assert!(!clock.learn(START, UnixTime(stated)), "{stated}: said once");
            assert_eq!(clock.best().unix_at(later(10)), UnixTime(stated).plus(10));
            assert_eq!(clock.ahead(START), Some(if stated == u64::MAX { i64::MIN + 1 } else { ahead }));
        }
    }

    /// The platform was wrong, or the device's clock was, and is right now.
    #[test]
    fn a_device_that_agrees_again_goes_by_itself() {
        let mut clock = clock();
        assert!(clock.learn(START, UNIX.plus(3_600)));
        assert!(clock.learn(later(5), UNIX.plus(5)));
        assert_eq!((clock.best(), clock.ahead(later(5))), (WallClock::new(START, UNIX), None));
        assert!(clock.learn(later(5), UNIX.plus(3_605)));
        let set = WallClock::new(later(9), UNIX.plus(3_609));
        assert!(!clock.agrees_with(set));
        clock.set(set);
        assert!(clock.agrees_with(set));
        assert_eq!((clock.best(), clock.ahead(later(9))), (set, None));
    }
}
