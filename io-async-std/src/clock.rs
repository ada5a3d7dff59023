//! The time, and being woken at a machine's deadline.

use std::{fmt, pin::Pin};

use async_std::task::sleep;
use io_engine::{SystemClock, Timer};
use proto_core::{Deadline, Instant, WallClock};

/// The system's monotonic clock, counted from the moment this was made, with one timer.
pub struct Clock {
    time: SystemClock,
    /// What the timer is set to, and the timer.
    armed: Option<(Instant, Sleep)>,
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Clock {
    /// A clock that shows zero now.
    pub fn start() -> Self {
        Self { time: SystemClock::start(), armed: None }
    }

    /// The time since the start.
    pub fn now(&self) -> Instant {
        self.time.now()
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
            let left = at.since(self.now());
            let timer = match &mut self.armed {
                Some((armed, timer)) if *armed == at => timer,
                stale => &mut stale.insert((at, Box::pin(sleep(left)))).1,
            };
            timer.await;
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

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let armed = self.armed.as_ref().map(|(at, _)| at);
        f.debug_struct("Clock").field("time", &self.time).field("armed", &armed).finish()
    }
}
