//! What one commit writes for one organization: heads of our own between bodies that are written from where they are.

use std::{
    fs::File,
    io::{self, IoSlice},
};

use proto_core::relay::hub::Write;
use rustix::io::pwritev;

use super::{
    catalog::Catalog,
    contents::{End, SegmentIndex, SessionRow},
    entry::{EntryHeader, HEAD, Kind, Marker},
};

/// How many pieces the system writes at once.
const PIECES: usize = 1024;

/// The entries of one commit.
pub(super) struct Batch<'a> {
    marker: Marker,
    begin: u32,
    end: u32,
    /// Heads and small bodies, one behind the other.
    own: Vec<u8>,
    /// After how many bytes of `own` the bodies of records stand.
    bodies: Vec<(usize, &'a [u8])>,
    contents: SegmentIndex,
}

impl<'a> Batch<'a> {
    /// The entries for these writes, from an offset in a segment on; the catalog knows what was written before.
    pub(super) fn of(writes: &'a [Write], catalog: &Catalog, marker: Marker, begin: u32, now: u64) -> Self {
        let (own, bodies) = (Vec::with_capacity(writes.len() * (HEAD + 16)), Vec::with_capacity(writes.len()));
        let mut batch = Self { marker, begin, end: begin, own, bodies, contents: SegmentIndex::default() };
        for write in writes {
            batch.put(write, catalog, now);
        }
        batch
    }

    /// The entry that says that all before it is durable.
    pub(super) fn close(marker: Marker, begin: u32) -> Self {
        let mut batch = Self::of(&[], &Catalog::default(), marker, begin, 0);
        batch.entry(EntryHeader::new(Kind::Close, begin, &[]), &[]);
        batch
    }

    fn put(&mut self, write: &'a Write, catalog: &Catalog, now: u64) {
        match write {
            Write::Record { number, sequence, record } => {
                let head = EntryHeader::new(Kind::Record, self.begin, &record.body);
                let head = EntryHeader { number: number.0, sequence: *sequence, epoch: record.epoch, ..head };
                self.head(&head, &[]);
                self.bodies.push((self.own.len(), &record.body));
            }
            Write::Session { number, session, target, cipher, .. } => {
                let row = SessionRow { session: *session, target: target.clone(), cipher: *cipher, began: now };
                let body = postcard::to_allocvec(&row).unwrap_or_default();
                self.entry(EntryHeader { number: number.0, ..EntryHeader::new(Kind::Session, self.begin, &body) }, &body);
            }
            Write::Credential { target, credential, .. } => {
                let body = postcard::to_allocvec(&(target, credential)).unwrap_or_default();
                self.entry(EntryHeader::new(Kind::Credential, self.begin, &body), &body);
            }
            Write::Envelope { number, envelope } => {
                self.entry(EntryHeader { number: number.0, ..EntryHeader::new(Kind::Envelope, self.begin, envelope) }, envelope);
            }
            Write::End { number, outcome } => {
                let body = postcard::to_allocvec(&End { outcome: *outcome, at: now }).unwrap_or_default();
                let run = self.contents.runs.get(&number.0);
                let sequence = run.map_or_else(|| catalog.next(*number), |run| run.next);
                self.entry(EntryHeader { number: number.0, sequence, ..EntryHeader::new(Kind::End, self.begin, &body) }, &body);
            }
            Write::Remove { number } => {
                self.entry(EntryHeader { number: number.0, ..EntryHeader::new(Kind::Removal, self.begin, &[]) }, &[]);
            }
        }
    }

    fn entry(&mut self, head: EntryHeader, body: &[u8]) {
        self.head(&head, body);
        self.own.extend_from_slice(body);
    }

    fn head(&mut self, head: &EntryHeader, body: &[u8]) {
        self.own.extend_from_slice(&head.encode(self.marker));
        self.contents.note(head, self.end, body);
        // A segment is far shorter than 4 GiB, see `SEGMENT_BYTES`.
        self.end = self.end.saturating_add(u32::try_from(head.whole()).unwrap_or(u32::MAX));
    }

    /// Where it ends.
    pub(super) const fn end(&self) -> u32 {
        self.end
    }

    /// What it adds to the segment.
    pub(super) fn into_contents(self) -> SegmentIndex {
        self.contents
    }

    /// Writes all of it to where it belongs.
    ///
    /// # Errors
    /// Some of it could not be written.
    pub(super) fn write_to(&self, file: &File) -> io::Result<()> {
        let mut slices = Vec::with_capacity(2 * self.bodies.len() + 1);
        let mut from = 0;
        for (to, body) in &self.bodies {
            slices.push(IoSlice::new(&self.own[from..*to]));
            slices.push(IoSlice::new(body));
            from = *to;
        }
        slices.push(IoSlice::new(&self.own[from..]));
        let (mut rest, mut at) = (slices.as_mut_slice(), u64::from(self.begin));
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let written = match pwritev(file, &rest[..rest.len().min(PIECES)], at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(rustix::io::Errno::INTR) => continue,
                written => written?,
            };
            IoSlice::advance_slices(&mut rest, written);
            at += written as u64;
        }
        Ok(())
    }
}
