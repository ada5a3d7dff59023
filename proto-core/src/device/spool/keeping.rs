//! While the relay does not keep up: records go to the disk, and from there to the relay.

use alloc::{collections::BTreeSet, vec::Vec};
use core::mem;

use super::{
    EffectId, MAX_SESSION, Output, Spool, Timer,
    passing::kept_from,
    segment::{self, number},
    state::{Delivery, End, Intake, Keeping, OnTheWay, Passing, Segment, State},
    tail::{Draft, Tail, Written},
};
use crate::{
    Deadline, Reason,
    device::session::MAX_IN_FLIGHT,
    effect::{Effect, IoEvent},
    secret::SecretBytes,
    wire::{Frame, Head, Outcome},
};

impl Intake {
    const fn tail(&self) -> Option<&Tail> {
        match self {
            Self::Recalling { .. } => None,
            Self::Open(tail) | Self::Ended(tail) | Self::Cut(tail) => Some(tail),
        }
    }

    const fn tail_mut(&mut self) -> Option<&mut Tail> {
        match self {
            Self::Recalling { .. } => None,
            Self::Open(tail) | Self::Ended(tail) | Self::Cut(tail) => Some(tail),
        }
    }

    /// Whether nothing follows what was taken.
    const fn ends(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Cut(_))
    }
}

impl Keeping {
    pub(super) fn bytes(&self) -> u64 {
        let waiting = self.intake.tail().map_or(0, Tail::waiting_bytes);
        self.shelf.iter().map(|segment| segment.bytes).fold(waiting as u64, u64::saturating_add)
    }

    pub(super) fn deadline(&self) -> Option<Deadline<Timer>> {
        let write = self.intake.tail().and_then(|tail| tail.deadline(self.intake.ends()));
        let write = write.map(|at| Deadline::new(at, Timer::Write));
        let pass = self.passes().map(|_| Deadline::new(self.stays_until, Timer::Pass));
        Deadline::earliest(write, pass)
    }

    pub(super) const fn waiting_for(&self) -> &'static str {
        match (&self.intake, &self.delivery) {
            (Intake::Recalling { .. }, _) | (_, Delivery::Flowing { reading: Some(_), .. }) => "the disk",
            (_, Delivery::Waiting) => "the relay to say where to go on",
            (Intake::Open(_), _) => "more records, and the relay",
            _ => "the relay to take the rest",
        }
    }

    /// Where the process may go on by itself: the relay has all that lies here.
    fn passes(&self) -> Option<u64> {
        let Intake::Open(tail) = &self.intake else { return None };
        let is_caught_up = matches!(self.delivery, Delivery::Flowing { .. }) && self.acknowledged >= tail.kept();
        (self.is_here && is_caught_up && !tail.is_busy()).then(|| tail.kept())
    }

    /// The segment to read next, if there is one and the relay keeps up.
    fn wanted(&self) -> Option<u64> {
        let Delivery::Flowing { cursor, reading: None } = self.delivery else { return None };
        if cursor >= self.intake.tail()?.kept() {
            return None;
        }
        let on_the_way = self.shelf.iter().filter(|segment| segment.first < cursor).map(|segment| segment.bytes);
        if on_the_way.fold(0, u64::saturating_add) >= MAX_IN_FLIGHT as u64 {
            return None;
        }
        self.shelf.iter().rev().find(|segment| segment.first <= cursor).map(|segment| segment.first)
    }

    /// What is durable at the relay is not kept: the segment that goes next.
    fn spent(&mut self) -> Option<u64> {
        let tail = self.intake.tail_mut()?;
        let oldest = self.shelf.front().filter(|segment| segment.next <= self.acknowledged)?.first;
        if oldest == tail.first() {
            if tail.is_busy() {
                return None;
            }
            // It would be written once more.
            tail.begin_segment();
        }
        self.shelf.pop_front();
        Some(oldest)
    }

    fn file(&mut self, segment: Segment) {
        match self.shelf.back_mut().filter(|last| last.first == segment.first) {
            Some(last) => *last = segment,
            None => self.shelf.push_back(segment),
        }
    }
}

impl Spool {
    const fn keeping(&mut self) -> Option<&mut Keeping> {
        if let State::Keeping(keeping) = &mut self.state { Some(keeping) } else { None }
    }

    /// The process says something.
    pub(super) fn take(&mut self, frame: Frame, free: u64) {
        if matches!(frame.head, Head::Open { .. }) {
            return self.source_came(frame);
        }
        let Some(keeping) = self.keeping() else { return };
        let used = keeping.bytes();
        let Intake::Open(tail) = &mut keeping.intake else {
            self.stats.0.out_of_turn += 1;
            return;
        };
        let (is_end, len) = (matches!(frame.head, Head::End { .. }), segment::len(&frame) as u64);
        let continues = number(&frame) == Some(tail.next());
        if continues && !is_end && (len > free || used.saturating_add(len) > MAX_SESSION) {
            self.tell_cut(Reason::SpoolFull);
            self.port.push(Output::Trouble(Reason::SpoolFull));
            return self.cut();
        }
        if !tail.take(frame) {
            self.stats.0.out_of_turn += 1;
        } else if is_end {
            keeping.intake = Intake::Ended(tail.clone());
        }
        self.settle();
    }

    /// The process came, or came back.
    fn source_came(&mut self, open: Frame) {
        self.remove_spent();
        let Some(keeping) = self.keeping() else { return };
        keeping.is_here = true;
        match &mut keeping.intake {
            Intake::Recalling { asked, is_closed: false } => *asked = Some(open),
            Intake::Open(tail) | Intake::Ended(tail) => {
                let (kept, next) = (tail.kept(), tail.next());
                // What the process was told to be durable and does not lie here has arrived, and so has everything before it. What
                // is found here was to be removed.
                let is_left_over = kept_from(&open).is_some_and(|kept_from| kept_from > next);
                match keeping.passes() {
                    _ if is_left_over => {
                        self.discard();
                        self.pass_again(kept_from(&open).unwrap_or(next));
                        self.pass_up(open);
                    }
                    Some(kept) => {
                        self.pass_again(kept);
                        self.pass_up(open);
                    }
                    None => self.resume_source(kept),
                }
            }
            Intake::Cut(_) | Intake::Recalling { .. } => self.tell_cut(Reason::SessionCut),
        }
    }

    pub(super) fn left(&mut self) {
        match &mut self.state {
            State::Passing(passing) => {
                passing.awaited = None;
                passing.way = OnTheWay::default();
            }
            State::Keeping(keeping) => {
                keeping.is_here = false;
                if let Intake::Recalling { asked, .. } = &mut keeping.intake {
                    *asked = None;
                }
            }
            State::Closing(_) | State::Finished | State::Failed(_) => {}
        }
    }

    /// There will be no more.
    pub(super) fn cut(&mut self) {
        let Some(keeping) = self.keeping() else { return };
        match &mut keeping.intake {
            Intake::Recalling { is_closed, .. } => *is_closed = true,
            Intake::Open(tail) => keeping.intake = Intake::Cut(tail.clone()),
            Intake::Ended(_) | Intake::Cut(_) => {}
        }
        self.settle();
    }

    pub(super) fn happen(&mut self, io_event: IoEvent<EffectId>) {
        let is_current = match io_event {
            IoEvent::Stored(EffectId::Keep(below)) => self.written(below, true),
            IoEvent::NotStored(EffectId::Keep(below)) => self.written(below, false),
            IoEvent::Loaded(EffectId::Read(first), contents) => self.was_read(first, contents),
            // A segment that stays is found at the next start, and goes with the rest when the session is over.
            IoEvent::Stored(EffectId::Remove(_)) | IoEvent::NotStored(EffectId::Remove(_)) => true,
            _ => false,
        };
        if !is_current {
            self.stats.0.stale_answers += 1;
        }
    }

    /// A write ended. Whether it was this one that was awaited.
    fn written(&mut self, below: u64, is_durable: bool) -> bool {
        let (now, session) = (self.port.now(), self.session);
        let Some(keeping) = self.keeping() else { return false };
        let Some(tail) = keeping.intake.tail_mut() else { return false };
        let first = tail.first();
        match tail.written(below, is_durable, now) {
            Written::NotAwaited => return false,
            Written::Failed => self.port.push(Output::Trouble(Reason::StateNotWritten)),
            Written::Durable { bytes } => {
                keeping.file(Segment { first, next: below, bytes: bytes as u64 });
                if keeping.is_here && !matches!(keeping.intake, Intake::Cut(_)) {
                    self.port.push(Output::ToSource(Head::Acknowledge { session, next: below }.into()));
                }
            }
        }
        self.settle();
        true
    }

    /// A segment was read. Whether it was awaited.
    fn was_read(&mut self, first: u64, contents: Option<SecretBytes>) -> bool {
        let session = self.session;
        let frames = contents.map(|contents| segment::read(session, first, &contents.expose().to_vec().into()));
        let frames = frames.unwrap_or_default();
        let Some(keeping) = self.keeping() else { return false };
        if matches!(keeping.intake, Intake::Recalling { .. }) {
            return self.recalled(first, &frames);
        }
        let (Delivery::Flowing { cursor, reading }, Some(tail)) = (&mut keeping.delivery, keeping.intake.tail()) else {
            return false;
        };
        if reading.take_if(|reading| *reading == first).is_none() {
            return false;
        }
        let (from, kept) = (*cursor, tail.kept());
        let goes: Vec<_> = frames.into_iter().filter(|frame| number(frame).is_some_and(|n| (from..kept).contains(&n))).collect();
        *cursor = from.saturating_add(goes.len() as u64);
        if goes.is_empty() {
            self.damaged(from);
        } else {
            self.port.extend(goes.into_iter().map(Output::ToRelay));
            self.settle();
        }
        true
    }

    /// Reads the last segment that was found, to know where it ends.
    pub(super) fn recall_last(&mut self) {
        let Some(last) = self.keeping().and_then(|keeping| keeping.shelf.back().map(|segment| segment.first)) else { return };
        let file = self.segment(last);
        self.effect(Effect::Load(EffectId::Read(last), file));
    }

    /// The last segment was read. One that is torn from its beginning is dropped, and the one before it is the last.
    fn recalled(&mut self, first: u64, frames: &[Frame]) -> bool {
        let now = self.port.now();
        let Some(keeping) = self.keeping() else { return false };
        let Intake::Recalling { is_closed, .. } = keeping.intake else { return false };
        let Some(last) = keeping.shelf.back_mut().filter(|last| last.first == first) else { return false };
        let Some(frame) = frames.last() else {
            keeping.shelf.pop_back();
            let is_empty = keeping.shelf.is_empty();
            let file = self.segment(first);
            self.effect(Effect::Remove(EffectId::Remove(first), file));
            self.port.push(Output::Trouble(Reason::StateInvalid));
            if is_empty {
                self.forget_found(is_closed);
            } else {
                self.recall_last();
            }
            return true;
        };
        let next = number(frame).unwrap_or(first).saturating_add(1);
        last.next = next;
        let (tail, is_end) = (Tail::new(next, now), matches!(frame.head, Head::End { .. }));
        let intake = match (is_end, is_closed) {
            (true, _) => Intake::Ended(tail),
            (false, false) => Intake::Open(tail),
            (false, true) => Intake::Cut(tail),
        };
        if let Intake::Recalling { asked: Some(open), .. } = mem::replace(&mut keeping.intake, intake) {
            self.source_came(open);
        }
        self.settle();
        true
    }

    /// Nothing of what was found can be read.
    fn forget_found(&mut self, is_closed: bool) {
        self.state = State::Passing(Passing::default());
        self.port.push(Output::Returns);
        if is_closed {
            self.close();
        }
    }

    /// What lies here cannot be read from record `from` on: the record ends there.
    fn damaged(&mut self, from: u64) {
        self.port.push(Output::Trouble(Reason::StateInvalid));
        self.tell_cut(Reason::SessionCut);
        self.discard();
        self.send_end(End { records: from, outcome: Outcome::Cut });
    }

    /// Removes what lies here.
    fn discard(&mut self) {
        let Some(keeping) = self.keeping() else { return };
        let written = keeping.intake.tail().filter(|tail| tail.is_busy()).map(Tail::first);
        let first: BTreeSet<_> = keeping.shelf.iter().map(|segment| segment.first).chain(written).collect();
        for first in first {
            let file = self.segment(first);
            self.effect(Effect::Remove(EffectId::Remove(first), file));
        }
    }

    /// The relay goes on at record `next`.
    pub(super) fn deliver_from(&mut self, next: u64) {
        let Some(keeping) = self.keeping() else { return };
        let oldest = keeping.shelf.front().map(|segment| segment.first);
        let oldest = oldest.or_else(|| keeping.intake.tail().map(Tail::kept));
        if oldest.is_some_and(|oldest| next < oldest) {
            self.tell_cut(Reason::RecordsLost);
            self.discard();
            self.state = State::Failed(Reason::RecordsLost);
            return;
        }
        keeping.delivery = Delivery::Flowing { cursor: next, reading: None };
        if let Intake::Ended(tail) = &keeping.intake
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

    /// Does what there is to do: removes, leaves this state, or writes and reads.
    pub(super) fn settle(&mut self) {
        self.remove_spent();
        self.leave();
        self.write();
        self.read();
    }

    fn remove_spent(&mut self) {
        while let Some(first) = self.keeping().and_then(Keeping::spent) {
            let file = self.segment(first);
            self.effect(Effect::Remove(EffectId::Remove(first), file));
        }
    }

    fn write(&mut self) {
        let now = self.port.now();
        let Some(keeping) = self.keeping() else { return };
        let ends = keeping.intake.ends();
        if let Some(Draft { first, below, contents }) = keeping.intake.tail_mut().and_then(|tail| tail.draft(now, ends)) {
            let file = self.segment(first);
            self.effect(Effect::Store(EffectId::Keep(below), file, SecretBytes::new(contents)));
        }
    }

    fn read(&mut self) {
        let Some(keeping) = self.keeping() else { return };
        let Some(first) = keeping.wanted() else { return };
        if let Delivery::Flowing { reading, .. } = &mut keeping.delivery {
            *reading = Some(first);
        }
        let file = self.segment(first);
        self.effect(Effect::Load(EffectId::Read(first), file));
    }

    fn leave(&mut self) {
        let now = self.port.now();
        let Some(keeping) = self.keeping() else { return };
        let is_delivered = |tail: &Tail, acknowledged: u64| tail.is_kept() && acknowledged >= tail.next();
        match (&keeping.intake, keeping.delivery) {
            (Intake::Ended(tail), _) if is_delivered(tail, keeping.acknowledged) => self.state = State::Finished,
            (Intake::Cut(tail), Delivery::Flowing { cursor, .. }) if is_delivered(tail, keeping.acknowledged) => {
                self.send_end(End { records: cursor, outcome: Outcome::Cut });
            }
            _ => {
                let kept = keeping.passes().filter(|_| keeping.stays_until <= now);
                if let Some(kept) = kept {
                    self.pass_again(kept);
                }
            }
        }
    }
}
