//! A spool between a process and a relay that are played by the test, over a disk that is a map.

mod bounds;
mod ends;
mod restart;
mod tails;

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec,
    vec::Vec,
};

use bytes::Bytes;

use super::*;
use crate::{effect::IoEvent, secret::SecretBytes, wire::Outcome};

const ID: SessionId = SessionId([7; 16]);
const FREE: u64 = MAX_TOTAL;

/// The machine, its clock and its disk.
struct Bench {
    spool: Spool,
    now: Instant,
    disk: BTreeMap<u64, SecretBytes>,
    asked: VecDeque<Effect<EffectId>>,
    to_source: Vec<Head>,
    to_relay: Vec<Head>,
    troubles: Vec<Reason>,
    /// Whether the machine speaks for the session.
    takes: bool,
}

impl Bench {
    fn new() -> Self {
        Self::of(Spool::new(Instant::ZERO, ID, Cipher::ChaCha20Poly1305), BTreeMap::new())
    }

    /// After a restart: what the disk holds is found.
    fn restart(disk: BTreeMap<u64, SecretBytes>) -> Self {
        let found: Vec<_> = disk.iter().map(|(first, contents)| (*first, contents.expose().len() as u64)).collect();
        Self::of(Spool::restore(Instant::ZERO, ID, Cipher::ChaCha20Poly1305, found), disk)
    }

    fn of(spool: Spool, disk: BTreeMap<u64, SecretBytes>) -> Self {
        let mut bench = Self {
            spool,
            now: Instant::ZERO,
            disk,
            asked: VecDeque::new(),
            to_source: vec![],
            to_relay: vec![],
            troubles: vec![],
            takes: false,
        };
        bench.drain();
        bench
    }

    /// A process that has everything is attached, and the relay does not answer: records are kept.
    fn keeping() -> Self {
        let mut bench = Self::new();
        bench.open(0);
        bench.pass(ACK_TIMEOUT);
        assert!(bench.spool.is_keeping());
        bench.take();
        bench
    }

    fn drain(&mut self) {
        while let Some(output) = self.spool.poll_output() {
            match output {
                Output::ToSource(frame) => self.to_source.push(frame.head),
                Output::ToRelay(frame) => self.to_relay.push(frame.head),
                Output::TakesOver => self.takes = true,
                Output::HandsBack => self.takes = false,
                Output::Effect(effect) => self.asked.push_back(effect),
                Output::Trouble(reason) => self.troubles.push(reason),
            }
        }
    }

    fn input(&mut self, input: Input) {
        self.spool.handle_input(self.now, input).unwrap();
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.spool.handle_timeout(self.now);
        self.drain();
    }

    fn source(&mut self, frame: impl Into<Frame>) {
        self.input(Input::Source { frame: frame.into(), free: FREE });
    }

    fn relay(&mut self, head: Head) {
        self.input(Input::Relay(head.into()));
    }

    /// The process attaches, and still has the records from `source_first` on.
    fn open(&mut self, source_first: u64) {
        let body = Bytes::copy_from_slice(&source_first.to_be_bytes());
        self.source(Frame { head: opened(), body });
    }

    /// These records come from the process.
    fn records(&mut self, numbers: core::ops::Range<u64>) {
        numbers.for_each(|number| self.source(record(number, 100)));
    }

    /// The oldest thing asked of the disk is done.
    fn disk_does(&mut self) {
        let io_event = match self.asked.pop_front().unwrap() {
            Effect::Store(ask, StateFile::Segment(ID, first), contents) => {
                self.disk.insert(first, contents);
                IoEvent::Stored(ask)
            }
            Effect::Remove(ask, StateFile::Segment(ID, first)) => {
                self.disk.remove(&first);
                IoEvent::Stored(ask)
            }
            Effect::Load(ask, StateFile::Segment(ID, first)) => IoEvent::Loaded(ask, self.disk.get(&first).cloned()),
            other => panic!("{other:?}"),
        };
        self.input(Input::Io(io_event));
    }

    /// The oldest thing asked of the disk fails.
    fn disk_fails(&mut self) {
        let io_event = match self.asked.pop_front().unwrap() {
            Effect::Store(ask, ..) | Effect::Remove(ask, _) => IoEvent::NotStored(ask),
            Effect::Load(ask, _) => IoEvent::NotLoaded(ask),
            other => panic!("{other:?}"),
        };
        self.input(Input::Io(io_event));
    }

    /// All that is asked of the disk is done, and what is due by then.
    fn settle(&mut self) {
        loop {
            while !self.asked.is_empty() {
                self.disk_does();
            }
            let due = self.spool.poll_timeout().filter(|deadline| deadline.at <= self.now.after(tail::PACE));
            let Some(due) = due else { return };
            self.pass(due.at.since(self.now));
        }
    }

    fn take(&mut self) -> (Vec<Head>, Vec<Head>) {
        (core::mem::take(&mut self.to_source), core::mem::take(&mut self.to_relay))
    }

    /// The numbers that went to the relay, the end among them.
    fn delivered(&mut self) -> Vec<u64> {
        let heads = core::mem::take(&mut self.to_relay);
        heads.into_iter().filter_map(|head| segment::number(&head.into())).collect()
    }

    fn acknowledged(&mut self) -> Option<u64> {
        let heads = core::mem::take(&mut self.to_source);
        heads.into_iter().filter_map(|head| if let Head::Acknowledge { next, .. } = head { Some(next) } else { None }).max()
    }
}

const fn opened() -> Head {
    Head::Open { session: ID, cipher: 2 }
}

const fn resume(next: u64) -> Head {
    Head::Resume { session: ID, next }
}

const fn acknowledge(next: u64) -> Head {
    Head::Acknowledge { session: ID, next }
}

const fn end(next: u64) -> Head {
    Head::End { session: ID, next, outcome: Outcome::Exited }
}

const fn cut_at(next: u64) -> Head {
    Head::End { session: ID, next, outcome: Outcome::Cut }
}

fn record(sequence: u64, len: usize) -> Frame {
    Frame { head: Head::Data { session: ID, epoch: 0, sequence }, body: Bytes::from(vec![1; len]) }
}

/// While the relay acknowledges in time, frames pass and nothing touches the disk.
#[test]
fn frames_pass_while_the_relay_keeps_up() {
    let mut bench = Bench::new();
    bench.open(0);
    bench.relay(resume(0));
    for n in 0..20 {
        bench.records(n..n + 1);
        bench.pass(ACK_TIMEOUT.saturating_sub(Duration::from_millis(1)));
        bench.relay(acknowledge(n + 1));
    }
    bench.source(end(20));
    assert_eq!(bench.delivered(), (0..=20).collect::<Vec<_>>());
    bench.relay(acknowledge(21));
    assert_eq!((bench.acknowledged(), bench.spool.status()), (Some(21), Status::Finished));
    assert!(bench.asked.is_empty() && !bench.takes);
}

/// An idle session waits for nothing.
#[test]
fn what_is_acknowledged_is_not_waited_for() {
    let mut bench = Bench::new();
    bench.open(0);
    bench.relay(resume(0));
    assert_eq!(bench.spool.poll_timeout(), None);
    bench.records(0..3);
    bench.relay(acknowledge(2));
    assert!(bench.spool.poll_timeout().is_some());
    bench.relay(acknowledge(3));
    assert_eq!(bench.spool.poll_timeout(), None);
    bench.records(3..4);
    bench.input(Input::Left);
    assert_eq!(bench.spool.poll_timeout(), None);
}

/// SPOOL-1, D17: what the relay does not take goes to the disk; the process is told that it is durable, ends, and the relay gets
/// all of it, once, in order, when it comes.
#[test]
fn what_the_relay_does_not_take_is_kept_and_delivered() {
    let mut bench = Bench::new();
    bench.open(0);
    bench.records(0..3);
    bench.pass(ACK_TIMEOUT.saturating_sub(Duration::from_nanos(1)));
    assert!(!bench.spool.is_keeping());
    bench.take();
    bench.pass(Duration::from_nanos(1));
    assert_eq!(bench.take(), (vec![resume(0)], vec![opened()]));
    assert!(bench.takes);
    bench.records(0..3);
    bench.source(end(3));
    bench.settle();
    assert_eq!(bench.acknowledged(), Some(4), "the process may go");
    bench.input(Input::Left);
    assert!(bench.spool.bytes() > 0 && bench.spool.poll_timeout().is_none());
    bench.relay(resume(0));
    bench.settle();
    assert_eq!(bench.delivered(), [0, 1, 2, 3]);
    bench.relay(acknowledge(3));
    assert!(matches!(bench.spool.status(), Status::Running { .. }));
    bench.relay(acknowledge(4));
    bench.settle();
    assert_eq!((bench.spool.status(), bench.disk.len(), bench.spool.bytes()), (Status::Finished, 0, 0));
}

/// SES-3: a relay that takes something, and less than comes, does not hold up the process either.
#[test]
fn a_slow_relay_does_not_hold_up_the_process() {
    let mut bench = Bench::new();
    bench.open(0);
    bench.relay(resume(0));
    bench.records(0..10);
    for next in 1..5 {
        bench.pass(ACK_TIMEOUT / 5);
        bench.relay(acknowledge(next));
    }
    bench.pass(ACK_TIMEOUT / 5);
    assert!(!bench.spool.is_keeping(), "the first record came in time");
    bench.pass(ACK_TIMEOUT / 5);
    assert!(bench.spool.is_keeping(), "ten records were due, four came");
    assert!(bench.to_source.contains(&resume(4)), "from what the process still has on");
}

/// SES-3: a relay that is fast, and not as fast as the process, does not hold it up for long.
#[test]
fn a_process_that_is_faster_than_the_relay_is_not_held_up() {
    let mut bench = Bench::new();
    bench.open(0);
    bench.relay(resume(0));
    let window = crate::device::session::MAX_IN_FLIGHT as u64 / 60_000;
    let mut next = 0;
    while next < window {
        bench.source(record(next, 60_000));
        next += 1;
    }
    for _ in 0..20 {
        assert!(!bench.spool.is_keeping());
        bench.pass(WINDOW_FULL_LIMIT / 20);
        bench.relay(acknowledge(next - window + 10));
        (0..10).for_each(|n| bench.source(record(next + n, 60_000)));
        next += 10;
    }
    assert!(bench.spool.is_keeping());

    let mut keeps_up = Bench::new();
    keeps_up.open(0);
    keeps_up.relay(resume(0));
    for n in 0..1_000 {
        keeps_up.source(record(n, 60_000));
        keeps_up.relay(acknowledge(n));
        keeps_up.pass(WINDOW_FULL_LIMIT / 20);
    }
    assert!(!keeps_up.spool.is_keeping());
}

/// Once the relay has all of it, records pass again: from where it is, and with nothing left on the disk.
#[test]
fn records_pass_again_once_the_relay_has_all_of_them() {
    let mut bench = Bench::keeping();
    bench.records(0..4);
    bench.settle();
    bench.relay(resume(0));
    bench.settle();
    bench.relay(acknowledge(4));
    bench.pass(MIN_SPOOLING);
    while !bench.asked.is_empty() {
        bench.disk_does();
    }
    assert!(!bench.spool.is_keeping() && !bench.takes && bench.disk.is_empty());
    bench.take();
    bench.relay(resume(4));
    bench.records(4..6);
    assert_eq!(bench.delivered(), [4, 5]);
    bench.relay(acknowledge(6));
    assert_eq!(bench.acknowledged(), Some(6));
}

/// A relay that answers at once does not change the way before some time has passed: else a slow one would at every turn.
#[test]
fn what_is_kept_stays_kept_for_a_while() {
    let mut bench = Bench::keeping();
    bench.relay(resume(0));
    bench.relay(acknowledge(0));
    bench.pass(MIN_SPOOLING.saturating_sub(ACK_TIMEOUT));
    assert!(bench.spool.is_keeping());
    bench.pass(ACK_TIMEOUT);
    assert!(!bench.spool.is_keeping());
}

/// A link that breaks in the middle: the relay says where to go on, and gets that again.
#[test]
fn delivery_goes_on_where_the_relay_says() {
    let mut bench = Bench::keeping();
    for n in 0..40 {
        bench.source(record(n, 60_000));
    }
    bench.source(end(40));
    bench.settle();
    bench.relay(resume(0));
    bench.settle();
    bench.relay(resume(7));
    bench.settle();
    let delivered = bench.delivered();
    assert_eq!(delivered, (0..=40).chain(7..=40).collect::<Vec<_>>());
    bench.relay(resume(41));
    bench.settle();
    assert_eq!((bench.spool.status(), bench.disk.len()), (Status::Finished, 0));
}

/// L8: no more than a window is on its way to a relay that acknowledges nothing; what is acknowledged goes from the disk.
#[test]
fn a_window_is_on_its_way_and_no_more() {
    let mut bench = Bench::keeping();
    let records = 20 * 1024 * 1024 / 60_000;
    for n in 0..records {
        bench.source(record(n, 60_000));
        while !bench.asked.is_empty() {
            bench.disk_does();
        }
    }
    bench.settle();
    let segments = bench.disk.len();
    bench.relay(resume(0));
    bench.settle();
    let first = bench.delivered();
    let window = crate::device::session::MAX_IN_FLIGHT;
    assert!((window..=window + tail::MAX_SEGMENT).contains(&(first.len() * 60_000)), "{}", first.len());
    bench.relay(acknowledge(first.len() as u64));
    bench.settle();
    assert!(bench.disk.len() < segments && !bench.delivered().is_empty());
}

/// RecordsLost: the relay lost its store, and wants what is gone here.
#[test]
fn a_relay_that_wants_what_is_gone_cannot_be_served() {
    let mut bench = Bench::new();
    bench.open(5);
    bench.pass(ACK_TIMEOUT);
    bench.records(5..7);
    bench.settle();
    bench.take();
    bench.relay(resume(4));
    bench.settle();
    assert_eq!(bench.spool.status(), Status::Failed(&Reason::RecordsLost));
    assert_eq!((bench.take().0, bench.disk.len()), (vec![Head::Revoke { reason: Reason::RecordsLost }], 0));
}

/// A process of an older version does not say what it still has: nothing is kept before the relay said what it has.
#[test]
fn without_a_beginning_nothing_is_kept() {
    let mut bench = Bench::new();
    bench.source(opened());
    bench.pass(ACK_TIMEOUT * 10);
    assert!(!bench.spool.is_keeping());
    bench.relay(resume(0));
    bench.records(0..2);
    bench.relay(acknowledge(1));
    bench.records(2..3);
    bench.pass(ACK_TIMEOUT);
    assert!(bench.spool.is_keeping());
}
