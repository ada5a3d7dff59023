//! Both clocks of the operating system, as data.

use std::time::{SystemTime, UNIX_EPOCH};

use proto_core::{Instant, UnixTime, WallClock};

/// The monotonic clock, counted from the moment this was made.
///
/// On Linux it stands still while the machine sleeps; the wall clock does not, so the loop gives its machine the new [`wall_clock`]
/// when the two have drifted apart.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    zero: std::time::Instant,
}

impl SystemClock {
    /// A clock that shows zero now.
    pub fn start() -> Self {
        Self { zero: std::time::Instant::now() }
    }

    /// The time since the start.
    pub fn now(&self) -> Instant {
        Instant::ZERO.after(self.zero.elapsed())
    }
}

/// What the wall clock shows at the moment `now` of a driver's monotonic clock. A clock set before 1970 shows 1970.
pub fn wall_clock(now: Instant) -> WallClock {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallClock::new(now, UnixTime(since_1970.as_secs()))
}

/// A wall clock that is this far, in seconds, from where it should be was set, or the machine slept.
const STEP: u64 = 5;

/// Notices that the wall clock was set, or went on while the machine slept and the monotonic clock stood still.
#[derive(Clone, Copy, Debug)]
pub struct ClockStepDetector {
    expected: WallClock,
}

impl ClockStepDetector {
    /// Watches from a reading of both clocks on.
    pub const fn new(wall: WallClock) -> Self {
        Self { expected: wall }
    }

    /// Whether `wall`, taken at `now`, is not where the clocks ran to by themselves.
    pub const fn notices(&self, now: Instant, wall: WallClock) -> bool {
        self.expected.unix_at(now).0.abs_diff(wall.unix_at(now).0) >= STEP
    }

    /// The new reading `wall`, taken at `now`, when it is not where the clocks ran to by themselves: what the machine has to be
    /// told.
    pub const fn stepped(&mut self, now: Instant, wall: WallClock) -> Option<WallClock> {
        if !self.notices(now, wall) {
            return None;
        }
        self.expected = wall;
        Some(wall)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let clock = SystemClock::start();
        let earlier = clock.now();
        assert!(clock.now() >= earlier);
    }

    #[test]
    fn a_sleep_and_a_clock_that_was_set_are_noticed_once() {
        let at = |seconds| Instant::ZERO.after(Duration::from_secs(seconds));
        let mut watch = ClockStepDetector::new(WallClock::new(at(1), UnixTime(1_000)));
        for (now, unix, is_step) in
            [(2, 1_001, false), (9, 1_012, false), (10, 4_609, true), (11, 4_610, false), (12, 700, true), (13, 701, false)]
        {
            let wall = WallClock::new(at(now), UnixTime(unix));
            assert_eq!(watch.stepped(at(now), wall), is_step.then_some(wall), "{now}");
        }
    }

    #[test]
    fn the_wall_clock_is_past_the_day_this_was_written() {
        let now = Instant::from_nanos(5);
        assert!(wall_clock(now).unix_at(now) > UnixTime(1_790_000_000));
    }
}
