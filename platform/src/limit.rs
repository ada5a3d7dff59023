//! The limits of the core behind a lock: refusals become [`Error::Limited`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use proto_core::{
    UnixTime,
    platform::rate::{Growth, Waits, Window},
};

use crate::error::Error;

/// Never lets a key act more than so many times within any window (PAIR-12).
#[derive(Debug)]
pub(crate) struct Limiter(Mutex<Window<String>>);

impl Limiter {
    /// `most` acts per `window` seconds and key. A `most` of 0 switches the limit off.
    pub(crate) const fn new(most: usize, window: u64) -> Self {
        Self(Mutex::new(Window::new(most, window)))
    }

    /// Counts one act of `key`.
    ///
    /// # Errors
    /// [`Error::Limited`] when there were too many; that act is not counted.
    pub(crate) fn act(&self, key: &str, now: UnixTime) -> Result<(), Error> {
        self.window().act(&key.to_owned(), now).map_err(Error::Limited)
    }

    /// Whether `key` may act, without counting.
    ///
    /// # Errors
    /// [`Error::Limited`] when not.
    pub(crate) fn check(&self, key: &str, now: UnixTime) -> Result<(), Error> {
        self.window().check(&key.to_owned(), now).map_err(Error::Limited)
    }

    /// Forgets what `key` did.
    pub(crate) fn reset(&self, key: &str) {
        self.window().reset(&key.to_owned());
    }

    fn window(&self) -> MutexGuard<'_, Window<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a key wait the longer, the more often it guessed wrong.
#[derive(Debug)]
pub(crate) struct GrowingDelay(Mutex<Waits<String>>);

impl GrowingDelay {
    pub(crate) const fn new(growth: Growth) -> Self {
        Self(Mutex::new(Waits::new(growth)))
    }

    /// Counts a guess of `key` as wrong, before it is looked at, so that many at once do not pass together.
    ///
    /// # Errors
    /// [`Error::Limited`] while `key` has to wait; that guess is not counted.
    pub(crate) fn begin(&self, key: &str, now: UnixTime) -> Result<(), Error> {
        let mut waits = self.waits();
        waits.check(&key.to_owned(), now).map_err(Error::Limited)?;
        waits.failed(&key.to_owned(), now);
        Ok(())
    }

    /// Counts a guess of `key` as wrong, and says for how many seconds it is to be held up.
    pub(crate) fn slow(&self, key: &str, now: UnixTime) -> u64 {
        let mut waits = self.waits();
        let wait = waits.wait(&key.to_owned(), now);
        waits.failed(&key.to_owned(), now);
        wait
    }

    /// The guess that was counted last was right after all.
    pub(crate) fn was_right(&self, key: &str) {
        self.waits().take_back(&key.to_owned());
    }

    fn waits(&self) -> MutexGuard<'_, Waits<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
