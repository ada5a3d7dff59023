//! What an organization has here: its sessions, and in which segments each of them has records.

use std::collections::BTreeMap;

use bytes::Bytes;
use proto_core::{
    OrgId, PlatformId, UnixTime,
    relay::hub::{SessionNumber, StoredSession, Tally},
    secret::SecretText,
};

use super::{
    compact::LiveSet,
    contents::{End, SegmentIndex, SessionRow},
    entry::HEAD,
    retention::EvictionCandidate,
};

/// The sessions of one organization.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    sessions: BTreeMap<u64, Known>,
    credentials: BTreeMap<PlatformId, SecretText>,
    /// What the records and envelopes of all of them take, heads included.
    bytes: u64,
}

/// One session.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) row: SessionRow,
    pub(super) end: Option<End>,
    /// What its records and its envelope take, heads included.
    pub(super) bytes: u64,
    envelope: Option<Bytes>,
    next: u64,
    parts: Vec<Part>,
}

/// That a segment has records of a session, from this one on.
#[derive(Clone, Copy, Debug)]
struct Part {
    first: u64,
    segment: u32,
}

impl Known {
    /// When a session was active last is not kept while it lives: that would be a write of its own for every record.
    fn tally(&self) -> Tally {
        let envelope = self.envelope.as_ref().map_or(0, |envelope| HEAD + envelope.len()) as u64;
        let heads = self.next.saturating_mul(HEAD as u64);
        Tally {
            began: UnixTime(self.row.began),
            active: UnixTime(self.end.map_or(0, |end| end.at)),
            bytes: self.bytes.saturating_sub(envelope).saturating_sub(heads),
        }
    }
}

impl Catalog {
    /// Adds what a segment holds, or what was written to it. Segments come in their order.
    pub(super) fn absorb(&mut self, segment: u32, contents: &SegmentIndex) {
        for (number, row) in &contents.sessions {
            let known = Known { row: row.clone(), end: None, bytes: 0, envelope: None, next: 0, parts: Vec::new() };
            self.sessions.entry(*number).or_insert(known);
        }
        for (number, run) in &contents.runs {
            // One whose beginning was removed, or is damaged, belongs to no session.
            let Some(known) = self.sessions.get_mut(number) else { continue };
            if known.parts.last().is_none_or(|part| part.segment != segment) {
                known.parts.push(Part { first: run.first, segment });
            }
            known.next = known.next.max(run.next);
            known.bytes += run.bytes;
            self.bytes += run.bytes;
        }
        for (number, (next, end)) in &contents.ends {
            if let Some(known) = self.sessions.get_mut(number) {
                known.end = Some(*end);
                known.next = known.next.max(*next);
            }
        }
        for (number, envelope) in &contents.envelopes {
            let Some(known) = self.sessions.get_mut(number).filter(|known| known.envelope.is_none()) else { continue };
            known.envelope = Some(Bytes::copy_from_slice(envelope));
            let whole = (HEAD + envelope.len()) as u64;
            known.bytes += whole;
            self.bytes += whole;
        }
        for number in &contents.removed {
            let gone = self.sessions.remove(number);
            self.bytes -= gone.map_or(0, |known| known.bytes);
        }
        self.credentials.extend(contents.credentials.iter().map(|(target, credential)| (target.clone(), credential.clone())));
    }

    /// How many records a session has.
    pub(super) fn next(&self, session: SessionNumber) -> u64 {
        self.sessions.get(&session.0).map_or(0, |known| known.next)
    }

    /// The segment that has this record.
    pub(super) fn segment(&self, session: SessionNumber, sequence: u64) -> Option<u32> {
        let parts = &self.sessions.get(&session.0)?.parts;
        let after = parts.partition_point(|part| part.first <= sequence);
        Some(parts.get(after.checked_sub(1)?)?.segment)
    }

    /// The sessions as the hub knows them. One whose credential is damaged gets an empty one, until its daemon comes again.
    pub(super) fn sessions(&self, org: &OrgId) -> Vec<StoredSession> {
        let stored = |(number, known): (&u64, &Known)| StoredSession {
            number: SessionNumber(*number),
            org: org.clone(),
            session: known.row.session,
            target: known.row.target.clone(),
            cipher: known.row.cipher,
            credential: self.credentials.get(&known.row.target).cloned().unwrap_or_else(|| SecretText::new("")),
            next: known.next,
            ended: known.end.map(|end| end.outcome),
            tally: known.tally(),
            envelope: known.envelope.clone(),
        };
        self.sessions.iter().map(stored).collect()
    }

    /// The sessions, as far as it matters who leaves.
    pub(super) fn held(&self) -> Vec<EvictionCandidate> {
        let held = |(number, known): (&u64, &Known)| EvictionCandidate {
            number: SessionNumber(*number),
            ended: known.end.map(|end| end.at),
            bytes: known.bytes,
        };
        self.sessions.iter().map(held).collect()
    }

    /// What all of their records and envelopes take.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What of the segments is needed on.
    pub(super) fn needed(&self) -> LiveSet {
        let targets = self.sessions.values().map(|known| known.row.target.clone()).collect();
        LiveSet { sessions: self.sessions.keys().copied().collect(), targets, ..LiveSet::default() }
    }

    /// The numbers of the sessions.
    pub(super) fn numbers(&self) -> impl Iterator<Item = SessionNumber> + '_ {
        self.sessions.keys().copied().map(SessionNumber)
    }
}
