//! The end of a spool: records that the process handed over and that are not durable yet.
//!
//! What was gathered while the disk was busy, or within [`PACE`], is written as one segment. One that is still small is written
//! again with what follows, so that hours of keystrokes do not become thousands of files.

use alloc::{collections::VecDeque, vec::Vec};
use core::time::Duration;

use super::segment::{self, number};
use crate::{Instant, wire::Frame};

/// The most bytes that one segment holds.
pub(super) const MAX_SEGMENT: usize = 1024 * 1024;
/// A segment below this is written again with what follows.
pub(super) const SEGMENT_SMALL: usize = 64 * 1024;
/// The time between two writes, unless a whole segment or the end waits.
pub(super) const PACE: Duration = Duration::from_secs(1);
/// The time after a write that failed.
pub(super) const RETRY: Duration = Duration::from_secs(2);
/// The most bytes that wait to become durable. A process hands over no more than [`MAX_IN_FLIGHT`] that is not acknowledged.
///
/// [`MAX_IN_FLIGHT`]: crate::device::session::MAX_IN_FLIGHT
const MAX_WAITING: usize = crate::device::session::MAX_IN_FLIGHT + 2 * MAX_SEGMENT;

/// See the [module page](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tail {
    /// The number of the first frame: where the segment begins that is written next.
    first: u64,
    frames: VecDeque<Frame>,
    /// Of all frames.
    bytes: usize,
    /// Everything below is durable.
    kept: u64,
    /// Bytes of the frames that are not.
    waiting: usize,
    write: Write,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Write {
    /// The next one may begin then.
    Idle { from: Instant },
    /// Everything below `below` is being written, in a segment of so many bytes.
    Busy { below: u64, bytes: usize },
    /// The last one failed.
    Failed { again: Instant },
}

/// A segment to write.
pub(super) struct Draft {
    pub(super) first: u64,
    pub(super) below: u64,
    pub(super) contents: Vec<u8>,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It is not the one under way.
    NotAwaited,
    /// It is tried again later.
    Failed,
    /// The segment has this many bytes now.
    Durable { bytes: usize },
}

impl Tail {
    /// One that goes on at number `next`.
    pub(super) const fn new(next: u64, now: Instant) -> Self {
        Self { first: next, frames: VecDeque::new(), bytes: 0, kept: next, waiting: 0, write: Write::Idle { from: now } }
    }

    /// Everything below is durable.
    pub(super) const fn kept(&self) -> u64 {
        self.kept
    }

    /// Where the segment begins that may be written again.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The number of the next frame.
    pub(super) fn next(&self) -> u64 {
        self.first.saturating_add(self.frames.len() as u64)
    }

    /// Bytes of the frames that are in no segment yet, roughly.
    pub(super) const fn waiting_bytes(&self) -> usize {
        self.waiting
    }

    /// Whether all of it is durable.
    pub(super) fn is_kept(&self) -> bool {
        self.kept == self.next()
    }

    /// Whether a write is under way.
    pub(super) const fn is_busy(&self) -> bool {
        matches!(self.write, Write::Busy { .. })
    }

    /// Takes a frame that continues, while there is room.
    pub(super) fn take(&mut self, frame: Frame) -> bool {
        let continues = number(&frame) == Some(self.next()) && self.bytes < MAX_WAITING;
        if continues {
            self.bytes = self.bytes.saturating_add(segment::len(&frame));
            self.waiting = self.waiting.saturating_add(segment::len(&frame));
            self.frames.push_back(frame);
        }
        continues
    }

    /// When the next write begins. `ends`: nothing follows what there is.
    pub(super) fn deadline(&self, ends: bool) -> Option<Instant> {
        match self.write {
            _ if self.is_kept() => None,
            Write::Idle { .. } if ends => Some(Instant::ZERO),
            Write::Idle { from } => Some(from),
            Write::Failed { again } => Some(again),
            Write::Busy { .. } => None,
        }
    }

    /// The segment that is to be written now, if any.
    pub(super) fn draft(&mut self, now: Instant, ends: bool) -> Option<Draft> {
        let is_due = match self.write {
            _ if self.is_kept() => false,
            Write::Idle { from } => ends || from <= now || self.waiting_bytes() >= MAX_SEGMENT,
            Write::Failed { again } => again <= now,
            Write::Busy { .. } => false,
        };
        if !is_due {
            return None;
        }
        let mut contents = Vec::new();
        let mut below = self.first;
        for frame in &self.frames {
            if below > self.kept && contents.len().saturating_add(segment::len(frame)) > MAX_SEGMENT {
                break;
            }
            segment::append(&mut contents, frame);
            below = below.saturating_add(1);
        }
        self.write = Write::Busy { below, bytes: contents.len() };
        Some(Draft { first: self.first, below, contents })
    }

    /// The write of everything below `below` ended.
    pub(super) fn written(&mut self, below: u64, is_durable: bool, now: Instant) -> Written {
        let Write::Busy { below: awaited, bytes } = self.write else { return Written::NotAwaited };
        if awaited != below {
            return Written::NotAwaited;
        }
        if !is_durable {
            self.write = Write::Failed { again: now.after(RETRY) };
            return Written::Failed;
        }
        self.kept = below;
        self.waiting = self.not_kept().map(segment::len).fold(0, usize::saturating_add);
        self.write = Write::Idle { from: now.after(PACE) };
        if bytes >= SEGMENT_SMALL {
            self.begin_segment();
        }
        Written::Durable { bytes }
    }

    /// What is durable is written no more: the next segment begins behind it.
    pub(super) fn begin_segment(&mut self) {
        while self.first < self.kept {
            if let Some(frame) = self.frames.pop_front() {
                self.bytes = self.bytes.saturating_sub(segment::len(&frame));
            }
            self.first = self.first.saturating_add(1);
        }
    }

    fn not_kept(&self) -> impl Iterator<Item = &Frame> {
        let kept = usize::try_from(self.kept.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.frames.iter().skip(kept)
    }
}
