//! How often somebody may do something: an exact sliding window per key, bounded in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use proto_core::UnixTime;

use crate::error::Error;

/// The most keys that are remembered; beyond, the one that has been quiet longest is forgotten.
const MAX_KEYS: usize = 16_384;

/// Never lets a key act more than `most` times within any `window`, whatever the arrival times (PAIR-12).
#[derive(Debug)]
pub(crate) struct Limiter {
    most: usize,
    window: u64,
    acts: Mutex<BTreeMap<String, VecDeque<UnixTime>>>,
}

impl Limiter {
    /// `most` acts per `window` seconds and key. A `most` of 0 switches the limit off.
    pub(crate) const fn new(most: usize, window: u64) -> Self {
        Self { most, window, acts: Mutex::new(BTreeMap::new()) }
    }

    /// Counts one act of `key`.
    ///
    /// # Errors
    /// [`Error::Limited`] when there were too many; that act is not counted.
    pub(crate) fn act(&self, key: &str, now: UnixTime) -> Result<(), Error> {
        self.check(key, now)?;
        if self.most > 0 {
            let mut acts = self.acts.lock().unwrap_or_else(PoisonError::into_inner);
            if acts.len() >= MAX_KEYS && !acts.contains_key(key) {
                forget_the_quietest(&mut acts);
            }
            acts.entry(key.to_owned()).or_default().push_back(now);
        }
        Ok(())
    }

    /// Whether `key` may act, without counting.
    ///
    /// # Errors
    /// [`Error::Limited`] when not.
    pub(crate) fn check(&self, key: &str, now: UnixTime) -> Result<(), Error> {
        let mut acts = self.acts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(times) = acts.get_mut(key) else { return Ok(()) };
        while times.front().is_some_and(|oldest| now.since(*oldest) >= self.window) {
            times.pop_front();
        }
        match times.front() {
            Some(oldest) if self.most > 0 && times.len() >= self.most => {
                Err(Error::Limited(self.window.saturating_sub(now.since(*oldest)).max(1)))
            }
            Some(_) => Ok(()),
            None => {
                acts.remove(key);
                Ok(())
            }
        }
    }

    /// Forgets what `key` did.
    pub(crate) fn forgive(&self, key: &str) {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

fn forget_the_quietest(acts: &mut BTreeMap<String, VecDeque<UnixTime>>) {
    let quietest = acts.iter().min_by_key(|(_, times)| times.back().copied()).map(|(key, _)| key.clone());
    if let Some(key) = quietest {
        acts.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_holds_more_than_the_limit() {
        let limiter = Limiter::new(3, 10);
        let mut passed = Vec::new();
        for now in 0..200 {
            for _ in 0..(now % 3) {
                if limiter.act("a", UnixTime(now)).is_ok() {
                    passed.push(now);
                }
            }
        }
        assert!(passed.len() > 30);
        for start in 0..200 {
            let within = passed.iter().filter(|at| (start..start + 10).contains(*at)).count();
            assert!(within <= 3, "{within} acts from {start} on");
        }
    }

    #[test]
    fn keys_are_apart_bounded_and_forgiven() {
        let limiter = Limiter::new(1, 10);
        assert!(limiter.act("a", UnixTime(0)).is_ok());
        assert!(matches!(limiter.act("a", UnixTime(4)), Err(Error::Limited(6))));
        assert!(limiter.act("b", UnixTime(4)).is_ok());
        limiter.forgive("a");
        assert!(limiter.act("a", UnixTime(5)).is_ok());
        for n in 0..MAX_KEYS + 10 {
            limiter.act(&format!("key {n}"), UnixTime(6)).unwrap();
        }
        assert_eq!(limiter.acts.lock().unwrap().len(), MAX_KEYS);
    }

    #[test]
    fn zero_is_off() {
        let limiter = Limiter::new(0, 10);
        assert!((0..100).all(|_| limiter.act("a", UnixTime(0)).is_ok()));
    }
}
