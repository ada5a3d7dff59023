//! A cache of the platform's keys (JWT-5, S178, S181): the last list, when it came, and every fetch there ever was.

use std::collections::{BTreeMap, BTreeSet};

/// The cache. Times are milliseconds; keys and questions have numbers.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// The keys that the last good fetch brought, and when.
    pub held: Option<(u64, BTreeSet<u8>)>,
    /// When each fetch began.
    pub fetches: Vec<u64>,
    /// When the latest fetch of all began.
    pub latest: Option<u64>,
    /// Whether one is under way.
    pub is_fetching: bool,
    /// Whether the latest fetch that ended was a good one.
    pub is_reachable: bool,
    /// Questions that wait for an answer: the key each asks for, and since when.
    pub waiting: BTreeMap<u64, (u8, u64)>,
}

impl Cache {
    /// How long a list counts (S181), and how long it does while the endpoint is down.
    pub const LIFE: u64 = 3_600_000;
    /// See [`Self::LIFE`].
    pub const STALE_LIFE: u64 = 24 * Self::LIFE;
    /// Fetches per minute (JWT-5).
    pub const PER_MINUTE: usize = 6;

    /// A fetch begins, by itself or for a question.
    ///
    /// # Panics
    /// When there were too many, or one is under way. Before there ever was a list the cache's own patience counts; a question
    /// shortens it to ten seconds.
    pub fn fetch(&mut self, now: u64, is_for_question: bool) {
        assert!(!self.is_fetching, "one fetch at a time");
        let latest = self.latest.replace(now);
        if self.held.is_none() {
            let is_early = latest.is_some_and(|at| now - at < 10_000);
            assert!(!(is_for_question && is_early), "JWT-5: a question brought a fetch forward too far");
            self.is_fetching = true;
            return;
        }
        let recent = self.fetches.iter().filter(|at| now - **at < 60_000).count();
        assert!(recent < Self::PER_MINUTE, "JWT-5: {recent} fetches within a minute before {now}");
        self.fetches.push(now);
        self.is_fetching = true;
    }

    /// The fetch ended: with a list of keys, or with nothing.
    pub fn fetched(&mut self, now: u64, keys: Option<BTreeSet<u8>>) {
        self.is_fetching = false;
        self.is_reachable = keys.is_some();
        if let Some(keys) = keys {
            self.held = Some((now, keys));
        }
    }

    /// A question was answered: the key was found, is unknown, or cannot be looked up.
    ///
    /// # Panics
    /// When it was not asked, or the answer is not true.
    pub fn answered(&mut self, now: u64, question: u64, answer: Answer) {
        let (key, _) = self.waiting.remove(&question).expect("an answer to a question, once");
        let life = if self.is_reachable { Self::LIFE } else { Self::STALE_LIFE };
        let held = self.held.as_ref().filter(|(at, _)| now - at < life);
        let has = held.is_some_and(|(_, keys)| keys.contains(&key));
        match answer {
            Answer::Found => assert!(has, "JWT-5: a key that the platform does not name, or not any more"),
            Answer::Unknown => assert!(held.is_some() && !has && self.is_reachable, "the platform was not asked"),
            Answer::Unreachable => assert!(!has && !self.is_reachable, "JWT-5: stale keys serve while the endpoint is down"),
        }
    }

    /// At rest every question has its answer, unless a fetch is under way or is due within its distance.
    ///
    /// # Panics
    /// When one waits for nothing.
    pub fn rest(&self, now: u64) {
        for (key, since) in self.waiting.values() {
            assert!(self.is_fetching || now - since <= 10_000, "key {key} has been waited for since {since}");
        }
    }
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Here it is.
    Found,
    /// There is none.
    Unknown,
    /// The endpoint does not answer.
    Unreachable,
}
