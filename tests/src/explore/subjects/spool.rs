//! `spool`: a process that makes two records, a relay that says anything about what it has, a disk that works and fails.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proto_core::{
    Machine, Reason, SessionId, Status,
    crypto::Cipher,
    device::spool::{EffectId, Input, MAX_TOTAL, Output, Spool},
    effect::{Effect, IoEvent, StateFile},
    secret::SecretBytes,
    wire::{Frame, Head, Outcome},
};

use super::effect;
use crate::{
    explore::{Action, Broken, Seen, Situation, Subject},
    laws::START,
};

const ID: SessionId = SessionId([7; 16]);

/// Records that are made at most.
const RECORDS: u64 = 2;
/// Deadlines that pass at most.
const TURNS: u8 = 3;
/// Frames of the process at most, beside its `Open`.
const FRAMES: u8 = 3;
/// Times that the relay says where to go on, at most.
const RESUMES: u8 = 2;
/// Failures of the disk, and times that the process comes, at most.
const EACH: u8 = 1;

/// One spool.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    /// The process comes, and has what it was not told to be durable.
    Opens,
    /// The process hands over its next record.
    Record,
    /// The same that it handed over before.
    RecordAgain,
    Ends,
    /// A record for which there is no room.
    TooMuch,
    Leaves,
    Close,
    /// The relay goes on at this record.
    Resume(u64),
    /// One of those that it was given is durable at the relay.
    AcknowledgeOne,
    /// All of them are.
    AcknowledgeAll,
    Ping,
    /// The oldest question to the disk is answered.
    DiskWorks,
    DiskFails,
    Stale,
}

/// What the outside and the properties remember.
#[derive(Clone, Debug, Default, Hash)]
pub struct Memory {
    disk: BTreeMap<u64, SecretBytes>,
    asked: VecDeque<Effect<EffectId>>,
    /// What the process was told to be durable.
    told: u64,
    /// What the relay said to be durable there.
    acknowledged: u64,
    /// Everything below was made, the end included.
    made: u64,
    has_ended: bool,
    /// What the process hands over next, once it was told where to go on.
    cursor: Option<u64>,
    /// What the spool has to hand over next.
    expects: Option<u64>,
    takes: bool,
    closed: bool,
    counts: [u8; 5],
}

impl Subject for Kept {
    type Machine = Spool;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "spool";

    fn bounds(&self) -> String {
        format!(
            "{RECORDS} records and the end; {FRAMES} frames of the process, {TURNS} deadlines; it comes and the disk fails {EACH} time each, the relay goes on {RESUMES} times"
        )
    }

    fn starts(&self) -> Vec<(Spool, Memory)> {
        let found = Memory { made: RECORDS, told: RECORDS, takes: true, ..Memory::default() };
        let disk = [(0, segment(0)), (1, segment(1))].into();
        let bytes = |n| segment(n).expose().len() as u64;
        let recalled = Spool::recall(START, ID, Cipher::ChaCha20Poly1305, [(0, bytes(0)), (1, bytes(1))]);
        vec![(Spool::new(START, ID, Cipher::ChaCha20Poly1305), Memory::default()), (recalled, Memory { disk, ..found })]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        let memory = &at.memory;
        let [turns, opens, resumes, failures, frames] = memory.counts;
        if turns >= TURNS {
            return Vec::new();
        }
        let mut facts = vec![Fact::Leaves, Fact::Close, Fact::Ping, Fact::DiskWorks, Fact::Stale];
        facts.extend([Fact::AcknowledgeOne, Fact::AcknowledgeAll]);
        if frames < FRAMES {
            facts.extend([Fact::Record, Fact::RecordAgain, Fact::Ends, Fact::TooMuch]);
        }
        facts.extend((opens < EACH).then_some(Fact::Opens));
        facts.extend((failures < EACH).then_some(Fact::DiskFails));
        if resumes < RESUMES {
            facts.extend((0..=RECORDS + 1).map(Fact::Resume));
        }
        facts
    }

    fn times(&self, at: &Situation<Self>) -> Vec<Action<Fact>> {
        if at.memory.counts[0] >= TURNS { Vec::new() } else { vec![Action::JustBefore, Action::Due, Action::Late] }
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let memory = &at.memory;
        let source = |frame| Input::Source { frame, free: MAX_TOTAL };
        let next = memory.cursor.unwrap_or(0);
        match *fact {
            Fact::Opens => {
                let body = Bytes::copy_from_slice(&memory.told.min(RECORDS).to_be_bytes());
                source(Frame { head: Head::Open { session: ID, cipher: 2 }, body })
            }
            Fact::Record => source(record(next.min(RECORDS - 1))),
            Fact::RecordAgain => source(record(next.saturating_sub(1))),
            Fact::Ends => source(Head::End { session: ID, next, outcome: Outcome::Exited }.into()),
            Fact::TooMuch => Input::Source { frame: record(next), free: 0 },
            Fact::Leaves => Input::Left,
            Fact::Close => Input::Close,
            Fact::Resume(next) => Input::Relay(Head::Resume { session: ID, next }.into()),
            Fact::AcknowledgeOne | Fact::AcknowledgeAll => {
                Input::Relay(Head::Acknowledge { session: ID, next: memory.acknowledges(fact) }.into())
            }
            Fact::Ping => Input::Relay(Head::Ping { nonce: 1 }.into()),
            Fact::DiskWorks | Fact::DiskFails => Input::Io(memory.answer(*fact == Fact::DiskWorks)),
            Fact::Stale => Input::Io(IoEvent::Stored(EffectId::Keep(99))),
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        memory.heard(seen.fact);
        seen.outputs.iter().try_for_each(|output| memory.judge(output))?;
        match seen.after.status() {
            Status::Finished if !memory.closed && memory.acknowledged < memory.told => {
                Err(Broken::new("SPOOL-1", format!("over, and the relay has {} of {}", memory.acknowledged, memory.told)))
            }
            _ => Ok(()),
        }
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::Effect(asked) => effect(asked),
            Output::ToSource(frame) => format!("ToSource({})", name_of(&frame.head)),
            Output::ToRelay(frame) => format!("ToRelay({})", name_of(&frame.head)),
            other => format!("{other:?}"),
        }
    }

    fn ignored(&self, machine: &Spool) -> Vec<(&'static str, u64)> {
        let stats = machine.stats();
        vec![("out_of_turn", stats.out_of_turn), ("strange_frames", stats.strange_frames), ("stale_answers", stats.stale_answers)]
    }
}

fn name_of(head: &Head) -> String {
    match head {
        Head::Open { .. } => "Open".into(),
        Head::Data { .. } => "Data".into(),
        Head::End { outcome, .. } => format!("End {outcome:?}"),
        Head::Resume { .. } => "Resume".into(),
        Head::Acknowledge { .. } => "Acknowledge".into(),
        other => format!("{other:?}"),
    }
}

fn record(sequence: u64) -> Frame {
    Frame { head: Head::Data { session: ID, epoch: 0, sequence }, body: Bytes::from_static(b"sealed") }
}

/// A file with one record.
fn segment(first: u64) -> SecretBytes {
    let frame = record(first).encode();
    SecretBytes::new([&u32::try_from(frame.len()).expect("a short one").to_be_bytes()[..], &frame].concat())
}

impl Memory {
    fn heard(&mut self, fact: Option<&Fact>) {
        let may_say = fact.is_some_and(|fact| self.may_say(fact));
        let [turns, opens, resumes, failures, frames] = &mut self.counts;
        *frames += u8::from(matches!(fact, Some(Fact::Record | Fact::RecordAgain | Fact::Ends | Fact::TooMuch)));
        match fact {
            None => *turns += 1,
            Some(Fact::Opens) => {
                *opens += 1;
                self.cursor = None;
            }
            Some(Fact::Leaves) => self.cursor = None,
            Some(Fact::Record) if self.cursor.is_some_and(|cursor| cursor >= RECORDS) => {}
            // A process that says what it must not say answers for what is missing.
            Some(Fact::Record | Fact::Ends) if !may_say => self.closed = true,
            Some(Fact::Record) => self.advance(),
            Some(Fact::Ends) => {
                self.has_ended = true;
                self.advance();
            }
            Some(Fact::Close | Fact::TooMuch) => self.closed = true,
            Some(Fact::Resume(next)) => {
                *resumes += 1;
                self.expects = Some(*next);
                // Its end is durable where it says so.
                if *next >= self.made.max(1) && (self.has_ended || *next > self.made) {
                    self.acknowledged = self.acknowledged.max(*next);
                }
            }
            Some(fact @ (Fact::AcknowledgeOne | Fact::AcknowledgeAll)) => {
                self.acknowledged = self.acknowledged.max(self.acknowledges(fact));
            }
            Some(Fact::DiskWorks) => self.disk_works(),
            Some(Fact::DiskFails) => {
                *failures += 1;
                self.asked.pop_front();
            }
            Some(Fact::RecordAgain | Fact::Ping | Fact::Stale) => {}
        }
    }

    /// Records come in order and then the end, once the process was told where to go on.
    fn may_say(&self, fact: &Fact) -> bool {
        let records = self.made - u64::from(self.has_ended);
        self.cursor.is_some_and(|cursor| match fact {
            Fact::Ends => cursor == records,
            _ => cursor < records || !self.has_ended,
        })
    }

    fn advance(&mut self) {
        self.cursor = self.cursor.map(|cursor| cursor + 1);
        self.made = self.made.max(self.cursor.unwrap_or(0));
    }

    /// What the relay says to be durable.
    fn acknowledges(&self, fact: &Fact) -> u64 {
        let given = self.expects.unwrap_or(0);
        if *fact == Fact::AcknowledgeOne { given.min(1) } else { given }
    }

    fn disk_works(&mut self) {
        match self.asked.pop_front() {
            Some(Effect::Store(_, StateFile::Segment(_, first), contents)) => drop(self.disk.insert(first, contents)),
            Some(Effect::Remove(_, StateFile::Segment(_, first))) => drop(self.disk.remove(&first)),
            _ => {}
        }
    }

    fn answer(&self, works: bool) -> IoEvent<EffectId> {
        match self.asked.front() {
            Some(Effect::Load(ask, StateFile::Segment(_, first))) => {
                IoEvent::Loaded(*ask, self.disk.get(first).filter(|_| works).cloned())
            }
            Some(Effect::Store(ask, ..) | Effect::Remove(ask, _)) if works => IoEvent::Stored(*ask),
            Some(Effect::Store(ask, ..) | Effect::Remove(ask, _)) => IoEvent::NotStored(*ask),
            _ => IoEvent::Stored(EffectId::Keep(98)),
        }
    }

    /// The first number that is not on the disk.
    fn on_disk(&self) -> u64 {
        let ends = self.disk.iter().map(|(first, contents)| {
            let (mut rest, mut next) = (contents.expose(), *first);
            while let Some((length, frame)) = rest.split_first_chunk() {
                rest = &frame[u32::from_be_bytes(*length) as usize..];
                next += 1;
            }
            next
        });
        ends.max().unwrap_or(0)
    }

    fn judge(&mut self, output: &Output) -> Result<(), Broken> {
        match output {
            Output::Effect(asked) => self.asked.push_back(asked.clone()),
            Output::Takes => self.takes = true,
            Output::Returns => self.takes = false,
            Output::ToSource(frame) => return self.told(&frame.head),
            Output::ToRelay(frame) if self.takes => return self.handed_over(&frame.head),
            // What the disk has lost cannot be delivered; it is said.
            Output::Trouble(Reason::StateInvalid) => self.closed = true,
            Output::ToRelay(_) | Output::Trouble(_) => {}
        }
        Ok(())
    }

    /// SPOOL-2: nothing is said to be durable that lies neither here nor there.
    fn told(&mut self, head: &Head) -> Result<(), Broken> {
        match head {
            Head::Acknowledge { next, .. } => {
                if *next > self.on_disk().max(self.acknowledged) {
                    return Err(Broken::new("SPOOL-2", format!("{next} are durable, says it; {} lie here", self.on_disk())));
                }
                self.told = self.told.max(*next);
            }
            Head::Resume { next, .. } => self.cursor = Some(*next),
            _ => {}
        }
        Ok(())
    }

    /// SPOOL-1: what is handed over goes on where the relay said, without gap and without repetition.
    fn handed_over(&mut self, head: &Head) -> Result<(), Broken> {
        let number = match head {
            Head::Data { sequence, .. } => *sequence,
            Head::End { next, .. } => *next,
            _ => return Ok(()),
        };
        if self.expects != Some(number) {
            return Err(Broken::new("SPOOL-1", format!("{head:?}, where {:?} was due", self.expects)));
        }
        self.expects = Some(number + 1);
        Ok(())
    }
}
