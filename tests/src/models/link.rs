//! When a link may try (D7, LINK-1, S144, S145): five quick attempts, then one in 10 to 30 s, back to quick after 30 s up.

/// The attempts of a link since it was last stable. Times are milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How many failed since then.
    pub failed: u32,
    /// When it came up, if it is up.
    pub up_since: Option<u64>,
    /// When the last one ended.
    pub ended_at: u64,
}

/// What `vpd status` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The first attempt.
    Connecting,
    /// Up.
    Connected,
    /// Down, the n-th of five quick attempts.
    Reconnecting(u32),
    /// Down, and only now and then an attempt.
    Disconnected,
}

impl Attempts {
    /// How long a connection must last to count as stable.
    pub const STABLE: u64 = 30_000;
    /// Between slow attempts, at least and at most.
    pub const SLOW: (u64, u64) = (10_000, 30_000);
    /// How many attempts are quick.
    pub const QUICK: u32 = 5;

    /// The shortest and the longest time from the end of the last attempt to the next one. Quick ones are held to half a minute
    /// only, slow ones to both ends.
    pub const fn wait(&self) -> (u64, u64) {
        match self.failed {
            0 => (0, 0),
            n if n <= Self::QUICK => (0, 30_000),
            _ => Self::SLOW,
        }
    }

    /// The link came up.
    pub const fn up(&mut self, now: u64) {
        self.up_since = Some(now);
    }

    /// An attempt failed, or the connection was lost.
    pub fn down(&mut self, now: u64) {
        let was_stable = self.up_since.is_some_and(|since| now - since >= Self::STABLE);
        *self = Self { failed: if was_stable { 1 } else { self.failed + 1 }, up_since: None, ended_at: now };
    }

    /// As it is shown.
    pub const fn shown(&self) -> Shown {
        match (self.up_since, self.failed) {
            (Some(_), _) => Shown::Connected,
            (None, 0) => Shown::Connecting,
            (None, n) if n <= Self::QUICK => Shown::Reconnecting(n),
            _ => Shown::Disconnected,
        }
    }
}
