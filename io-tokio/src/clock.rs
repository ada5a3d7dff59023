//! The time, and being woken at a machine's deadline.

use std::{pin::Pin, time::Duration};

use io_engine::Timer;
use proto_core::{Deadline, Instant, WallClock};
use tokio::time::{self, Sleep};

/// A deadline further away than this is slept for in parts.
const LONGEST_SLEEP: Duration = Duration::from_hours(24);

/// tokio's clock, counted from the moment this was made, with one timer.
#[derive(Debug)]
pub struct Clock {
    zero: time::Instant,
    timer: Pin<Box<Sleep>>,
    /// What the timer is set to.
    armed: Option<Instant>,
}

impl Clock {
    /// A clock that shows zero now.
    pub fn start() -> Self {
        let zero = time::Instant::now();
        Self { zero, timer: Box::pin(time::sleep_until(zero)), armed: None }
    }

    /// The time since the start.
    pub fn now(&self) -> Instant {
        Instant::ZERO.after(self.zero.elapsed())
    }

    /// Both clocks, read at once: what a machine is made with.
    pub fn wall(&self) -> WallClock {
        io_engine::wall_clock(self.now())
    }

    /// Waits until the deadline is reached, however early the runtime wakes up; for ever without one. Safe to cancel, and
    /// cheap to call again with the same deadline.
    pub async fn sleep_until(&mut self, deadline: Option<Deadline>) {
        let Some(Deadline { at, .. }) = deadline else { return std::future::pending().await };
        while self.now() < at {
            if self.armed != Some(at) {
                let part = at.since(self.now()).min(LONGEST_SLEEP);
                self.timer.as_mut().reset(time::Instant::now() + part);
                self.armed = Some(at);
            }
            self.timer.as_mut().await;
            self.armed = None;
        }
    }
}

impl Timer for Clock {
    fn wall(&self) -> WallClock {
        self.wall()
    }

    async fn sleep_until(&mut self, deadline: Option<Deadline>) {
        self.sleep_until(deadline).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sleep_until(clock: &mut Clock, nanos: u64) {
        clock.sleep_until(Some(Deadline::new(Instant::from_nanos(nanos), "test"))).await;
    }

    const SECOND: u64 = 1_000_000_000;

    #[tokio::test(start_paused = true)]
    async fn it_wakes_at_the_deadline_and_not_before() {
        let mut clock = Clock::start();
        for at in [SECOND, SECOND + 1, 40 * 24 * 3600 * SECOND] {
            sleep_until(&mut clock, at).await;
            let late = clock.now().since(Instant::from_nanos(at));
            assert!(clock.now() >= Instant::from_nanos(at) && late <= Duration::from_millis(2), "{late:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_deadline_replaces_the_old_one() {
        let mut clock = Clock::start();
        for far in [100 * SECOND, 50 * SECOND] {
            let cut_short = time::timeout(Duration::from_secs(1), sleep_until(&mut clock, far)).await;
            assert!(cut_short.is_err());
        }
        sleep_until(&mut clock, 3 * SECOND).await;
        assert!(clock.now() < Instant::from_nanos(4 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_in_the_past_is_reached_and_no_deadline_never_is() {
        let mut clock = Clock::start();
        time::advance(Duration::from_secs(9)).await;
        let before = clock.now();
        sleep_until(&mut clock, SECOND).await;
        assert_eq!(clock.now(), before);
        assert!(time::timeout(Duration::from_secs(1_000_000), clock.sleep_until(None)).await.is_err());
        assert!(time::timeout(Duration::from_secs(1_000_000), sleep_until(&mut clock, u64::MAX)).await.is_err());
    }
}
