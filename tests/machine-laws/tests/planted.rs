//! META-1: a machine that breaks exactly one law at a time, and the suite that notices.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use machine_laws::{Law, Machine, NEVER, Reading, Refused, Status, Subject, check, search};
use proptest::{prelude::*, strategy::BoxedStrategy};

/// An egg timer: set it, and it rings. With a bug, or none.
#[derive(Clone, Debug)]
struct EggTimer {
    bug: Option<Bug>,
    state: State,
    latest: Duration,
    latest_call: Duration,
    reading: Reading,
    settings: VecDeque<u16>,
    outbox: VecDeque<Said>,
    ignored: u64,
    echoes: u8,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    SpeaksAfterDrained,
    RearmsAtOnce,
    DelaysOnSpuriousTimeout,
    RingsOnSpuriousTimeout,
    KeepsDeadlineAfterEnd,
    ListensAfterEnd,
    Random,
    StopsBeforeComplaining,
    ComplainsAloud,
    Panics,
    QueueGrows,
    HistoryGrows,
    TalksTooMuch,
    WaitsForNothing,
    TakesGapsForSuspends,
    BelievesTheClock,
    TakesEveryReadingForAStep,
    ForgetsToCount,
    CountsComplaints,
    CountsDown,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Idle,
    Set(Duration),
    Finished,
}

#[derive(Clone, Debug, PartialEq)]
enum Said {
    Armed(u64),
    Rang,
}

#[derive(Clone, Debug)]
enum Heard {
    /// In milliseconds, not 0.
    Set(u16),
    Stop,
}

const HISTORY: usize = 4;

/// How many outputs may wait.
const QUEUE: usize = 1024;

impl EggTimer {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn set(&mut self, now: Duration, millis: u16) -> Result<(), Refused> {
        if millis == 0 {
            if self.has(Bug::StopsBeforeComplaining) {
                self.settings.clear();
            }
            if self.has(Bug::ComplainsAloud) {
                self.outbox.push_back(Said::Rang);
            }
            if self.has(Bug::CountsComplaints) {
                self.ignored += 1;
            }
            return Err(Refused::Misuse("0 milliseconds".into()));
        }
        assert!(!(self.has(Bug::Panics) && millis % 8 == 7), "seven");
        self.settings.push_back(millis);
        if self.settings.len() > HISTORY && !self.has(Bug::HistoryGrows) {
            self.settings.pop_front();
        }
        let oldest = self.settings.front().copied().map_or(0, u64::from);
        let noise = if self.has(Bug::Random) { RandomState::new().hash_one(0) } else { 0 };
        let copies = if self.has(Bug::TalksTooMuch) { millis.into() } else { 1 };
        for _ in 0..copies {
            self.outbox.push_back(Said::Armed(oldest ^ noise));
        }
        self.state = State::Set(after(now, Duration::from_millis(millis.into())));
        Ok(())
    }
}

impl Machine for EggTimer {
    type Input = Heard;
    type Output = Said;
    type Timer = &'static str;

    fn handle_input(&mut self, now: Duration, input: Heard) -> Result<(), Refused> {
        if self.outbox.len() >= QUEUE && !self.has(Bug::QueueGrows) {
            return Err(Refused::Full);
        }
        self.latest = if self.has(Bug::BelievesTheClock) { now } else { self.latest.max(now) };
        self.latest_call = self.latest;
        match input {
            Heard::Set(millis) if self.state != State::Finished || self.has(Bug::ListensAfterEnd) => {
                let state = self.state.clone();
                self.set(self.latest, millis)?;
                if state == State::Finished {
                    self.state = state;
                }
            }
            Heard::Stop if self.state != State::Finished => self.state = State::Finished,
            _ if self.has(Bug::CountsDown) => self.ignored ^= 1,
            _ => self.ignored += u64::from(!self.has(Bug::ForgetsToCount)),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Duration) {
        let is_suspend = self.has(Bug::TakesGapsForSuspends) && now.saturating_sub(self.latest_call) > Duration::from_millis(500);
        self.latest_call = self.latest_call.max(now);
        match self.state {
            State::Set(at) if at <= now => {
                self.latest = self.latest.max(now);
                self.state = if self.has(Bug::RearmsAtOnce) { State::Set(now) } else { State::Idle };
                if !is_suspend {
                    self.outbox.push_back(Said::Rang);
                }
            }
            State::Set(at) if self.has(Bug::DelaysOnSpuriousTimeout) => {
                self.state = State::Set(at.max(after(now, Duration::from_millis(9))));
            }
            State::Idle if self.has(Bug::RingsOnSpuriousTimeout) => self.outbox.push_back(Said::Rang),
            _ => {}
        }
    }

    /// An egg that was left through a suspend is done.
    fn handle_clock(&mut self, now: Duration, reading: Reading) {
        let is_step = !agree(self.reading, reading) || self.has(Bug::TakesEveryReadingForAStep);
        self.reading = reading;
        self.latest = self.latest.max(now);
        self.latest_call = self.latest;
        if let State::Set(at) = &mut self.state
            && is_step
        {
            *at = (*at).min(self.latest);
        }
    }

    fn poll_output(&mut self) -> Option<Said> {
        let output = self.outbox.pop_front();
        if output.is_none() && self.has(Bug::SpeaksAfterDrained) {
            self.echoes = (self.echoes + 1) % 2;
            return (self.echoes == 0).then_some(Said::Rang);
        }
        output
    }

    fn poll_timeout(&self) -> Option<(Duration, &'static str)> {
        match self.state {
            State::Set(at) => Some((at, "the egg is done")),
            State::Finished if self.has(Bug::KeepsDeadlineAfterEnd) => Some((NEVER, "never")),
            State::Idle | State::Finished => None,
        }
    }

    fn status(&self) -> Status {
        match self.state {
            State::Finished => Status::Finished,
            _ if self.has(Bug::WaitsForNothing) => Status::Waiting(String::new()),
            _ => Status::Waiting("a time to be set".into()),
        }
    }

    fn ignored(&self) -> u64 {
        self.ignored
    }
}

fn after(moment: Duration, by: Duration) -> Duration {
    moment.saturating_add(by).min(NEVER)
}

/// Whether the wall clock went on from one reading to the other as it should, to the second.
fn agree(one: Reading, other: Reading) -> bool {
    let passed = i128::from(other.at.as_secs()) - i128::from(one.at.as_secs());
    (i128::from(other.unix) - i128::from(one.unix) - passed).abs() <= 1
}

/// The timer with this bug.
struct With(Option<Bug>);

impl Subject for With {
    type Machine = EggTimer;
    type Fact = Heard;

    const QUEUE: usize = QUEUE;
    const MAX_DEBUG: usize = 1024;

    fn start(&self, _seed: u64) -> EggTimer {
        EggTimer {
            bug: self.0,
            state: State::Idle,
            latest: Self::START.at,
            latest_call: Self::START.at,
            reading: Self::START,
            settings: VecDeque::new(),
            outbox: VecDeque::new(),
            ignored: 0,
            echoes: 0,
        }
    }

    fn facts(&self) -> BoxedStrategy<Heard> {
        prop_oneof![20 => (0_u16..2_000).prop_map(Heard::Set), 2 => Just(Heard::Set(0)), 1 => Just(Heard::Stop)].boxed()
    }

    fn flood(&self) -> BoxedStrategy<Heard> {
        (0_u16..2_000).prop_map(Heard::Set).boxed()
    }

    fn input(&self, fact: &Heard, _said: &[Said]) -> Heard {
        fact.clone()
    }
}

/// A check that never gets where the laws matter is none.
#[test]
#[should_panic(expected = "no trace reached \"failed\"")]
fn traces_that_lead_nowhere_are_reported() {
    check(&With(None), 8, &["failed"]);
}

/// A machine without a bug passes, so that what follows says something.
#[test]
fn a_sound_machine_keeps_every_law() {
    check(&With(None), 64, &["waiting for a time", "finished"]);
}

fn caught(bug: Bug, law: Law) {
    let report = search(&With(Some(bug)), law, 256).expect_err("the planted bug goes unnoticed");
    let headline = report.lines().next().unwrap_or_default();
    assert!(headline.contains(&format!("{law:?} does not hold")), "{bug:?} was reported as: {headline}");
}

#[test]
fn l1_catches_a_queue_that_fills_by_itself() {
    caught(Bug::SpeaksAfterDrained, Law::L1);
}

#[test]
fn l2_catches_a_deadline_that_stays_due() {
    caught(Bug::RearmsAtOnce, Law::L2);
}

#[test]
fn l3_catches_what_a_spurious_timeout_changes() {
    caught(Bug::DelaysOnSpuriousTimeout, Law::L3);
    caught(Bug::RingsOnSpuriousTimeout, Law::L3);
}

#[test]
fn l4_catches_an_end_that_is_none() {
    caught(Bug::KeepsDeadlineAfterEnd, Law::L4);
    caught(Bug::ListensAfterEnd, Law::L4);
    caught(Bug::ForgetsToCount, Law::L4);
    caught(Bug::CountsDown, Law::L4);
}

#[test]
fn l5_catches_randomness() {
    caught(Bug::Random, Law::L5);
}

#[test]
fn l6_catches_misuse_that_leaves_a_trace() {
    caught(Bug::StopsBeforeComplaining, Law::L6);
    caught(Bug::ComplainsAloud, Law::L6);
    caught(Bug::CountsComplaints, Law::L6);
}

#[test]
fn l7_catches_panics() {
    caught(Bug::Panics, Law::L7);
}

#[test]
fn l8_catches_what_grows() {
    caught(Bug::QueueGrows, Law::L8);
    caught(Bug::HistoryGrows, Law::L8);
    caught(Bug::TalksTooMuch, Law::L8);
}

#[test]
fn l9_catches_waiting_for_nothing() {
    caught(Bug::WaitsForNothing, Law::L9);
}

#[test]
fn l10_catches_a_machine_that_needs_ticks() {
    caught(Bug::TakesGapsForSuspends, Law::L10);
}

#[test]
fn a_clock_that_goes_back_must_stand() {
    caught(Bug::BelievesTheClock, Law::Clamp);
}

#[test]
fn a_wall_clock_that_was_not_set_must_change_nothing() {
    caught(Bug::TakesEveryReadingForAStep, Law::Clock);
}
