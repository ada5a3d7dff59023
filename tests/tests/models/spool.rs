//! [`Spool`] beside [`Records`]: a process, a daemon that is killed, a disk that fails, and a relay that comes, goes and forgets.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use proto_core::{
    Machine, SessionId, Status,
    crypto::Cipher,
    device::spool::{EffectId, Input, MAX_TOTAL, Output, Spool},
    effect::{Effect, IoEvent, StateFile},
    secret::SecretBytes,
    wire::{Frame, Head, Outcome},
};
use verification::models::{START, bench::Bench, config, spool::Records};

const ID: SessionId = SessionId([7; 16]);

#[derive(Clone, Debug)]
enum Event {
    /// The process makes so many records, each so long.
    Make(u64, usize),
    End,
    /// Its connection to the daemon breaks, and it comes back.
    Reconnect,
    /// It is killed.
    Kill,
    /// The daemon is killed, and started again; the process comes back.
    Restart,
    /// The link is up, or not.
    Link(bool),
    /// The relay answers what it was asked.
    Answer,
    /// So many more records are durable at the relay.
    Commit(u64),
    /// The relay is killed.
    Forget,
    /// The disk does so much.
    Disk(usize),
    DiskFails,
    Pass(u64),
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1_u64..6, prop_oneof![8 => 1_usize..200, 2 => Just(60_000)]).prop_map(|(count, len)| Event::Make(count, len)),
        1 => Just(Event::End),
        1 => Just(Event::Reconnect),
        1 => Just(Event::Restart),
        4 => any::<bool>().prop_map(Event::Link),
        6 => Just(Event::Answer),
        5 => (1_u64..20).prop_map(Event::Commit),
        1 => Just(Event::Forget),
        8 => (1_usize..6).prop_map(Event::Disk),
        1 => Just(Event::DiskFails),
        6 => (1_u64..1_500).prop_map(Event::Pass),
    ]
}

/// The process that makes the records: it keeps what it was not told to be durable.
#[derive(Debug, Default)]
struct Process {
    is_alive: bool,
    lens: Vec<usize>,
    has_ended: bool,
    /// What it hands over next, once it was told where to go on.
    cursor: Option<u64>,
}

struct Both {
    bench: Bench<Spool>,
    records: Records,
    process: Process,
    disk: BTreeMap<u64, SecretBytes>,
    asked: VecDeque<Effect<EffectId>>,
    is_up: bool,
    /// Whether the spool speaks for the session.
    takes: bool,
    /// The relay was told of the session over this link, and has not answered.
    is_asked: bool,
    /// What the bridge lets pass next.
    passes: Option<u64>,
    ended: Option<(u64, Outcome)>,
    seen: usize,
}

impl Both {
    fn new() -> Self {
        let spool = Spool::new(START, ID, Cipher::ChaCha20Poly1305);
        let mut both = Self {
            bench: Bench::new(spool),
            records: Records::default(),
            process: Process { is_alive: true, ..Process::default() },
            disk: BTreeMap::new(),
            asked: VecDeque::new(),
            is_up: true,
            takes: false,
            is_asked: false,
            passes: None,
            ended: None,
            seen: 0,
        };
        both.come();
        both
    }

    fn tell(&mut self, input: Input) {
        self.bench.tell(input);
        self.listen();
    }

    /// Carries out what the machine said, and what follows from it.
    fn listen(&mut self) {
        while let Some((_, output)) = self.bench.said.get(self.seen).cloned() {
            self.seen += 1;
            match output {
                Output::Effect(effect) => self.asked.push_back(effect),
                Output::TakesOver | Output::HandsBack => {
                    self.takes = output == Output::TakesOver;
                    self.passes = None;
                }
                Output::ToRelay(frame) => self.relay_gets(&frame),
                Output::ToSource(frame) if self.process.is_alive => self.process_gets(&frame.head),
                Output::ToSource(_) | Output::Trouble(_) => {}
            }
        }
    }

    /// As a bridge does it: what continues passes, while the link is up.
    fn relay_gets(&mut self, frame: &Frame) {
        match frame.head {
            Head::Open { .. } => {
                self.passes = None;
                self.is_asked = self.is_up;
            }
            Head::Data { sequence, .. } if self.is_up && self.passes == Some(sequence) => {
                assert_eq!(frame.body, body(sequence, self.process.lens[usize::try_from(sequence).unwrap()]), "SPOOL-1");
                self.passes = Some(sequence + 1);
                self.records.arrive(sequence);
            }
            // The session has ended already, which a daemon that was restarted cannot know: its end is durable.
            Head::End { next, .. } if self.is_up && self.passes == Some(next) && self.has_durable_end() => {
                self.passes = None;
                self.tell(Input::Relay(Head::Acknowledge { session: ID, next: next + 1 }.into()));
            }
            Head::End { next, outcome, .. } if self.is_up && self.passes == Some(next) => {
                self.passes = None;
                self.records.arrive(next);
                self.ended.get_or_insert((next, outcome));
            }
            _ => {}
        }
    }

    fn has_durable_end(&self) -> bool {
        self.ended.is_some_and(|(records, _)| self.records.durable > records)
    }

    fn process_gets(&mut self, head: &Head) {
        match *head {
            Head::Acknowledge { next, .. } => self.records.tell(next, self.kept()),
            Head::Resume { next, .. } => {
                assert!(next >= self.records.told, "the process has forgotten {next}: {:?}", self.records);
                let whole = self.made();
                if self.process.has_ended && next == whole {
                    self.records.tell(next, self.kept());
                }
                self.process.cursor = Some(next);
                self.hand_over();
            }
            _ => {}
        }
    }

    fn made(&self) -> u64 {
        self.process.lens.len() as u64 + u64::from(self.process.has_ended)
    }

    fn hand_over(&mut self) {
        self.records.made = self.made();
        while let Some(cursor) = self.process.cursor.filter(|cursor| *cursor < self.made()) {
            self.process.cursor = Some(cursor + 1);
            let frame = match self.process.lens.get(usize::try_from(cursor).unwrap()) {
                Some(len) => Frame { head: Head::Data { session: ID, epoch: 0, sequence: cursor }, body: body(cursor, *len) },
                None => Head::End { session: ID, next: cursor, outcome: Outcome::Exited }.into(),
            };
            self.tell(Input::Source { frame, free: MAX_TOTAL });
        }
    }

    /// The process attaches, and says what it still has. One that has ended and was told so has gone.
    fn come(&mut self) {
        if !self.process.is_alive || (self.process.has_ended && self.records.told == self.made()) {
            return;
        }
        let body = Bytes::copy_from_slice(&self.records.told.to_be_bytes());
        self.process.cursor = None;
        if !self.takes {
            self.passes = None;
        }
        self.tell(Input::Source { frame: Frame { head: Head::Open { session: ID, cipher: 2 }, body }, free: MAX_TOTAL });
    }

    /// The first number that is not on the disk.
    fn kept(&self) -> u64 {
        let last = self.disk.last_key_value();
        last.map_or(0, |(first, contents)| {
            let (mut rest, mut next) = (contents.expose(), *first);
            while let Some((length, frame)) = rest.split_first_chunk() {
                rest = &frame[u32::from_be_bytes(*length) as usize..];
                next += 1;
            }
            next
        })
    }

    fn disk_does(&mut self, works: bool) {
        let Some(effect) = self.asked.pop_front() else { return };
        let io_event = match effect {
            Effect::Store(ask, ..) | Effect::Remove(ask, _) if !works => IoEvent::NotStored(ask),
            Effect::Load(ask, _) if !works => IoEvent::NotLoaded(ask),
            Effect::Load(ask, StateFile::Segment(_, first)) => IoEvent::Loaded(ask, self.disk.get(&first).cloned()),
            Effect::Store(ask, StateFile::Segment(_, first), contents) => {
                self.disk.insert(first, contents);
                IoEvent::Stored(ask)
            }
            Effect::Remove(ask, StateFile::Segment(_, first)) => {
                self.disk.remove(&first);
                IoEvent::Stored(ask)
            }
            other => panic!("{other:?}"),
        };
        self.tell(Input::Io(io_event));
    }

    fn is_running(&self) -> bool {
        matches!(self.bench.machine.status(), Status::Running { .. })
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::Make(count, len) if self.process.is_alive && !self.process.has_ended => {
                (0..*count).for_each(|_| self.process.lens.push(*len));
                self.hand_over();
            }
            Event::End if self.process.is_alive => {
                self.process.has_ended = true;
                self.hand_over();
            }
            Event::Kill => {
                self.process.is_alive = false;
                self.tell(Input::Left);
            }
            Event::Reconnect if self.process.is_alive && self.is_running() => {
                self.tell(Input::Left);
                self.come();
            }
            Event::Restart if self.is_running() => self.restart(),
            Event::Link(is_up) => self.link(*is_up),
            Event::Answer if self.is_up && self.is_asked => {
                self.is_asked = false;
                // An end counts once it is durable.
                let next = match self.ended {
                    Some((records, _)) if self.records.durable <= records => records,
                    _ => self.records.received,
                };
                self.passes = Some(next);
                self.tell(Input::Relay(Head::Resume { session: ID, next }.into()));
                self.acknowledge();
            }
            Event::Commit(more) => {
                self.records.durable = (self.records.durable + more).min(self.records.received);
                if self.is_up && !self.is_asked {
                    self.acknowledge();
                }
            }
            Event::Forget => {
                self.records.forget();
                self.ended.take_if(|(records, _)| self.records.durable <= *records);
                self.link(false);
            }
            Event::Disk(steps) => (0..*steps).for_each(|_| self.disk_does(true)),
            Event::DiskFails => self.disk_does(false),
            Event::Pass(millis) => {
                self.bench.pass(Duration::from_millis(*millis));
                self.listen();
            }
            Event::Make(..) | Event::End | Event::Reconnect | Event::Restart | Event::Answer => {}
        }
    }

    fn acknowledge(&mut self) {
        let next = self.records.durable;
        if next > 0 {
            self.tell(Input::Relay(Head::Acknowledge { session: ID, next }.into()));
        }
    }

    /// A link that comes up tells the relay of the session by itself.
    fn link(&mut self, is_up: bool) {
        if is_up != self.is_up {
            (self.is_up, self.is_asked, self.passes) = (is_up, is_up, None);
        }
    }

    /// What was asked of the disk and not done is lost; what it said to be done is not.
    fn restart(&mut self) {
        self.asked.clear();
        let found: Vec<_> = self.disk.iter().map(|(first, contents)| (*first, contents.expose().len() as u64)).collect();
        let cipher = Cipher::ChaCha20Poly1305;
        self.takes = !found.is_empty();
        let spool =
            if self.takes { Spool::restore(self.bench.now, ID, cipher, found) } else { Spool::new(self.bench.now, ID, cipher) };
        self.bench = Bench::at(self.bench.now, spool);
        self.seen = 0;
        self.listen();
        self.link(false);
        self.link(true);
        self.come();
    }

    /// Everything works from now on.
    fn settle(&mut self) {
        self.hear(&Event::Link(true));
        for _ in 0..200 {
            if !self.is_running() {
                break;
            }
            for event in [Event::Answer, Event::Disk(50), Event::Commit(1_000), Event::Pass(100)] {
                self.hear(&event);
            }
        }
        self.hear(&Event::Disk(100));
    }
}

fn body(number: u64, len: usize) -> Bytes {
    Bytes::from(vec![u8::try_from(number % 251).unwrap(); len])
}

proptest! {
    #![proptest_config(config(256))]

    /// SPOOL-1, SPOOL-2, D17: whatever the link, the relay, the disk and the daemon do, nothing is said to be durable that is not,
    /// and in the end the relay has all that was made, once and in order.
    #[test]
    fn what_was_made_arrives(events in vec(events(), 0..80)) {
        let mut both = Both::new();
        for event in &events {
            both.hear(event);
        }
        both.hear(&Event::End);
        both.settle();
        if both.is_running() && both.process.has_ended && both.records.told == both.made() {
            // All of it had arrived before the last restart: the process does not come back.
            both.tell(Input::Close);
            both.settle();
        }
        prop_assert_eq!(both.bench.machine.status(), Status::Finished);
        let records = both.process.lens.len() as u64;
        prop_assert_eq!((both.records.durable, both.ended), (records + 1, Some((records, Outcome::Exited))));
        // Its parent erases what the disk would not remove.
        prop_assert!(both.disk.is_empty() || both.bench.machine.leaves_files(), "nothing is left behind");
    }

    /// F11, SPOOL-2: the process is killed somewhere. What it was told to be durable arrives, and the session ends as cut where the
    /// record stops, so that viewers do not wait for ever.
    #[test]
    fn what_a_killed_process_was_told_to_be_durable_arrives(events in vec(events(), 0..60), after in vec(events(), 0..20)) {
        let mut both = Both::new();
        for event in events {
            both.hear(&event);
        }
        both.hear(&Event::Kill);
        after.iter().filter(|event| !matches!(event, Event::Restart)).for_each(|event| both.hear(event));
        both.tell(Input::Close);
        both.settle();
        prop_assert_eq!(both.bench.machine.status(), Status::Finished);
        prop_assert!(both.records.is_delivered(), "{:?}", both.records);
        if let Some((records, outcome)) = both.ended {
            prop_assert_eq!(both.records.durable, records + 1);
            prop_assert!(outcome == Outcome::Cut || records == both.process.lens.len() as u64);
        }
    }
}
