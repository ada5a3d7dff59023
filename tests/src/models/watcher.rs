//! When a viewer may say that the relay has named all of its sessions, and what it says then.

use std::collections::BTreeSet;

/// Without a further name for so many milliseconds the relay has named all that it has.
const QUIET: u64 = 500;

/// A list waits so many milliseconds for what runs in the sessions, which no daemon says here.
const UNTOLD: u64 = 3_000;

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A list.
    All,
    /// This session.
    This(u8),
    /// The only one.
    TheOnly,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These sessions are listed.
    Listed(BTreeSet<u8>),
    /// There is no such session.
    Unknown,
    /// This one is shown from now on.
    Shown(u8),
}

/// What a person who reads the relay's words with a watch in hand would say.
#[derive(Clone, Debug)]
pub struct Reader {
    wish: Wish,
    named: BTreeSet<u8>,
    /// Milliseconds at which the relay last came or named a session, while it is there.
    heard: Option<u64>,
    outcome: Option<Outcome>,
}

impl Reader {
    /// Before anything arrived.
    pub const fn new(wish: Wish) -> Self {
        Self { wish, named: BTreeSet::new(), heard: None, outcome: None }
    }

    /// The relay is there.
    pub const fn comes(&mut self, at: u64) {
        self.heard = Some(at);
    }

    /// It is away.
    pub const fn goes(&mut self) {
        self.heard = None;
    }

    /// It names a session.
    pub fn names(&mut self, session: u8, at: u64) {
        self.named.insert(session);
        self.heard = Some(at);
        if self.outcome.is_none() && self.wish == Wish::This(session) {
            self.outcome = Some(Outcome::Shown(session));
        }
    }

    /// Time has come so far.
    pub fn reads_on(&mut self, now: u64) {
        if self.outcome.is_none() && self.decides_at().is_some_and(|at| at <= now) {
            self.outcome = Some(self.decides());
        }
    }

    /// What is decided.
    pub const fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    fn decides_at(&self) -> Option<u64> {
        let wait = match (self.wish, self.named.len()) {
            (Wish::TheOnly, 0) => return None,
            (Wish::This(_), _) | (Wish::All, 0) | (Wish::TheOnly, 1) => QUIET,
            (Wish::All | Wish::TheOnly, _) => UNTOLD,
        };
        self.heard.map(|at| at + wait)
    }

    fn decides(&self) -> Outcome {
        match (self.wish, self.named.first()) {
            (Wish::This(_), _) => Outcome::Unknown,
            (Wish::TheOnly, Some(only)) if self.named.len() == 1 => Outcome::Shown(*only),
            _ => Outcome::Listed(self.named.clone()),
        }
    }
}
