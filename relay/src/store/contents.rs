//! What a segment holds, or a commit adds to it: who began, who ended, and where whose records are. It is the index of the
//! active segment, and at its end the footer of a sealed one.

use std::collections::{BTreeMap, BTreeSet};

use proto_core::{PlatformId, SessionId, secret::SecretText, wire::Outcome};
use serde::{Deserialize, Serialize};

use super::entry::{EntryHeader, Kind};

/// A place of a session is noted again after so many bytes of the file: what a reader skips at most to find a record.
const STRIDE: u32 = 64 * 1024;

/// A session as it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionRow {
    pub(super) session: SessionId,
    pub(super) target: PlatformId,
    pub(super) cipher: u8,
    /// Unix seconds.
    pub(super) began: u64,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    /// Unix seconds.
    pub(super) at: u64,
}

/// The records of one session in one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// The sequence of the first.
    pub(super) first: u64,
    /// One more than that of the last.
    pub(super) next: u64,
    /// What they take, heads included.
    pub(super) bytes: u64,
    /// Where the last ends.
    pub(super) end: u32,
    /// Where some of them begin, ascending; the first is one of them.
    pub(super) places: Vec<RecordOffset>,
}

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordOffset {
    pub(super) sequence: u64,
    pub(super) offset: u32,
}

impl Run {
    /// From where one reads to find this record.
    pub(super) fn place(&self, sequence: u64) -> Option<RecordOffset> {
        let after = self.places.partition_point(|place| place.sequence <= sequence);
        self.places.get(after.checked_sub(1)?).copied()
    }

    fn add(&mut self, sequence: u64, offset: u32, whole: u32) {
        if sequence < self.next {
            return;
        }
        if self.places.last().is_none_or(|last| offset.saturating_sub(last.offset) >= STRIDE) {
            self.places.push(RecordOffset { sequence, offset });
        }
        self.next = sequence.saturating_add(1);
        self.bytes += u64::from(whole);
        self.end = offset + whole;
    }

    fn follow(&mut self, later: Self) {
        let beyond = self.places.last().map_or(0, |last| last.offset + STRIDE);
        self.places.extend(later.places.into_iter().filter(|place| place.offset >= beyond));
        (self.next, self.end) = (later.next, later.end);
        self.bytes += later.bytes;
    }
}

/// What a segment holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SegmentIndex {
    /// Sessions that began.
    pub(super) sessions: BTreeMap<u64, SessionRow>,
    /// The latest credential of runtime targets.
    pub(super) credentials: BTreeMap<PlatformId, SecretText>,
    /// Sessions that ended, and how many records they had.
    pub(super) ends: BTreeMap<u64, (u64, End)>,
    /// Sessions that are gone for good.
    pub(super) removed: BTreeSet<u64>,
    /// Where whose records are.
    pub(super) runs: BTreeMap<u64, Run>,
    /// The envelopes of sessions: 1.3 KB each.
    pub(super) envelopes: BTreeMap<u64, Vec<u8>>,
}

impl SegmentIndex {
    /// Notes an entry whose head stands at this offset. The body counts for entries that are no records; one that makes no sense
    /// is passed over.
    pub(super) fn note(&mut self, head: &EntryHeader, offset: u32, body: &[u8]) {
        match head.kind {
            Kind::Record => {
                let fresh = Run { first: head.sequence, next: 0, bytes: 0, end: 0, places: Vec::new() };
                let whole = u32::try_from(head.whole()).unwrap_or(u32::MAX);
                self.runs.entry(head.number).or_insert(fresh).add(head.sequence, offset, whole);
            }
            Kind::Session => {
                if let Ok(row) = postcard::from_bytes(body) {
                    self.sessions.insert(head.number, row);
                }
            }
            Kind::Credential => {
                if let Ok((target, credential)) = postcard::from_bytes(body) {
                    self.credentials.insert(target, credential);
                }
            }
            Kind::End => {
                if let Ok(end) = postcard::from_bytes(body) {
                    self.ends.insert(head.number, (head.sequence, end));
                }
            }
            Kind::Removal => {
                self.removed.insert(head.number);
            }
            Kind::Envelope => {
                self.envelopes.entry(head.number).or_insert_with(|| body.to_vec());
            }
            Kind::Close => {}
        }
    }

    /// Adds what was written behind it.
    pub(super) fn follow(&mut self, later: Self) {
        self.sessions.extend(later.sessions);
        self.credentials.extend(later.credentials);
        self.ends.extend(later.ends);
        self.removed.extend(later.removed);
        self.envelopes.extend(later.envelopes);
        for (number, run) in later.runs {
            match self.runs.get_mut(&number) {
                Some(known) => known.follow(run),
                None => drop(self.runs.insert(number, run)),
            }
        }
    }
}
