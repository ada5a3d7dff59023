//! Reads a segment from its beginning to its end: what it holds, and where it ends.
//!
//! Damage is passed over: the next entry is found by the segment's marker. In the commit that was written last, which may not have
//! become durable, the first thing that is not whole is the end: what stands there was never acknowledged.

use std::io;

use super::{
    contents::SegmentIndex,
    entry::{EntryHeader, HEAD, Kind},
    segment::{ENTRIES, LogSegment},
    window::Window,
};

/// What was found.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) contents: SegmentIndex,
    /// Where the next entry belongs.
    pub(super) end: u32,
    /// Bytes before that which are no entries.
    pub(super) damaged: u64,
}

/// Whether a segment may end in a commit that is torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastCommit {
    /// It was the last one.
    Torn,
    /// Another one follows, which is begun when all of it is durable.
    Durable,
}

/// Reads a segment.
///
/// # Errors
/// The file cannot be read.
pub(super) fn scan(segment: &LogSegment, tail: LastCommit) -> io::Result<Scan> {
    let mut walk = Walk::over(segment);
    let mut at = u64::from(ENTRIES);
    while let Some((place, head)) = walk.next_entry(at)? {
        walk.take(at, place, head)?;
        at = u64::from(place) + head.whole() as u64;
    }
    match tail {
        LastCommit::Torn => walk.last_batch()?,
        LastCommit::Durable => walk.durable_batch()?,
    }
    Ok(walk.found)
}

/// Hands over every entry of a sealed segment, also one whose body is not what was written.
///
/// # Errors
/// The file cannot be read, or the error of who takes it.
pub(super) fn each(segment: &LogSegment, mut take: impl FnMut(&EntryHeader, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut walk = Walk::over(segment);
    let mut at = u64::from(ENTRIES);
    while let Some((place, head)) = walk.next_entry(at)? {
        let body = walk.window.at(u64::from(place) + HEAD as u64, head.body())?;
        if body.len() == head.body() {
            take(&head, body)?;
        }
        at = u64::from(place) + head.whole() as u64;
    }
    Ok(())
}

struct Walk<'a> {
    segment: &'a LogSegment,
    window: Window<'a>,
    found: Scan,
    /// The entries of the commit that is being read.
    batch: Vec<(u32, EntryHeader)>,
    /// Where the first gap in it is.
    torn_at: Option<u32>,
}

impl<'a> Walk<'a> {
    fn over(segment: &'a LogSegment) -> Self {
        let contents = SegmentIndex::default();
        let found = Scan { contents, end: ENTRIES, damaged: 0 };
        Self { segment, window: Window::new(&segment.file), found, batch: Vec::new(), torn_at: None }
    }

    /// The next entry whose head is whole.
    fn next_entry(&mut self, mut at: u64) -> io::Result<Option<(u32, EntryHeader)>> {
        loop {
            let Ok(place) = u32::try_from(at) else { return Ok(None) };
            if let Some(head) = EntryHeader::decode(self.segment.marker, self.window.at(at, HEAD)?) {
                return Ok(Some((place, head)));
            }
            let Some(next) = self.window.find(&self.segment.marker.0, at + 1)? else { return Ok(None) };
            at = next;
        }
    }

    /// An entry that was found, where one was expected or behind a gap.
    fn take(&mut self, expected: u64, place: u32, head: EntryHeader) -> io::Result<()> {
        if self.batch.first().is_some_and(|(_, first)| first.batch != head.batch) {
            self.durable_batch()?;
        }
        if expected < u64::from(place) {
            self.found.damaged += u64::from(place) - expected;
            if place > head.batch && self.torn_at.is_none() {
                self.torn_at = Some(u32::try_from(expected).unwrap_or(u32::MAX).max(head.batch));
            }
        }
        self.batch.push((place, head));
        Ok(())
    }

    /// Something follows the batch, so all of it was durable.
    fn durable_batch(&mut self) -> io::Result<()> {
        for (place, head) in std::mem::take(&mut self.batch) {
            if head.kind == Kind::Record {
                // Whether its body is whole is seen when it is read.
                self.found.contents.note(&head, place, &[]);
            } else if let Some(body) = self.whole_body(place, &head)? {
                self.found.contents.note(&head, place, &body);
            } else {
                self.found.damaged += head.whole() as u64;
            }
            self.found.end = place + u32::try_from(head.whole()).unwrap_or(u32::MAX);
        }
        self.torn_at = None;
        Ok(())
    }

    /// Nothing follows the batch: it counts up to the first thing that is not whole.
    fn last_batch(&mut self) -> io::Result<()> {
        let torn_at = self.torn_at.unwrap_or(u32::MAX);
        for (place, head) in std::mem::take(&mut self.batch) {
            if place >= torn_at {
                break;
            }
            let Some(body) = self.whole_body(place, &head)? else { break };
            self.found.contents.note(&head, place, &body);
            self.found.end = place + u32::try_from(head.whole()).unwrap_or(u32::MAX);
        }
        Ok(())
    }

    fn whole_body(&mut self, place: u32, head: &EntryHeader) -> io::Result<Option<Vec<u8>>> {
        let body = self.window.at(u64::from(place) + HEAD as u64, head.body())?;
        Ok(head.fits(body).then(|| body.to_vec()))
    }
}
