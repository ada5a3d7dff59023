//! L8: whatever comes, and however long, what a machine holds stays in bounds.

use std::{fmt::Debug, time::Duration};

use proptest::{
    strategy::{BoxedStrategy, Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use proto_core::{Instant, Machine, Misuse, Outbox};

use super::{Law, OutputOf, REMEMBERED, START, Subject, Trace, Violation, driver::catching};

/// Checks L8 with two floods of facts of their own: one with a driver that never drains, one with a driver that does.
pub(super) fn check<S: Subject>(subject: &S, trace: &Trace<S::Fact>) -> Result<(), Violation> {
    catching(|| {
        undrained(subject, trace.seed)?;
        drained(subject, trace.seed)
    })
}

fn undrained<S: Subject>(subject: &S, seed: u64) -> Result<(), Violation> {
    let mut machine = subject.start(seed);
    let mut facts = Facts::new(subject, seed);
    for step in 0..S::FLOOD {
        let input = subject.input(&facts.next(), &[]);
        if let Err(Misuse::Full(_)) = machine.handle_input(START, input) {
            break;
        }
        if step % 64 == 0 {
            machine.handle_timeout(START);
        }
    }
    let most = Outbox::<()>::LIMIT + S::MAX_OUTPUTS;
    let queued = core::iter::from_fn(|| machine.poll_output()).take(most + 1).count();
    if queued > most {
        return broken(S::FLOOD, format!("more than {most} outputs queued"));
    }
    check_size::<S>(&machine, S::FLOOD)
}

fn drained<S: Subject>(subject: &S, seed: u64) -> Result<(), Violation> {
    let (mut machine, mut now) = (subject.start(seed), START);
    let mut facts = Facts::new(subject, seed);
    let mut said: Vec<OutputOf<S>> = Vec::new();
    for step in 0..S::FLOOD / 8 {
        said.extend(core::iter::from_fn(|| machine.poll_output()).take(S::MAX_OUTPUTS));
        said.drain(..said.len().saturating_sub(REMEMBERED));
        if step % 256 == 0 {
            check_size::<S>(&machine, step)?;
        }
        now = now.after(Duration::from_micros(100));
        if machine.poll_timeout().is_some_and(|deadline| deadline.at <= now && now != Instant::MAX) {
            machine.handle_timeout(now);
        }
        // A machine that complains is not broken by it, and goes on.
        let _ = machine.handle_input(now, subject.input(&facts.next(), &said));
    }
    while machine.poll_output().is_some() {}
    check_size::<S>(&machine, S::FLOOD / 8)
}

/// What a machine holds shows in its `Debug` text.
fn check_size<S: Subject>(machine: &S::Machine, step: usize) -> Result<(), Violation> {
    let size = format!("{machine:?}").len();
    if size <= S::MAX_DEBUG {
        return Ok(());
    }
    broken(step, format!("its Debug text is {size} bytes long, more than {}", S::MAX_DEBUG))
}

fn broken(step: usize, what: String) -> Result<(), Violation> {
    Err(Violation { law: Law::L8, step, what })
}

/// An endless supply of facts.
struct Facts<F> {
    strategy: BoxedStrategy<F>,
    runner: TestRunner,
}

impl<F: Debug> Facts<F> {
    fn new<S: Subject<Fact = F>>(subject: &S, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self { strategy: subject.flood(), runner: TestRunner::new_with_rng(Config::default(), rng) }
    }

    fn next(&mut self) -> F {
        self.strategy.new_tree(&mut self.runner).expect("the strategy rejects nothing").current()
    }
}
