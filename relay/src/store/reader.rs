//! The thread that reads durable records. It never waits for the writer, nor the writer for it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc::Receiver,
};

use bytes::Bytes;
use memchr::memmem;
use proto_core::relay::hub::{Input, Read, Records, SealedRecord};

use super::{
    Answer, Answers, OpenLogs, StoreError,
    contents::{RecordOffset, SegmentIndex},
    entry::{EntryHeader, HEAD, Kind},
    log::{OrgLog, RecordLocation},
    segment::LogSegment,
    window,
};

/// How many sealed segments are kept open.
const KEPT: usize = 16;

/// The reader.
pub(super) struct Reader {
    pub(super) reads: Receiver<Read>,
    pub(super) open: Arc<OpenLogs>,
    pub(super) readable: Arc<AtomicBool>,
    pub(super) answers: Answers,
    /// Sealed segments, that which was used last at the end.
    pub(super) kept: Vec<CachedSegment>,
}

/// A sealed segment and what it holds.
pub(super) struct CachedSegment {
    log: Arc<OrgLog>,
    number: u32,
    segment: Arc<LogSegment>,
    contents: Arc<SegmentIndex>,
}

impl Reader {
    pub(super) fn run(mut self) {
        while let Ok(read) = self.reads.recv() {
            let records = self.read(&read);
            self.readable.store(records.is_ok(), Ordering::Relaxed);
            (self.answers)(Answer::Hub(match records {
                Ok(records) => Input::Records(records),
                Err(error) => {
                    tracing::error!(%error, session = read.session.0, from = read.from, "records were not read");
                    Input::Unreadable(read.viewer, read.session)
                }
            }));
        }
    }

    /// Records from a sequence on: at least one, and then as many as fit.
    fn read(&mut self, read: &Read) -> Result<Records, StoreError> {
        let Read { viewer, session, from, max_bytes } = *read;
        let log = self.open.log_of(session).ok_or(StoreError::Missing)?;
        let mut taken = Taken { session: session.0, next: from, left: max_bytes, records: Vec::new() };
        let outcome = self.take(&log, read, &mut taken);
        if taken.records.is_empty() {
            // What was taken before an error counts; the next read comes to it.
            return Err(outcome.err().unwrap_or(StoreError::Missing));
        }
        Ok(Records { viewer, session, from, records: taken.records })
    }

    fn take(&mut self, log: &Arc<OrgLog>, read: &Read, taken: &mut Taken) -> Result<(), StoreError> {
        while taken.has_room() {
            let before = taken.next;
            let Some((segment, place, end)) = self.find(log, read, before)? else { break };
            taken.take_from(&segment, place.offset, end)?;
            if taken.next == before {
                break;
            }
        }
        Ok(())
    }

    /// The segment with this record, from where to read there, and how far.
    fn find(
        &mut self,
        log: &Arc<OrgLog>,
        read: &Read,
        sequence: u64,
    ) -> Result<Option<(Arc<LogSegment>, RecordOffset, u32)>, StoreError> {
        match log.spot(read.session, sequence) {
            Some(RecordLocation::Active(segment, place, end)) => Ok(Some((segment, place, end))),
            Some(RecordLocation::Sealed(number, contents)) => {
                let (segment, contents) = self.sealed(log, number, contents)?;
                let run = contents.runs.get(&read.session.0).filter(|run| sequence < run.next);
                Ok(run.and_then(|run| Some((segment, run.place(sequence)?, run.end))))
            }
            None => Ok(None),
        }
    }

    /// A sealed segment, opened when it is not open yet.
    fn sealed(
        &mut self,
        log: &Arc<OrgLog>,
        number: u32,
        known: Option<Arc<SegmentIndex>>,
    ) -> Result<(Arc<LogSegment>, Arc<SegmentIndex>), StoreError> {
        let is_it = |kept: &CachedSegment| Arc::ptr_eq(&kept.log, log) && kept.number == number;
        let kept = if let Some(at) = self.kept.iter().position(is_it) {
            self.kept.remove(at)
        } else {
            let (segment, contents) = log.open_sealed(number, known)?;
            CachedSegment { log: Arc::clone(log), number, segment: Arc::new(segment), contents }
        };
        let found = (Arc::clone(&kept.segment), Arc::clone(&kept.contents));
        if self.kept.len() >= KEPT {
            self.kept.remove(0);
        }
        self.kept.push(kept);
        Ok(found)
    }
}

/// The records that an answer has so far.
struct Taken {
    session: u64,
    next: u64,
    left: usize,
    records: Vec<SealedRecord>,
}

impl Taken {
    fn has_room(&self) -> bool {
        self.left > 0 || self.records.is_empty()
    }

    /// Takes what follows, as far as it is whole and fits, from a part of a segment.
    fn take_from(&mut self, segment: &LogSegment, mut at: u32, end: u32) -> Result<(), StoreError> {
        let mut least = 0;
        while at < end && self.has_room() {
            let wanted = (self.left + self.left / 8 + HEAD).max(least).min((end - at) as usize);
            let read = window::read(&segment.file, at.into(), wanted, Vec::new());
            let piece = Bytes::from(read.map_err(|error| StoreError::Files { path: segment.path.clone(), error })?);
            let before = self.records.len();
            let step = self.take_piece(segment, &piece);
            self.flush_and_close(before, &piece);
            match step {
                Step::Full => return Ok(()),
                Step::Damaged => return Err(damaged(segment)),
                Step::On(0, needed) if needed <= wanted || wanted == (end - at) as usize => return Err(damaged(segment)),
                Step::On(used, needed) => {
                    at = at.saturating_add(u32::try_from(used).unwrap_or(u32::MAX));
                    least = needed;
                }
            }
        }
        Ok(())
    }

    /// Bodies that are a small part of what was read do not keep all of it in memory.
    fn flush_and_close(&mut self, before: usize, piece: &Bytes) {
        let fresh = &mut self.records[before..];
        let taken: usize = fresh.iter().map(|record| record.body.len()).sum();
        if taken < piece.len() / 2 {
            for record in fresh {
                record.body = Bytes::copy_from_slice(&record.body);
            }
        }
    }

    fn take_piece(&mut self, segment: &LogSegment, piece: &Bytes) -> Step {
        let mut at = 0;
        while let Some(rest) = piece.get(at..).filter(|rest| rest.len() >= HEAD) {
            let Some(head) = EntryHeader::decode(segment.marker, rest) else {
                match memmem::find(&rest[1..], &segment.marker.0) {
                    Some(skipped) => at += 1 + skipped,
                    // A marker may be cut by the end of the piece.
                    None => at = (piece.len() + 1 - segment.marker.0.len()).max(at + 1),
                }
                continue;
            };
            let is_wanted = head.kind == Kind::Record && head.number == self.session && head.sequence >= self.next;
            if is_wanted && head.sequence > self.next {
                return Step::Damaged;
            }
            if is_wanted {
                let Some(body) = rest.get(HEAD..head.whole()) else { return Step::On(at, head.whole()) };
                if body.len() > self.left && !self.records.is_empty() {
                    self.left = 0;
                    return Step::Full;
                }
                if !head.fits(body) {
                    return Step::Damaged;
                }
                self.push(&head, piece, body);
            }
            at += head.whole();
        }
        Step::On(at, HEAD)
    }

    fn push(&mut self, head: &EntryHeader, piece: &Bytes, body: &[u8]) {
        self.left = self.left.saturating_sub(body.len());
        self.next += 1;
        self.records.push(SealedRecord { epoch: head.epoch, body: piece.slice_ref(body) });
    }
}

fn damaged(segment: &LogSegment) -> StoreError {
    StoreError::Damaged { path: segment.path.clone(), what: "record checksum mismatch" }
}

/// How far a piece was used.
enum Step {
    /// Up to there; so many bytes are needed behind it.
    On(usize, usize),
    /// There is no room for more.
    Full,
    /// What is wanted next is not whole.
    Damaged,
}
