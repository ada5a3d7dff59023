//! What happened: to stdout through `tracing`, into a bounded ring for `/logs`, and counted by reason for `/metrics`.
//!
//! Never a token, a key or content: an [`Entry`] has no place for them.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry as MapEntry},
    fmt,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use proto_core::{OrgId, PlatformId, Reason};

/// How many entries `/logs` remembers.
const REMEMBERED: usize = 4096;
/// Refusals of one kind are one line and one more, with their number, in so long a time.
const SUMMED_FOR: Duration = Duration::from_secs(10);
/// What is summed: any client can cause it, as often as it likes.
const SUMMED: &str = "refused";

/// One logged event.
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
    pub(crate) target: Option<PlatformId>,
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
pub(crate) struct EventLog(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ring: VecDeque<(Timestamp, Entry)>,
    counts: BTreeMap<Counted, u64>,
    /// Refusals that have a line, and how many more came since.
    sums: BTreeMap<Counted, Sum>,
}

#[derive(Debug)]
struct Sum {
    since: Instant,
    more: usize,
}

/// What entries are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counted {
    pub(crate) what: &'static str,
    pub(crate) stage: Option<&'static str>,
    pub(crate) reason: Option<Reason>,
}

impl EventLog {
    /// Writes it down; a refusal like those of the last seconds only counts, and is written with their sum.
    pub(crate) fn record(&self, entry: Entry) {
        self.record_at(Instant::now(), entry);
    }

    fn record_at(&self, now: Instant, entry: Entry) {
        let counted = Counted { what: entry.what, stage: entry.stage, reason: entry.reason };
        let mut inner = self.lock();
        *inner.counts.entry(counted).or_default() += 1;
        inner.write_sums(|sum| now.saturating_duration_since(sum.since) >= SUMMED_FOR);
        if entry.what == SUMMED {
            match inner.sums.entry(counted) {
                MapEntry::Occupied(sum) => {
                    sum.into_mut().more += 1;
                    return;
                }
                MapEntry::Vacant(place) => drop(place.insert(Sum { since: now, more: 0 })),
            }
        }
        inner.write(entry);
    }

    /// The remembered entries from `since` on, oldest first, a line each.
    pub(crate) fn lines(&self, since: Timestamp) -> String {
        let mut inner = self.lock();
        inner.write_sums(|_| true);
        let lines = inner.ring.iter().filter(|(at, _)| *at >= since).map(|(at, entry)| format!("{at:.3} {entry}\n"));
        lines.collect()
    }

    /// How often each reason stands among them, the most frequent first, and what to do about it.
    pub(crate) fn summary(&self, since: Timestamp) -> String {
        let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
        let mut inner = self.lock();
        inner.write_sums(|_| true);
        for (_, entry) in inner.ring.iter().filter(|(at, _)| *at >= since) {
            if let Some(reason) = entry.reason {
                *counts.entry(reason).or_default() += entry.count.unwrap_or(1);
            }
        }
        drop(inner);
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

impl Inner {
    fn write(&mut self, entry: Entry) {
        if entry.reason.is_some() {
            tracing::warn!("{entry}");
        } else {
            tracing::info!("{entry}");
        }
        if self.ring.len() >= REMEMBERED {
            self.ring.pop_front();
        }
        self.ring.push_back((Timestamp::now(), entry));
    }

    /// Writes the sums that are due; what they sum begins anew.
    fn write_sums(&mut self, is_due: impl Fn(&Sum) -> bool) {
        let mut due = Vec::new();
        self.sums.retain(|counted, sum| {
            let stays = !is_due(sum);
            if !stays && sum.more > 0 {
                due.push((*counted, sum.more));
            }
            stays
        });
        for (Counted { what, stage, reason }, more) in due {
            self.write(Entry { stage, reason, count: Some(more), ..Entry::new(what) });
        }
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
        let event_log = EventLog::default();
        let address = Some("192.0.2.1".parse().unwrap());
        event_log.record(Entry { address, ..refused(Reason::TokenExpired) });
        let lines = event_log.lines(Timestamp::UNIX_EPOCH);
        let line = "refused reason=token_expired stage=deciding address=192.0.2.1: JWT validation failed: token expired\n";
        assert!(lines.ends_with(line), "{lines}");
    }

    #[test]
    fn the_summary_is_ordered_and_since_counts() {
        let event_log = EventLog::default();
        for reason in [Reason::RateLimited, Reason::TokenExpired, Reason::TokenExpired] {
            event_log.record(refused(reason));
        }
        event_log.record(Entry::new("started"));
        let summary = event_log.summary(Timestamp::UNIX_EPOCH);
        assert!(summary.starts_with("     2  token_expired"), "{summary}");
        assert_eq!(summary.lines().count(), 4, "{summary}");
        let later = Timestamp::now() + jiff::SignedDuration::from_secs(1);
        assert_eq!(event_log.lines(later) + &event_log.summary(later), "");
    }

    /// F31: what any client can cause as often as it likes does not push everything else out.
    #[test]
    fn refusals_are_summed() {
        let event_log = EventLog::default();
        let start = Instant::now();
        event_log.record_at(start, Entry::new("started"));
        for n in 0..27_000 {
            let reason = if n % 2 == 0 { Reason::RateLimited } else { Reason::TokenExpired };
            event_log.record_at(start + Duration::from_micros(n * 300), refused(reason));
        }
        event_log.record_at(start + SUMMED_FOR, refused(Reason::RateLimited));
        let lines = event_log.lines(Timestamp::UNIX_EPOCH);
        assert!(lines.lines().next().is_some_and(|line| line.ends_with("started")), "{lines}");
        let expected = ["rate_limited stage=deciding", "token_expired stage=deciding"];
        let sums = ["rate_limited stage=deciding count=13499", "token_expired stage=deciding count=13499"];
        for wanted in expected.iter().chain(&sums) {
            assert!(lines.contains(&format!("refused reason={wanted}")), "{wanted} not in:\n{lines}");
        }
        assert_eq!(lines.lines().count(), 6, "{lines}");
        let summary = event_log.summary(Timestamp::UNIX_EPOCH);
        assert!(summary.starts_with(" 13501  rate_limited"), "{summary}");
        assert_eq!(event_log.counts().values().sum::<u64>(), 27_002);
    }

    /// L8.
    #[test]
    fn the_ring_is_bounded_and_the_counts_are_not_lost() {
        let event_log = EventLog::default();
        for _ in 0..REMEMBERED + 10 {
            event_log.record(Entry { reason: Some(Reason::PingTimeout), ..Entry::new("closed") });
        }
        assert_eq!(event_log.lines(Timestamp::UNIX_EPOCH).lines().count(), REMEMBERED);
        assert_eq!(event_log.counts().values().sum::<u64>(), REMEMBERED as u64 + 10);
    }
}
