//! The only source of wall-clock time, so that tests decide.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use proto_core::{Instant, UnixTime};
use tokio::sync::watch;

/// A wall clock in whole seconds.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<watch::Sender<UnixTime>>),
}

impl Clock {
    /// The operating system's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `now` and moves only by [`Clock::advance`].
    pub fn manual(now: UnixTime) -> Self {
        Self(Source::Manual(Arc::new(watch::Sender::new(now))))
    }

    /// Moves a manual clock, and all its clones, forward. Tasks that sleep by it and are due wake. The system's clock stays.
    pub fn advance(&self, seconds: u64) {
        if let Source::Manual(shown) = &self.0 {
            shown.send_modify(|now| *now = now.plus(seconds));
        }
    }

    /// What it shows; zero on a machine whose clock is before 1970.
    pub fn now(&self) -> UnixTime {
        match &self.0 {
            Source::System => {
                UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since_epoch| since_epoch.as_secs()))
            }
            Source::Manual(shown) => *shown.borrow(),
        }
    }

    /// Returns `seconds` later.
    pub async fn sleep(&self, seconds: u64) {
        match &self.0 {
            Source::System => tokio::time::sleep(Duration::from_secs(seconds)).await,
            Source::Manual(shown) => {
                let due = self.now().plus(seconds);
                // The sender lives in `self`, so waiting cannot fail.
                let _ = shown.subscribe().wait_for(|now| *now >= due).await;
            }
        }
    }
}

/// `time` on the axis that the platform gives to machines: nanoseconds since 1970, the same after every restart.
pub(crate) const fn moment(time: UnixTime) -> Instant {
    Instant::ZERO.after(Duration::from_secs(time.0))
}

/// The way back from [`moment`].
pub(crate) const fn unix(moment: Instant) -> UnixTime {
    UnixTime(moment.since(Instant::ZERO).as_secs())
}
