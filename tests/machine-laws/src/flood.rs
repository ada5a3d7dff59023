//! L8: whatever comes, and however long, what a machine holds stays in bounds.

use std::time::Duration;

use proptest::{
    strategy::{BoxedStrategy, Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::{Law, Machine as _, OutputOf, REMEMBERED, Refused, Subject, Trace, Violation, driver::catching, machine::after};

/// Checks L8 with two floods of facts of their own: one with a driver that never drains, one with a driver that does.
pub(super) fn check<S: Subject>(subject: &S, trace: &Trace<S::Fact>) -> Result<(), Violation> {
    catching(|| {
        undrained(subject, trace.seed)?;
        drained(subject, trace.seed)
    })
}

fn undrained<S: Subject>(subject: &S, seed: u64) -> Result<(), Violation> {
    let mut flood = Flood::new(subject, seed);
    for _ in 0..S::FLOOD {
        if flood.step() == Err(Refused::Full) {
            break;
        }
    }
    let most = S::QUEUE + S::MAX_OUTPUTS;
    let queued = std::iter::from_fn(|| flood.machine.poll_output()).take(most + 1).count();
    if queued > most {
        return broken(flood.steps, format!("more than {most} outputs queued"));
    }
    flood.check_size()
}

fn drained<S: Subject>(subject: &S, seed: u64) -> Result<(), Violation> {
    let mut flood = Flood::new(subject, seed);
    for _ in 0..S::FLOOD / 8 {
        flood.drain();
        if flood.steps.is_multiple_of(4_096) {
            flood.check_size()?;
        }
        // A machine that refuses an input is not broken by it, and goes on.
        let _ = flood.step();
    }
    flood.drain();
    flood.check_size()
}

/// A machine under facts without end, ten thousand a second.
struct Flood<'a, S: Subject> {
    subject: &'a S,
    machine: S::Machine,
    facts: BoxedStrategy<S::Fact>,
    chance: TestRunner,
    said: Vec<OutputOf<S>>,
    now: Duration,
    steps: usize,
}

impl<'a, S: Subject> Flood<'a, S> {
    fn new(subject: &'a S, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let chance = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let (machine, facts) = (subject.start(seed), subject.flood());
        let mut flood = Self { subject, machine, facts, chance, said: Vec::new(), now: S::START.at, steps: 0 };
        for fact in subject.before_flood() {
            flood.drain();
            let _ = flood.hear(&fact);
        }
        flood
    }

    fn step(&mut self) -> Result<(), Refused> {
        let fact = self.facts.new_tree(&mut self.chance).expect("the strategy rejects nothing").current();
        self.hear(&fact)
    }

    fn hear(&mut self, fact: &S::Fact) -> Result<(), Refused> {
        self.steps += 1;
        self.now = after(self.now, Duration::from_micros(100));
        // A driver in a flood is late.
        let looks = self.steps.is_multiple_of(64) || self.steps < 64;
        if looks && self.machine.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
            self.machine.handle_timeout(self.now);
        }
        self.machine.handle_input(self.now, self.subject.input(fact, &self.said))
    }

    fn drain(&mut self) {
        self.said.extend(std::iter::from_fn(|| self.machine.poll_output()).take(S::MAX_OUTPUTS));
        self.said.drain(..self.said.len().saturating_sub(REMEMBERED));
    }

    /// What a machine holds shows in its `Debug` text.
    fn check_size(&self) -> Result<(), Violation> {
        let size = format!("{:?}", self.machine).len();
        if size <= S::MAX_DEBUG {
            return Ok(());
        }
        broken(self.steps, format!("its Debug text is {size} bytes long, more than {}", S::MAX_DEBUG))
    }
}

fn broken(step: usize, what: String) -> Result<(), Violation> {
    Err(Violation { law: Law::L8, step, what })
}
