//! The loop around a machine, on the adapter's own clock: what it says first, and that it leaves nothing behind.

use std::{collections::VecDeque, convert::Infallible, future::pending, time::Duration};

use io_engine::{DriverLoop, MachineIo, Next, Perform};
use proto_core::{Deadline, Instant, Machine, Misuse, Status, UnixTime, WallClock};

use crate::{Subject, subject};

/// How long the machine slept before its first turn.
const SUSPEND: u64 = 7_200;

/// A machine that writes down how it is driven. It ends with the fact 0.
#[derive(Debug)]
pub struct Diary {
    wall: WallClock,
    due: Option<Instant>,
    outbox: VecDeque<Entry>,
    has_ended: bool,
}

/// How the machine was driven, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The wall clock was this many seconds ahead of what the machine knew.
    Clock(Instant, u64),
    /// A deadline.
    Due(Instant),
    /// A fact.
    Heard(Instant, u32),
    /// The second output of whatever came before.
    AndMore,
}

impl Diary {
    fn at(wall: WallClock, due: Instant) -> Self {
        Self { wall, due: Some(due), outbox: VecDeque::new(), has_ended: false }
    }

    /// Two outputs of each change, and none of the one before is left.
    fn write(&mut self, entry: Entry) {
        assert!(self.outbox.is_empty(), "a change before the one before was drained: {:?}", self.outbox);
        self.outbox.extend([entry, Entry::AndMore]);
    }
}

impl Machine for Diary {
    type Input = u32;
    type Output = Entry;
    type Failure = Infallible;
    type Timer = &'static str;

    fn handle_input(&mut self, now: Instant, input: u32) -> Result<(), Misuse> {
        if input > 100 {
            return Err(Misuse::OutOfRange("more than 100"));
        }
        self.has_ended = input == 0;
        self.write(Entry::Heard(now, input));
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.due = None;
        self.write(Entry::Due(now));
    }

    fn handle_clock(&mut self, now: Instant, wall: WallClock) {
        self.write(Entry::Clock(now, wall.unix_at(now).since(self.wall.unix_at(now))));
        self.wall = wall;
    }

    fn poll_output(&mut self) -> Option<Entry> {
        self.outbox.pop_front()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.due.filter(|_| !self.has_ended).map(|at| Deadline::new(at, "test"))
    }

    fn status(&self) -> Status<'_, Infallible> {
        if self.has_ended { Status::Finished } else { Status::Running { waiting_for: "numbers" } }
    }

    fn ignored(&self) -> u64 {
        0
    }
}

/// What is there from turn to turn, and what came of it.
#[derive(Debug, Default)]
pub struct Script {
    bursts: VecDeque<Vec<u32>>,
    read: Vec<Entry>,
    refused: Vec<Misuse>,
    flushed: Vec<usize>,
}

impl Script {
    /// The facts of the next turn; `None` when nothing comes before the deadline.
    pub fn burst(&mut self) -> Option<Vec<u32>> {
        self.bursts.pop_front().filter(|burst| !burst.is_empty())
    }

    /// What the machine said is handed on.
    pub fn flush(&mut self) {
        self.flushed.push(self.read.len());
    }
}

impl MachineIo<Diary> for Script {
    async fn inputs(&mut self, _: &Diary, inputs: &mut Vec<u32>) -> Next {
        match self.burst() {
            Some(mut burst) => inputs.append(&mut burst),
            None => pending().await,
        }
        Next::GoOn
    }

    async fn flush(&mut self, _: &Diary) {
        self.flush();
    }
}

impl Perform<Diary> for Script {
    fn perform(&mut self, output: Entry) {
        self.read.push(output);
    }

    fn refused(&mut self, misuse: Misuse) {
        self.refused.push(misuse);
    }
}

/// A suspend, a deadline and a burst of facts in one turn: they come in that order, at one moment, and each is drained completely.
/// Later a deadline alone, and the end.
pub fn step_then_due_then_facts<S: Subject>() {
    let mut subject = subject::<S>();
    let wall = subject.wall();
    let slept = WallClock::new(wall.at(), UnixTime(wall.unix_at(wall.at()).0 - SUSPEND));
    let mut diary = Diary::at(slept, wall.at());
    let mut script = Script { bursts: [vec![7, 101, 8, 9], vec![0]].into(), ..Script::default() };
    subject.drive(&mut diary, &mut DriverLoop::new(slept), &mut script);
    let now = script.read.iter().find_map(|entry| if let Entry::Due(at) = entry { Some(*at) } else { None }).expect("a deadline");
    assert_eq!(script.refused, [Misuse::OutOfRange("more than 100")]);
    let (turn, end) = script.read.split_at(script.read.len() - 2);
    let heard = [7, 8, 9].map(|number| [Entry::Heard(now, number), Entry::AndMore]);
    let expected = [[Entry::Clock(now, SUSPEND), Entry::AndMore], [Entry::Due(now), Entry::AndMore]];
    let is_off = |entry: &Entry| matches!(entry, Entry::Clock(_, ahead) if ahead.abs_diff(SUSPEND) <= 1);
    assert!(turn.first().is_some_and(is_off), "{turn:?}");
    assert_eq!(turn[1..], [expected.concat(), heard.concat()].concat()[1..]);
    assert!(matches!(end, [Entry::Heard(_, 0), Entry::AndMore]), "{end:?}");
    assert_eq!(script.flushed, [0, 10, 12]);
}

/// Where nothing arrives the deadline wakes the machine, not before its time, and a clock that was not set is not mentioned.
pub fn woken_by_the_deadline_alone<S: Subject>() {
    let mut subject = subject::<S>();
    let wall = subject.wall();
    let due = wall.at().after(Duration::from_millis(5));
    let mut diary = Diary::at(wall, due);
    let mut script = Script { bursts: [vec![], vec![0]].into(), ..Script::default() };
    subject.drive(&mut diary, &mut DriverLoop::new(wall), &mut script);
    assert!(
        matches!(script.read[..], [Entry::Due(at), Entry::AndMore, Entry::Heard(..), Entry::AndMore] if at >= due),
        "{script:?}"
    );
}
