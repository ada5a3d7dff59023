//! How often a caller may do something: exact windows, and waits that grow with failures (PAIR-12, ADM-3).
//!
//! [`Window`] is for acts that cost something whether or not they succeed: so many in any stretch of time. [`Waits`] is for
//! guessing: the first failures cost nothing, then each one doubles the wait until the next try. Both are bounded in memory; keys
//! are whatever callers are told apart by.

#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, VecDeque};

use crate::machine::time::UnixTime;

/// The most keys that one limit remembers; beyond, those whose time is over go, then the one that was quiet longest.
pub const MAX_KEYS: usize = 16_384;

/// Never lets a key act more than `most` times within any `window`, whatever the arrival times.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window<K> {
    most: usize,
    seconds: u64,
    /// When each key acted within the window, oldest first; never empty.
    acts: BTreeMap<K, VecDeque<UnixTime>>,
}

impl<K: Ord + Clone> Window<K> {
    /// `most` acts per `window` seconds and key. A `most` of 0 switches the limit off.
    pub const fn new(most: usize, window: u64) -> Self {
        Self { most, seconds: window, acts: BTreeMap::new() }
    }

    /// Counts one act of `key`.
    ///
    /// # Errors
    /// The seconds until `key` may act again, at least one; the act is not counted.
    pub fn act(&mut self, key: &K, now: UnixTime) -> Result<(), u64> {
        self.check(key, now)?;
        if self.most == 0 {
            return Ok(());
        }
        if !self.acts.contains_key(key) {
            let seconds = self.seconds;
            make_room(&mut self.acts, |times| times.back().map(|last| last.plus(seconds)), now);
        }
        self.acts.entry(key.clone()).or_default().push_back(now);
        Ok(())
    }

    /// Whether `key` may act, without counting.
    ///
    /// # Errors
    /// The seconds until it may, at least one.
    pub fn check(&mut self, key: &K, now: UnixTime) -> Result<(), u64> {
        let Some(times) = self.acts.get_mut(key) else { return Ok(()) };
        while times.front().is_some_and(|oldest| now.since(*oldest) >= self.seconds) {
            times.pop_front();
        }
        match times.front() {
            Some(oldest) if times.len() >= self.most => Err(self.seconds.saturating_sub(now.since(*oldest))),
            Some(_) => Ok(()),
            None => {
                self.acts.remove(key);
                Ok(())
            }
        }
    }

    /// Forgets what `key` did.
    pub fn reset(&mut self, key: &K) {
        self.acts.remove(key);
    }
}

/// How waits grow: in seconds, but for `free`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Growth {
    /// So many failures cost nothing.
    pub free: u32,
    /// The wait after one more; it doubles with each further one.
    pub first: u64,
    /// The longest wait.
    pub most: u64,
    /// After so long without a failure, all are forgotten. Longer than `most`.
    pub forgotten_after: u64,
}

impl Growth {
    /// How long to wait after so many failures.
    fn wait(&self, failures: u32) -> u64 {
        match failures.checked_sub(self.free) {
            None | Some(0) => 0,
            Some(more) => self.first.saturating_mul(2_u64.saturating_pow(more.saturating_sub(1))).min(self.most),
        }
    }
}

/// Makes each key wait the longer, the more often it failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Waits<K> {
    growth: Growth,
    /// How often each key failed, and when it did last.
    failures: BTreeMap<K, (u32, UnixTime)>,
}

impl<K: Ord + Clone> Waits<K> {
    /// No caller has failed yet.
    pub const fn new(growth: Growth) -> Self {
        Self { growth, failures: BTreeMap::new() }
    }

    /// How many seconds lie between `key`'s latest failure and its next try.
    pub fn wait(&self, key: &K, now: UnixTime) -> u64 {
        self.failures.get(key).map_or(0, |(count, last)| if self.is_over(*last, now) { 0 } else { self.growth.wait(*count) })
    }

    /// Whether `key` may try.
    ///
    /// # Errors
    /// The seconds until it may, at least one.
    pub fn check(&self, key: &K, now: UnixTime) -> Result<(), u64> {
        let Some((_, last)) = self.failures.get(key) else { return Ok(()) };
        match self.wait(key, now).saturating_sub(now.since(*last)) {
            0 => Ok(()),
            left => Err(left),
        }
    }

    /// `key` tried and failed.
    pub fn failed(&mut self, key: &K, now: UnixTime) {
        let before = self.failures.get(key).map_or(0, |(count, last)| if self.is_over(*last, now) { 0 } else { *count });
        if before == 0 && !self.failures.contains_key(key) {
            let forgotten_after = self.growth.forgotten_after;
            make_room(&mut self.failures, |(_, last)| Some(last.plus(forgotten_after)), now);
        }
        self.failures.insert(key.clone(), (before.saturating_add(1), now));
    }

    /// The latest try of `key`, which was counted as failed, did not fail after all.
    pub fn take_back(&mut self, key: &K) {
        if let Some((count, _)) = self.failures.get_mut(key) {
            *count = count.saturating_sub(1);
        }
    }

    const fn is_over(&self, last: UnixTime, now: UnixTime) -> bool {
        now.since(last) >= self.growth.forgotten_after
    }
}

/// Makes room for one more key where there are [`MAX_KEYS`]; `ends` says when a key's time is over.
fn make_room<K: Ord + Clone, V>(known: &mut BTreeMap<K, V>, ends: impl Fn(&V) -> Option<UnixTime>, now: UnixTime) {
    if known.len() < MAX_KEYS {
        return;
    }
    known.retain(|_, value| ends(value).is_some_and(|end| end > now));
    if known.len() < MAX_KEYS {
        return;
    }
    let quietest = known.iter().min_by_key(|(_, value)| ends(value)).map(|(key, _)| key.clone());
    if let Some(key) = quietest {
        known.remove(&key);
    }
}
