//! While the relay does not keep up: records go to the disk.

use super::{
    EffectId, MAX_SESSION, Output, Spool, Timer,
    passing::source_first,
    segment::{self, number},
    state::{Delivery, End, InFlight, Producer, Reading, Segment, Source, Spooling, State},
    tail::{Draft, Tail, Written},
};
use crate::{
    Deadline, Reason,
    effect::{Effect, IoEvent},
    secret::SecretBytes,
    wire::{Frame, Head, Outcome},
};

impl Producer {
    pub(super) const fn tail(&self) -> Option<&Tail> {
        match self {
            Self::Restoring { .. } => None,
            Self::Open(tail) | Self::Ended(tail) | Self::Cut(tail) => Some(tail),
        }
    }

    pub(super) const fn tail_mut(&mut self) -> Option<&mut Tail> {
        match self {
            Self::Restoring { .. } => None,
            Self::Open(tail) | Self::Ended(tail) | Self::Cut(tail) => Some(tail),
        }
    }

    /// Whether nothing follows what was taken.
    const fn ends(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Cut(_))
    }
}

impl Spooling {
    pub(super) fn bytes(&self) -> u64 {
        let waiting = self.intake.tail().map_or(0, Tail::waiting_bytes);
        self.segments.iter().map(|segment| segment.bytes).fold(waiting as u64, u64::saturating_add)
    }

    pub(super) fn deadline(&self) -> Option<Deadline<Timer>> {
        let write = self.intake.tail().and_then(|tail| tail.deadline(self.intake.ends()));
        let write = write.map(|at| Deadline::new(at, Timer::Write));
        let pass = self.passes().map(|_| Deadline::new(self.stays_until, Timer::Pass));
        let read = match self.reading {
            Reading::Failed { again } => self.wanted().map(|_| Deadline::new(again, Timer::Read)),
            Reading::Idle | Reading::Busy(_) => None,
        };
        Deadline::earliest(Deadline::earliest(write, pass), read)
    }

    pub(super) const fn waiting_for(&self) -> &'static str {
        match (&self.intake, &self.delivery) {
            (Producer::Restoring { .. }, _) => "the disk",
            _ if !matches!(self.reading, Reading::Idle) => "the disk",
            (_, Delivery::Waiting) => "the relay to say where to go on",
            (Producer::Open(_), _) => "more records, and the relay",
            _ => "the relay to take the rest",
        }
    }

    /// Where the process may go on by itself: the relay has all that lies here.
    fn passes(&self) -> Option<u64> {
        let Producer::Open(tail) = &self.intake else { return None };
        let is_caught_up = matches!(self.delivery, Delivery::Flowing { .. }) && self.acknowledged >= tail.kept();
        (self.source != Source::Away && is_caught_up && !tail.is_busy()).then(|| tail.kept())
    }

    fn file(&mut self, segment: Segment) {
        match self.segments.back_mut().filter(|last| last.first == segment.first) {
            Some(last) => *last = segment,
            None => self.segments.push_back(segment),
        }
    }
}

impl Spool {
    pub(super) const fn keeping(&mut self) -> Option<&mut Spooling> {
        if let State::Spooling(keeping) = &mut self.state { Some(keeping) } else { None }
    }

    /// The process says something.
    pub(super) fn take(&mut self, frame: Frame, free: u64) {
        if matches!(frame.head, Head::Open { .. }) {
            return self.source_came(&frame);
        }
        let Some(keeping) = self.keeping() else { return };
        let used = keeping.bytes();
        let Producer::Open(tail) = &mut keeping.intake else {
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
            keeping.intake = Producer::Ended(tail.clone());
        }
        self.settle();
    }

    /// The process came, or came back.
    fn source_came(&mut self, open: &Frame) {
        let Some(keeping) = self.keeping() else { return };
        keeping.source = Source::Here { source_first: source_first(open).unwrap_or(0) };
        match keeping.passes() {
            Some(kept) => self.pass_again(kept),
            None => self.answer_source(),
        }
    }

    /// Tells a process that is here where to go on. It waits while that is not known.
    pub(super) fn answer_source(&mut self) {
        let Some(keeping) = self.keeping() else { return };
        let Source::Here { source_first } = keeping.source else { return };
        match &keeping.intake {
            Producer::Restoring { is_closed: false } => {}
            // It passed records by itself since: they are at the relay, which says so, and what lies here was only not removed yet.
            Producer::Open(tail) if tail.kept() < source_first => {}
            Producer::Open(tail) | Producer::Ended(tail) => {
                let kept = tail.kept();
                self.resume_source(kept);
            }
            Producer::Cut(_) | Producer::Restoring { is_closed: true } => self.tell_cut(Reason::SessionCut),
        }
    }

    pub(super) fn left(&mut self) {
        match &mut self.state {
            State::Passing(passing) => {
                passing.awaited = None;
                passing.way = InFlight::default();
            }
            State::Spooling(keeping) => keeping.source = Source::Away,
            State::Closing(_) | State::Finished | State::Failed(_) => {}
        }
    }

    /// There will be no more.
    pub(super) fn cut(&mut self) {
        let Some(keeping) = self.keeping() else { return };
        match &mut keeping.intake {
            Producer::Restoring { is_closed } => *is_closed = true,
            Producer::Open(tail) => keeping.intake = Producer::Cut(tail.clone()),
            Producer::Ended(_) | Producer::Cut(_) => {}
        }
        self.settle();
    }

    pub(super) fn happen(&mut self, io_event: IoEvent<EffectId>) {
        let is_current = match io_event {
            IoEvent::Stored(EffectId::Keep(below)) => self.written(below, true),
            IoEvent::NotStored(EffectId::Keep(below)) => self.written(below, false),
            IoEvent::Loaded(EffectId::Read(first), contents) => self.was_read(first, contents),
            IoEvent::NotLoaded(EffectId::Read(first)) => self.was_not_read(first),
            // A segment that stays goes with the session's folder when that is over.
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
                if keeping.source != Source::Away && !matches!(keeping.intake, Producer::Cut(_)) {
                    self.port.push(Output::ToSource(Head::Acknowledge { session, next: below }.into()));
                }
            }
        }
        self.settle();
        true
    }

    /// Does what there is to do: removes, leaves this state, or writes and reads.
    pub(super) fn settle(&mut self) {
        self.tidy();
        self.leave();
        self.write();
        self.read();
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

    fn leave(&mut self) {
        let now = self.port.now();
        let Some(keeping) = self.keeping() else { return };
        let is_delivered = |tail: &Tail, acknowledged: u64| tail.is_kept() && acknowledged >= tail.next();
        match (&keeping.intake, keeping.delivery) {
            (Producer::Ended(tail), _) if is_delivered(tail, keeping.acknowledged) => self.state = State::Finished,
            (Producer::Cut(tail), Delivery::Flowing { cursor }) if is_delivered(tail, keeping.acknowledged) => {
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
