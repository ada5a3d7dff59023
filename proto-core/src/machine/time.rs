//! Monotonic time as the driver counts it, and the wall clock as data.

use core::{
    hash::{Hash, Hasher},
    time::Duration,
};

use serde::{Deserialize, Serialize};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A moment on a monotonic axis that the driver chooses: nanoseconds since its zero.
///
/// Comparable only with moments of the same driver. Arithmetic saturates: there is no moment before zero or after
/// about 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Instant(u64);

/// Writes an `i128`, as nothing else in a machine does: so a hasher can tell moments from numbers and take them relative to
/// its own now, and machines that differ only by a shift in time have one fingerprint.
impl Hash for Instant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_i128(self.0.into());
    }
}

impl Instant {
    /// The driver's zero.
    pub const ZERO: Self = Self(0);
    /// The end of time; a deadline here never fires.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the driver's zero.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the driver's zero.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The moment `by` later.
    #[must_use]
    pub const fn after(self, by: Duration) -> Self {
        let nanos = by.as_secs().saturating_mul(NANOS_PER_SECOND).saturating_add(by.subsec_nanos() as u64);
        Self(self.0.saturating_add(nanos))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Seconds since 1970-01-01T00:00:00Z: a stamp in a token or a file, never a clock to wait by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// The stamp `seconds` later.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One reading of both clocks, from which stamps are mapped to moments and back.
///
/// The driver takes one at start and again after a suspend or a clock step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WallClock {
    at: Instant,
    unix: UnixTime,
}

impl WallClock {
    /// At the moment `at` the wall clock showed `unix`.
    pub const fn new(at: Instant, unix: UnixTime) -> Self {
        Self { at, unix }
    }

    /// The moment of the reading.
    pub const fn at(self) -> Instant {
        self.at
    }

    /// Whether both readings map every stamp to the same moment.
    pub fn agrees_with(self, other: Self) -> bool {
        self.moment_of(other.unix) == other.at
    }

    /// What the wall clock shows at `now`.
    pub const fn unix_at(&self, now: Instant) -> UnixTime {
        let ahead = now.since(self.at).as_secs();
        // Rounded down as well, so that readings that agree show the same at every moment.
        let behind = self.at.0.saturating_sub(now.0).div_ceil(NANOS_PER_SECOND);
        UnixTime(self.unix.0.saturating_add(ahead).saturating_sub(behind))
    }

    /// The moment at which the wall clock will show `stamp`; [`Instant::ZERO`] when that lies before the driver's zero.
    pub const fn moment_of(&self, stamp: UnixTime) -> Instant {
        let ahead = Duration::from_secs(stamp.since(self.unix));
        let behind = Duration::from_secs(self.unix.since(stamp));
        let later = self.at.after(ahead);
        Instant::from_nanos(later.as_nanos().saturating_sub(Instant::ZERO.after(behind).as_nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fingerprint;

    /// Moments are told apart where machines are compared by their fingerprints, and from plain numbers too.
    #[test]
    fn moments_have_fingerprints_of_their_own() {
        let at = |nanos| fingerprint(&Instant::from_nanos(nanos));
        assert_eq!(at(5), fingerprint(&5_i128));
        assert_ne!(at(5), at(6));
        assert_ne!(at(5), fingerprint(&5_u64));
    }

    #[test]
    fn stamps_map_to_moments_and_back() {
        let clock = WallClock::new(Instant::from_nanos(5_000_000_000), UnixTime(1_000));
        assert_eq!(clock.unix_at(Instant::from_nanos(7_000_000_000)), UnixTime(1_002));
        assert_eq!(clock.unix_at(Instant::from_nanos(3_000_000_000)), UnixTime(998));
        assert_eq!(clock.moment_of(UnixTime(1_002)), Instant::from_nanos(7_000_000_000));
        assert_eq!(clock.moment_of(UnixTime(998)), Instant::from_nanos(3_000_000_000));
        assert_eq!(clock.moment_of(UnixTime(0)), Instant::ZERO);
        assert_eq!(clock.moment_of(UnixTime(u64::MAX)), Instant::MAX);
    }

    /// A reading that was taken later agrees, one of a clock that was set does not, be it by a second.
    #[test]
    fn readings_agree_unless_a_clock_was_set() {
        let read = |nanos, unix| WallClock::new(Instant::from_nanos(nanos), UnixTime(unix));
        let first = read(5_000_000_000, 1_000);
        for (other, agrees) in [
            (first, true),
            (read(9_000_000_000, 1_004), true),
            (read(2_000_000_000, 997), true),
            (read(9_000_000_000, 1_005), false),
            (read(5_000_000_001, 1_000), false),
        ] {
            assert_eq!((first.agrees_with(other), other.agrees_with(first)), (agrees, agrees), "{other:?}");
            for nanos in [0, 1, 1_999_999_999, 4_999_999_999, 5_000_000_000, 8_000_000_001, 60_000_000_000] {
                let now = Instant::from_nanos(nanos);
                assert!(!agrees || first.unix_at(now) == other.unix_at(now), "{other:?} at {now:?}");
            }
        }
        assert_eq!(first.at(), Instant::from_nanos(5_000_000_000));
    }
}
