//! What happened: to stdout through `tracing`, into a bounded ring for `/logs`, and counted by reason for `/metrics`.
//!
//! Never a token, a key or content: an [`Entry`] has no place for them.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use proto_core::{GivenId, OrgId, Reason};

/// How many entries `/logs` remembers.
const REMEMBERED: usize = 4096;

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What happened, in one or two words.
    pub(crate) what: &'static str,
    /// Why, where something was refused or failed.
    pub(crate) reason: Option<Reason>,
    /// How far a connection had come.
    pub(crate) stage: Option<&'static str>,
    /// Whose connection it is.
    pub(crate) address: Option<IpAddr>,
    pub(crate) org: Option<OrgId>,
    pub(crate) target: Option<GivenId>,
    /// A number that belongs to it: keys, revocations.
    pub(crate) count: Option<usize>,
}

impl Entry {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what, reason: None, stage: None, address: None, org: None, target: None, count: None }
    }
}

/// `refused reason=token_expired stage=deciding address=192.0.2.1: JWT validation failed: token expired`
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        let reason = self.reason.map(Reason::code);
        field(f, "reason", reason)?;
        field(f, "stage", self.stage)?;
        field(f, "org", self.org.as_ref())?;
        field(f, "target", self.target.as_ref())?;
        field(f, "address", self.address)?;
        field(f, "count", self.count)?;
        match self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

fn field(f: &mut fmt::Formatter<'_>, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {name}={value}"))
}

/// The ring and the counts.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ring: VecDeque<(Timestamp, Entry)>,
    counts: BTreeMap<Counted, u64>,
}

/// What entries are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counted {
    pub(crate) what: &'static str,
    pub(crate) stage: Option<&'static str>,
    pub(crate) reason: Option<Reason>,
}

impl Journal {
    /// Writes it down.
    pub(crate) fn record(&self, entry: Entry) {
        if entry.reason.is_some() {
            tracing::warn!("{entry}");
        } else {
            tracing::info!("{entry}");
        }
        let mut inner = self.lock();
        let counted = Counted { what: entry.what, stage: entry.stage, reason: entry.reason };
        *inner.counts.entry(counted).or_default() += 1;
        if inner.ring.len() >= REMEMBERED {
            inner.ring.pop_front();
        }
        inner.ring.push_back((Timestamp::now(), entry));
    }

    /// The remembered entries from `since` on, oldest first, a line each.
    pub(crate) fn lines(&self, since: Timestamp) -> String {
        let inner = self.lock();
        let lines = inner.ring.iter().filter(|(at, _)| *at >= since).map(|(at, entry)| format!("{at:.3} {entry}\n"));
        lines.collect()
    }

    /// How often each reason stands among them, the most frequent first, and what to do about it.
    pub(crate) fn summary(&self, since: Timestamp) -> String {
        let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
        for (_, entry) in self.lock().ring.iter().filter(|(at, _)| *at >= since) {
            if let Some(reason) = entry.reason {
                *counts.entry(reason).or_default() += 1;
            }
        }
        let mut rows: Vec<_> = counts.into_iter().collect();
        rows.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
        let rows = rows.into_iter().map(|(reason, count)| {
            format!("{count:>6}  {:<26}  {}\n{:>36}{}\n", reason.code(), reason.summary(), "→ ", reason.next())
        });
        rows.collect()
    }

    /// How often each kind of entry was recorded since the start.
    pub(crate) fn counts(&self) -> BTreeMap<Counted, u64> {
        self.lock().counts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reason: Reason) -> Entry {
        Entry { reason: Some(reason), stage: Some("deciding"), ..Entry::new("refused") }
    }

    #[test]
    fn a_line_names_the_reason_and_where() {
        let journal = Journal::default();
        let address = Some("192.0.2.1".parse().unwrap());
        journal.record(Entry { address, ..refused(Reason::TokenExpired) });
        let lines = journal.lines(Timestamp::UNIX_EPOCH);
        let line = "refused reason=token_expired stage=deciding address=192.0.2.1: JWT validation failed: token expired\n";
        assert!(lines.ends_with(line), "{lines}");
    }

    #[test]
    fn the_summary_is_ordered_and_since_counts() {
        let journal = Journal::default();
        for reason in [Reason::RateLimited, Reason::TokenExpired, Reason::TokenExpired] {
            journal.record(refused(reason));
        }
        journal.record(Entry::new("started"));
        let summary = journal.summary(Timestamp::UNIX_EPOCH);
        assert!(summary.starts_with("     2  token_expired"), "{summary}");
        assert_eq!(summary.lines().count(), 4);
        let later = Timestamp::now() + jiff::SignedDuration::from_secs(1);
        assert_eq!(journal.lines(later) + &journal.summary(later), "");
    }

    /// L8.
    #[test]
    fn the_ring_is_bounded_and_the_counts_are_not_lost() {
        let journal = Journal::default();
        for _ in 0..REMEMBERED + 10 {
            journal.record(refused(Reason::RateLimited));
        }
        assert_eq!(journal.lines(Timestamp::UNIX_EPOCH).lines().count(), REMEMBERED);
        assert_eq!(journal.counts().values().sum::<u64>(), REMEMBERED as u64 + 10);
    }
}
