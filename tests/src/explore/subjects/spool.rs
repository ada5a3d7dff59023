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
/// The number of what a process says that was not told where to go on.
const UNASKED: u64 = 99;
/// Deadlines that pass at most.
const TURNS: u8 = 3;
/// Times that the process or the relay comes, at most.
const EACH: u8 = 2;
/// Failures of the disk, at most.
const FAILURES: u8 = 1;
/// Records out of turn, and too long ones, at most.
const STRAYS: u8 = 1;

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
    /// Everything below this record is durable at the relay.
    Acknowledge(u64),
    Ping,
    /// The oldest question to the disk is answered.
    DiskWorks,
    DiskFails,
    /// The segment that is read is not there any more.
    DiskForgot,
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
    /// After so many records the process ended.
    whole: Option<u64>,
    /// What the process hands over next, once it was told where to go on.
    cursor: Option<u64>,
    /// What the spool has to hand over next.
    expects: Option<u64>,
    takes: bool,
    closed: bool,
    damaged: bool,
    counts: [u8; 5],
}

impl Subject for Kept {
    type Machine = Spool;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "spool";

    fn bounds(&self) -> String {
        format!(
            "{RECORDS} records and the end; {TURNS} deadlines; the process comes and the relay goes on {EACH} times each; the disk fails once, one record comes out of turn or is too long"
        )
    }

    fn starts(&self) -> Vec<(Spool, Memory)> {
        let found = Memory { told: RECORDS, takes: true, ..Memory::default() };
        let disk = [(0, segment(0)), (1, segment(1))].into();
        let bytes = |n| segment(n).expose().len() as u64;
        let recalled = Spool::restore(START, ID, Cipher::ChaCha20Poly1305, [(0, bytes(0)), (1, bytes(1))]);
        vec![(Spool::new(START, ID, Cipher::ChaCha20Poly1305), Memory::default()), (recalled, Memory { disk, ..found })]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        let memory = &at.memory;
        let [turns, opens, resumes, failures, strays] = memory.counts;
        if turns >= TURNS {
            return Vec::new();
        }
        let mut facts = vec![Fact::Leaves, Fact::Close, Fact::Ping, Fact::DiskWorks, Fact::Stale];
        facts.extend((opens < EACH).then_some(Fact::Opens));
        if failures < FAILURES {
            facts.extend([Fact::DiskFails, Fact::DiskForgot]);
        }
        let is_stray = memory.next() == UNASKED;
        facts.extend((strays < STRAYS || !is_stray).then_some(Fact::Record));
        if strays < STRAYS {
            facts.extend([Fact::RecordAgain, Fact::TooMuch]);
        }
        facts.extend((strays < STRAYS || memory.cursor.is_some()).then_some(Fact::Ends));
        if resumes < EACH {
            facts.extend((0..=RECORDS + 1).map(Fact::Resume));
        }
        facts.extend((1..=RECORDS + 1).map(Fact::Acknowledge));
        facts
    }

    fn times(&self, at: &Situation<Self>) -> Vec<Action<Fact>> {
        if at.memory.counts[0] >= TURNS { Vec::new() } else { vec![Action::JustBefore, Action::Due, Action::Late] }
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let memory = &at.memory;
        let source = |frame| Input::Source { frame, free: MAX_TOTAL };
        let next = memory.next();
        match *fact {
            Fact::Opens => {
                let body = Bytes::copy_from_slice(&memory.told.min(RECORDS).to_be_bytes());
                source(Frame { head: Head::Open { session: ID, cipher: 2 }, body })
            }
            Fact::Record => source(record(next)),
            Fact::RecordAgain => source(record(memory.cursor.and_then(|cursor| cursor.checked_sub(1)).unwrap_or(UNASKED))),
            Fact::Ends => source(Head::End { session: ID, next: memory.whole.unwrap_or(next), outcome: Outcome::Exited }.into()),
            Fact::TooMuch => Input::Source { frame: record(next), free: 0 },
            Fact::Leaves => Input::Left,
            Fact::Close => Input::Close,
            Fact::Resume(next) => Input::Relay(Head::Resume { session: ID, next }.into()),
            Fact::Acknowledge(next) => Input::Relay(Head::Acknowledge { session: ID, next }.into()),
            Fact::Ping => Input::Relay(Head::Ping { nonce: 1 }.into()),
            Fact::DiskWorks | Fact::DiskFails => Input::Io(memory.answer(*fact == Fact::DiskWorks)),
            Fact::DiskForgot => Input::Io(memory.forgot()),
            Fact::Stale => Input::Io(IoEvent::Stored(EffectId::Keep(99))),
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        memory.heard(seen.fact);
        seen.outputs.iter().try_for_each(|output| memory.judge(output, &seen.after.status()))?;
        match seen.after.status() {
            Status::Finished if !memory.closed && !memory.damaged && memory.acknowledged < memory.told => {
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
        vec![
            ("out_of_turn", stats.out_of_turn),
            ("unexpected_frames", stats.unexpected_frames),
            ("stale_answers", stats.stale_answers),
        ]
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

/// The first number behind those of a segment.
fn behind(first: u64, contents: &SecretBytes) -> u64 {
    let (mut rest, mut next) = (contents.expose(), first);
    while let Some((length, frame)) = rest.split_first_chunk() {
        rest = &frame[u32::from_be_bytes(*length) as usize..];
        next += 1;
    }
    next
}

impl Memory {
    fn heard(&mut self, fact: Option<&Fact>) {
        let next = self.next();
        let [turns, opens, resumes, failures, strays] = &mut self.counts;
        match fact {
            None => *turns += 1,
            Some(Fact::Opens) => {
                *opens += 1;
                self.cursor = None;
            }
            Some(Fact::Leaves) => self.cursor = None,
            Some(Fact::Record) if next != UNASKED => self.cursor = Some(next + 1),
            Some(Fact::Ends) => {
                *strays += u8::from(self.cursor.is_none());
                self.whole = self.whole.or(self.cursor);
                if self.cursor == self.whole {
                    self.cursor = self.cursor.map(|whole| whole + 1);
                }
            }
            Some(Fact::Close) => self.closed = true,
            Some(Fact::TooMuch) => {
                *strays += 1;
                self.closed |= next != UNASKED;
            }
            Some(Fact::Resume(next)) => {
                *resumes += 1;
                self.expects = Some(*next);
                // Then the end is durable there.
                if self.whole.is_some_and(|whole| *next > whole) {
                    self.acknowledged = self.acknowledged.max(*next);
                }
            }
            Some(Fact::Acknowledge(next)) => self.acknowledged = self.acknowledged.max(*next),
            Some(Fact::DiskWorks) => self.disk_works(),
            Some(Fact::DiskFails) => {
                *failures += 1;
                self.asked.pop_front();
            }
            Some(Fact::DiskForgot) => {
                *failures += 1;
                self.disk_forgets();
            }
            Some(Fact::Record | Fact::RecordAgain) => *strays += 1,
            Some(Fact::Ping | Fact::Stale) => {}
        }
    }

    /// The number of the next record, while there are any.
    fn next(&self) -> u64 {
        self.cursor.filter(|cursor| *cursor < self.whole.unwrap_or(RECORDS)).unwrap_or(UNASKED)
    }

    fn disk_works(&mut self) {
        match self.asked.pop_front() {
            Some(Effect::Store(_, StateFile::Segment(_, first), contents)) => drop(self.disk.insert(first, contents)),
            Some(Effect::Remove(_, StateFile::Segment(_, first))) => drop(self.disk.remove(&first)),
            _ => {}
        }
    }

    fn disk_forgets(&mut self) {
        if let Some(Effect::Load(_, StateFile::Segment(_, first))) = self.asked.front() {
            self.damaged = true;
            self.disk.remove(first);
            self.asked.pop_front();
        }
    }

    fn answer(&self, works: bool) -> IoEvent<EffectId> {
        match self.asked.front() {
            Some(Effect::Load(ask, StateFile::Segment(_, first))) if works => {
                IoEvent::Loaded(*ask, self.disk.get(first).cloned())
            }
            Some(Effect::Load(ask, _)) => IoEvent::NotLoaded(*ask),
            Some(Effect::Store(ask, ..) | Effect::Remove(ask, _)) if works => IoEvent::Stored(*ask),
            Some(Effect::Store(ask, ..) | Effect::Remove(ask, _)) => IoEvent::NotStored(*ask),
            _ => IoEvent::Stored(EffectId::Keep(98)),
        }
    }

    fn forgot(&self) -> IoEvent<EffectId> {
        match self.asked.front() {
            Some(Effect::Load(ask, _)) => IoEvent::Loaded(*ask, None),
            _ => IoEvent::Loaded(EffectId::Read(98), None),
        }
    }

    /// The first number that is not on the disk.
    fn on_disk(&self) -> u64 {
        self.disk.iter().map(|(first, contents)| behind(*first, contents)).max().unwrap_or(0)
    }

    /// SPOOL-2: nothing is removed that is not durable at the relay, unless it can never be delivered.
    fn removes(&self, first: u64, status: &Status<'_, Reason>) -> Result<(), Broken> {
        let behind = self.disk.get(&first).map_or(0, |contents| behind(first, contents));
        let is_lost = self.damaged || matches!(status, Status::Failed(Reason::RecordsLost));
        if behind > self.acknowledged && !is_lost {
            return Err(Broken::new("SPOOL-2", format!("{first} to {behind} go, and the relay has {}", self.acknowledged)));
        }
        Ok(())
    }

    fn judge(&mut self, output: &Output, status: &Status<'_, Reason>) -> Result<(), Broken> {
        if let Output::Effect(Effect::Remove(_, StateFile::Segment(_, first))) = output {
            self.removes(*first, status)?;
        }
        match output {
            Output::Effect(asked) => self.asked.push_back(asked.clone()),
            Output::TakesOver => self.takes = true,
            Output::HandsBack => self.takes = false,
            Output::ToSource(frame) => return self.told(&frame.head),
            Output::ToRelay(frame) if self.takes => return self.handed_over(&frame.head),
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
