//! A pairing as its device may poll (PAIR-1 to PAIR-5, PAIR-7, PAIR-9, S8, S13, S14, D13; WIRE sections 2.1 and 2.2).

/// What one attempt may do. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Between the starts of two polls; grows with every 429, never shrinks.
    pub interval: u64,
    /// When the code ends.
    pub expires_at: u64,
    /// The poll under way: its number and when it started.
    pub under_way: Option<(u32, u64)>,
    /// When the next poll starts: not before, not after.
    pub due: (u64, u64),
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not known yet.
    Open,
    /// A user approved.
    Approved,
    /// A user denied.
    Denied,
    /// The code is no more.
    Expired,
}

/// The answer to a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// No user has decided.
    Pending,
    /// A user approved.
    Approved,
    /// A user denied.
    Denied,
    /// 404.
    NotFound,
    /// 429, with `Retry-After` in seconds.
    SlowDown(Option<u32>),
    /// Everything else: 5xx, HTML, malformed JSON, a time-out, a lost network; perhaps with `Retry-After`.
    Trouble(Option<u32>),
}

impl Attempt {
    /// A code that was shown at `now`, with what the mint answered, in seconds.
    pub fn shown(now: u64, minted_at: u64, interval: Option<u64>, expires_in: u64) -> Self {
        let interval = interval.unwrap_or(2) * 1_000;
        let expires_at = minted_at + expires_in * 1_000;
        Self { interval, expires_at, under_way: None, due: (now, now), fate: Fate::Open }
    }

    /// A poll starts.
    ///
    /// # Panics
    /// When it may not: one is under way (PAIR-2), it is too early (PAIR-1), too late (D13), or over (PAIR-3).
    pub fn poll(&mut self, now: u64, number: u32) {
        assert_eq!(self.fate, Fate::Open, "PAIR-3: a poll after the end");
        assert!(now < self.expires_at, "PAIR-3: a poll at {now}, the code ends at {}", self.expires_at);
        assert_eq!(self.under_way, None, "PAIR-2: a second poll");
        assert!((self.due.0..=self.due.1).contains(&now), "PAIR-1: a poll at {now}, due {:?}", self.due);
        self.under_way = Some((number, now));
    }

    /// An answer comes. One to another poll changes nothing (PAIR-2).
    pub fn answer(&mut self, now: u64, number: u32, answer: Answer) {
        let Some((_, started)) = self.under_way.take_if(|(under_way, _)| *under_way == number) else { return };
        if let Answer::SlowDown(_) = answer {
            self.interval += 5_000;
        }
        let regular = (started + self.interval).max(now);
        match answer {
            Answer::Pending | Answer::Trouble(None) | Answer::SlowDown(None) => self.due = (regular, regular),
            // A cap is allowed (PAIR-1), but not below a minute.
            Answer::SlowDown(Some(seconds)) | Answer::Trouble(Some(seconds)) => {
                let asked = |most: u64| regular.max(now + u64::from(seconds).min(most) * 1_000);
                self.due = (asked(60), asked(u64::MAX / 2_000));
            }
            Answer::Approved => self.fate = Fate::Approved,
            Answer::Denied => self.fate = Fate::Denied,
            Answer::NotFound => self.fate = Fate::Expired,
        }
        self.pass(now);
    }

    /// Time has passed: an open attempt with nothing under way ends with its code.
    pub fn pass(&mut self, now: u64) {
        if self.fate == Fate::Open && self.under_way.is_none() && now >= self.expires_at {
            self.fate = Fate::Expired;
        }
    }
}
