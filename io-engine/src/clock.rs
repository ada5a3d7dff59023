//! Both clocks of the operating system, as data.

use std::time::{SystemTime, UNIX_EPOCH};

use proto_core::{Instant, UnixTime, WallClock};

/// The monotonic clock, counted from the moment this was made.
///
/// On Linux it stands still while the machine sleeps; the wall clock does not, so a driver takes a new [`wall_clock`] when the
/// two have drifted apart.
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

    /// When that moment is for the operating system; `None` beyond what it can express.
    pub fn system_instant(&self, at: Instant) -> Option<std::time::Instant> {
        self.zero.checked_add(at.since(Instant::ZERO))
    }
}

/// What the wall clock shows at the moment `now` of a driver's monotonic clock. A clock set before 1970 shows 1970.
pub fn wall_clock(now: Instant) -> WallClock {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallClock::new(now, UnixTime(since_1970.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let clock = SystemClock::start();
        let earlier = clock.now();
        assert!(clock.now() >= earlier);
        assert!(clock.system_instant(earlier).is_some());
    }

    #[test]
    fn the_wall_clock_is_past_the_day_this_was_written() {
        let now = Instant::from_nanos(5);
        assert!(wall_clock(now).unix_at(now) > UnixTime(1_790_000_000));
    }
}
