//! While the relay keeps up: frames pass, and it is noticed when it does not.

use alloc::{boxed::Box, collections::VecDeque};

use super::{
    ACK_TIMEOUT, MIN_SPOOLING, Output, Spool, Timer, WINDOW_FULL_LIMIT,
    state::{Awaited, Delivery, End, InFlight, Passing, Producer, Reading, Source, Spooling, State},
    tail::Tail,
};
use crate::{
    Deadline, Instant,
    device::session::MAX_IN_FLIGHT,
    wire::{Frame, Head},
};

/// From here on the window of the process counts as full.
const FULL: usize = MAX_IN_FLIGHT / 4 * 3;
/// More records on the way than that fill it too, however small they are.
const MAX_RECORDS: usize = 65_536;

impl InFlight {
    fn push(&mut self, len: usize, now: Instant) {
        self.lens.push_back(len);
        self.bytes = self.bytes.saturating_add(len);
        if self.lens.len() > MAX_RECORDS {
            self.bytes = self.bytes.saturating_sub(self.lens.pop_front().unwrap_or(0));
        }
        if self.bytes >= FULL || self.lens.len() == MAX_RECORDS {
            self.is_full_since.get_or_insert(now);
        }
    }

    /// So many are left.
    fn shrink_to(&mut self, left: usize) {
        while self.lens.len() > left {
            self.bytes = self.bytes.saturating_sub(self.lens.pop_front().unwrap_or(0));
        }
        if self.bytes < FULL / 2 {
            self.is_full_since = None;
        }
    }
}

impl Passing {
    pub(super) fn deadline(&self) -> Option<Deadline<Timer>> {
        let slow = self.awaited.map(|awaited| Deadline::new(awaited.since.after(ACK_TIMEOUT), Timer::Patience));
        let since = self.way.is_full_since.filter(|_| self.source_first.is_some());
        let behind = since.map(|since| Deadline::new(since.after(WINDOW_FULL_LIMIT), Timer::Behind));
        Deadline::earliest(slow, behind)
    }

    /// The process attached, and says what it still has.
    fn opened(&mut self, source_first: Option<u64>, now: Instant) {
        self.source_first = source_first;
        self.way = InFlight::default();
        self.awaited = source_first.map(|_| Awaited { since: now, below: None });
    }

    /// Everything below `below` was handed over.
    fn handed_over(&mut self, below: u64, now: Instant) {
        self.passed = self.passed.max(below);
        if self.source_first.is_some() {
            self.awaited.get_or_insert(Awaited { since: now, below: Some(self.passed) });
        }
    }

    /// The relay said where to go on: what it has received need not be durable there.
    fn resumed(&mut self, next: u64, now: Instant) {
        self.awaited = None;
        self.passed = next;
        self.way = InFlight::default();
        if self.source_first.is_some_and(|source_first| source_first < next) {
            self.handed_over(next, now);
        }
    }

    fn acknowledged(&mut self, next: u64, now: Instant) {
        self.way.shrink_to(usize::try_from(self.passed.saturating_sub(next)).unwrap_or(usize::MAX));
        self.source_first = Some(self.source_first.map_or(next, |source_first| source_first.max(next)));
        if self.awaited.is_some_and(|awaited| awaited.below.is_some_and(|below| below <= next)) {
            self.awaited = (self.passed > next).then_some(Awaited { since: now, below: Some(self.passed) });
        }
    }

    /// Whether the relay, which wants `next` now, has all of it.
    fn is_whole(&self, next: u64) -> bool {
        self.end.is_some_and(|end| next > end.records)
    }
}

impl Spool {
    /// From the process to the relay.
    pub(super) fn pass_up(&mut self, frame: Frame) {
        let now = self.port.now();
        let State::Passing(passing) = &mut self.state else { return };
        match frame.head {
            Head::Open { .. } => passing.opened(source_first(&frame), now),
            Head::Data { sequence, .. } => {
                passing.way.push(frame.body.len(), now);
                passing.handed_over(sequence.saturating_add(1), now);
            }
            Head::End { next: records, outcome, .. } => {
                passing.end = Some(End { records, outcome });
                passing.handed_over(records.saturating_add(1), now);
            }
            _ => {}
        }
        self.port.push(Output::ToRelay(frame));
    }

    /// From the relay to the process.
    pub(super) fn pass_down(&mut self, frame: Frame) {
        let now = self.port.now();
        let State::Passing(passing) = &mut self.state else { return };
        let is_whole = match frame.head {
            Head::Resume { next, .. } => {
                passing.resumed(next, now);
                passing.is_whole(next)
            }
            Head::Acknowledge { next, .. } => {
                passing.acknowledged(next, now);
                passing.is_whole(next)
            }
            _ => false,
        };
        if is_whole {
            self.state = State::Finished;
        }
        self.port.push(Output::ToSource(frame));
    }

    /// The relay took too long: from where the process still has it on, it goes to the disk.
    pub(super) fn lose_patience(&mut self) {
        let now = self.port.now();
        let State::Passing(passing) = &mut self.state else { return };
        if passing.deadline().is_none_or(|deadline| deadline.at > now) {
            return;
        }
        passing.awaited = None;
        passing.way = InFlight::default();
        if let Some(first) = passing.source_first {
            self.keep(first, now);
        }
    }

    fn keep(&mut self, first: u64, now: Instant) {
        self.has_files = true;
        self.state = State::Spooling(Box::new(Spooling {
            source: Source::Here { source_first: first },
            stays_until: now.after(MIN_SPOOLING),
            segments: VecDeque::new(),
            intake: Producer::Open(Tail::new(first, now)),
            delivery: Delivery::Waiting,
            reading: Reading::Idle,
            acknowledged: first,
        }));
        self.resume_source(first);
        self.take_over();
    }

    /// The relay has all that lies here: the process goes on by itself, from what it still has.
    pub(super) fn pass_again(&mut self, kept: u64) {
        let its = self.keeping().map_or(kept, |keeping| keeping.source.source_first().max(kept));
        let awaited = Some(Awaited { since: self.port.now(), below: None });
        self.state =
            State::Passing(Passing { source_first: Some(its), passed: its, end: None, awaited, way: InFlight::default() });
        self.port.push(Output::HandsBack);
        self.open();
    }
}

/// The first record that a process still has: the body of its `Open`, 8 bytes big-endian. One of an older version does not say.
pub(super) fn source_first(open: &Frame) -> Option<u64> {
    open.body.first_chunk().filter(|_| open.body.len() == 8).map(|bytes| u64::from_be_bytes(*bytes))
}
