//! From the disk to the relay: segments are read, handed over, and removed once they are durable there.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{
    EffectId, Output, Spool,
    segment::{self, number},
    state::{Delivery, Passing, Producer, Reading, Source, Spooling, State},
    tail::{RETRY, Tail},
};
use crate::{
    Reason,
    device::session::MAX_IN_FLIGHT,
    effect::Effect,
    secret::SecretBytes,
    wire::{Frame, Head},
};

impl Spooling {
    /// The segment to read next, if there is one and the relay keeps up.
    pub(super) fn wanted(&self) -> Option<u64> {
        let Some(tail) = self.intake.tail() else { return self.segments.back().map(|last| last.first) };
        let Delivery::Flowing { cursor } = self.delivery else { return None };
        if cursor >= tail.kept() {
            return None;
        }
        let on_the_way = self.segments.iter().filter(|segment| segment.first < cursor).map(|segment| segment.bytes);
        if on_the_way.fold(0, u64::saturating_add) >= MAX_IN_FLIGHT as u64 {
            return None;
        }
        self.segments.iter().rev().find(|segment| segment.first <= cursor).map(|segment| segment.first)
    }

    /// What is durable at the relay is not kept: the segment that goes next.
    fn spent(&mut self) -> Option<u64> {
        let tail = self.intake.tail_mut()?;
        let oldest = self.segments.front().filter(|segment| segment.next <= self.acknowledged)?.first;
        if oldest == tail.first() {
            if tail.is_busy() {
                return None;
            }
            // It would be written once more.
            tail.begin_segment();
        }
        self.segments.pop_front();
        Some(oldest)
    }
}

impl Spool {
    /// The relay goes on at record `next`.
    pub(super) fn deliver_from(&mut self, next: u64) {
        let Some(keeping) = self.keeping() else { return };
        let oldest = keeping.segments.front().map(|segment| segment.first);
        let oldest = oldest.or_else(|| keeping.intake.tail().map(Tail::kept));
        if oldest.is_some_and(|oldest| next < oldest) {
            self.tell_cut(Reason::RecordsLost);
            self.discard_from(0);
            self.state = State::Failed(Reason::RecordsLost);
            return;
        }
        keeping.delivery = Delivery::Flowing { cursor: next };
        if let Producer::Ended(tail) = &keeping.intake
            && next >= tail.next()
        {
            keeping.acknowledged = next;
        }
        self.settle();
    }

    /// Everything below `next` is durable at the relay.
    pub(super) fn delivered(&mut self, next: u64) {
        let Some(keeping) = self.keeping() else { return };
        keeping.acknowledged = keeping.acknowledged.max(next);
        self.settle();
    }

    /// What is durable at the relay is removed.
    pub(super) fn tidy(&mut self) {
        while let Some(first) = self.keeping().and_then(Spooling::spent) {
            self.remove(first);
        }
    }

    /// Reads what is to be handed over next.
    pub(super) fn read(&mut self) {
        let now = self.port.now();
        let Some(keeping) = self.keeping() else { return };
        let may_read = match keeping.reading {
            Reading::Idle => true,
            Reading::Busy(_) => false,
            Reading::Failed { again } => again <= now,
        };
        let Some(first) = keeping.wanted().filter(|_| may_read) else { return };
        keeping.reading = Reading::Busy(first);
        let file = self.segment(first);
        self.effect(Effect::Load(EffectId::Read(first), file));
    }

    /// A segment was read. Whether it was awaited.
    pub(super) fn was_read(&mut self, first: u64, contents: Option<SecretBytes>) -> bool {
        if !self.ends_reading(first, Reading::Idle) {
            return false;
        }
        let session = self.session;
        let frames = contents.map(|contents| segment::read(session, first, &contents.expose().to_vec().into()));
        let frames = frames.unwrap_or_default();
        let Some(keeping) = self.keeping() else { return false };
        if matches!(keeping.intake, Producer::Restoring { .. }) {
            self.recalled(first, &frames);
        } else if keeping.wanted() == Some(first) {
            self.hand_over(frames);
        }
        self.settle();
        true
    }

    /// A segment is there and could not be read. Whether it was awaited.
    pub(super) fn was_not_read(&mut self, first: u64) -> bool {
        let again = self.port.now().after(RETRY);
        let is_awaited = self.ends_reading(first, Reading::Failed { again });
        if is_awaited {
            self.port.push(Output::Trouble(Reason::StateInvalid));
        }
        is_awaited
    }

    fn ends_reading(&mut self, first: u64, then: Reading) -> bool {
        let keeping = self.keeping().filter(|keeping| keeping.reading == Reading::Busy(first));
        keeping.map(|keeping| keeping.reading = then).is_some()
    }

    /// Of the segment that is wanted: the frames from the cursor on, as far as they are durable here.
    fn hand_over(&mut self, frames: Vec<Frame>) {
        let Some(keeping) = self.keeping() else { return };
        let (Delivery::Flowing { cursor }, Some(tail)) = (&mut keeping.delivery, keeping.intake.tail()) else { return };
        let (from, kept) = (*cursor, tail.kept());
        let goes: Vec<_> = frames.into_iter().filter(|frame| number(frame).is_some_and(|n| (from..kept).contains(&n))).collect();
        *cursor = from.saturating_add(goes.len() as u64);
        if goes.is_empty() {
            self.damaged(from);
        } else {
            self.port.extend(goes.into_iter().map(Output::ToRelay));
        }
    }

    /// The last segment was read. One that is damaged from its beginning is let go, and the one before it is the last.
    fn recalled(&mut self, first: u64, frames: &[Frame]) {
        let now = self.port.now();
        let Some(keeping) = self.keeping() else { return };
        let Producer::Restoring { is_closed } = keeping.intake else { return };
        let Some((frame, last)) = frames.last().zip(keeping.segments.back_mut()) else {
            keeping.segments.pop_back();
            let is_empty = keeping.segments.is_empty();
            self.remove(first);
            if is_empty {
                self.forget_found(is_closed);
            }
            return;
        };
        let next = number(frame).unwrap_or(first).saturating_add(1);
        last.next = next;
        let (tail, is_end) = (Tail::new(next, now), matches!(frame.head, Head::End { .. }));
        keeping.intake = match (is_end, is_closed) {
            (true, _) => Producer::Ended(tail),
            (false, false) => Producer::Open(tail),
            (false, true) => Producer::Cut(tail),
        };
        self.answer_source();
    }

    /// Nothing of what was found can be read.
    fn forget_found(&mut self, is_closed: bool) {
        self.port.push(Output::Trouble(Reason::StateInvalid));
        if self.keeping().is_some_and(|keeping| keeping.source != Source::Away) {
            return self.pass_again(0);
        }
        self.state = State::Passing(Passing::default());
        self.port.push(Output::HandsBack);
        if is_closed {
            self.close();
        }
    }

    /// What lies here is damaged from record `from` on: the record ends there, and what lies behind it is of no use.
    fn damaged(&mut self, from: u64) {
        let now = self.port.now();
        self.port.push(Output::Trouble(Reason::StateInvalid));
        self.tell_cut(Reason::SessionCut);
        self.discard_from(from);
        if let Some(keeping) = self.keeping() {
            keeping.segments.retain(|segment| segment.first < from);
            if let Some(last) = keeping.segments.back_mut() {
                last.next = last.next.min(from);
            }
            keeping.intake = Producer::Cut(Tail::new(from, now));
        }
    }

    /// Removes the segments that begin with number `from`, or behind it.
    fn discard_from(&mut self, from: u64) {
        let Some(keeping) = self.keeping() else { return };
        let written = keeping.intake.tail().filter(|tail| tail.is_busy()).map(Tail::first);
        let firsts = keeping.segments.iter().map(|segment| segment.first).chain(written).filter(|first| *first >= from);
        for first in firsts.collect::<BTreeSet<_>>() {
            self.remove(first);
        }
    }

    fn remove(&mut self, first: u64) {
        let file = self.segment(first);
        self.effect(Effect::Remove(EffectId::Remove(first), file));
    }
}
