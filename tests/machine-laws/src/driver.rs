//! Runs a trace and writes down what a driver sees; runs it again, a little differently, and compares.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use crate::{
    InputOf, Law, Machine as _, NEVER, OutputOf, REMEMBERED, Reading, Refused, Status, Step, Subject, TimerOf, Trace, Violation,
    machine::after,
};

/// The most deadlines that one step visits.
const MAX_WAKES: usize = 256;

/// What a driver sees of one step.
#[derive(Debug, PartialEq)]
struct Observation<O, T> {
    /// What came out, drained, and when.
    outputs: Vec<(Duration, O)>,
    /// The deadline afterwards.
    deadline: Option<(Duration, T)>,
    /// The status afterwards, as text.
    status: String,
    /// How many inputs were ignored so far.
    ignored: u64,
    /// Why the input was refused.
    refused: Option<Refused>,
}

/// What a driver sees of a whole trace: of the start, then of each step that was not left out.
type Log<S> = Vec<Option<SeenOf<S>>>;

/// What a driver sees of one step of a subject's machine.
type SeenOf<S> = Observation<OutputOf<S>, TimerOf<S>>;

/// How a trace is run.
#[derive(Clone, Default)]
struct Manner {
    /// Fire each deadline at its time, not only when the step is over.
    punctual: bool,
    /// Call `handle_timeout` where none is due.
    ticking: bool,
    /// Say before each step what the wall clock shows, though nothing is new about it.
    retelling: bool,
    /// What [`Step::Back`] means.
    clock: Clock,
    /// Steps whose fact is left out, counted from 1. The time that they take is not.
    without: BTreeSet<usize>,
}

/// What becomes of a clock that goes back.
#[derive(Clone, Copy, Default, PartialEq)]
enum Clock {
    /// It does go back.
    #[default]
    GoesBack,
    /// It stands still at the latest call.
    Stands,
    /// It runs on. For runs that call at other moments: there "the latest call" is not the same.
    Runs,
}

/// Checks one of the laws that show in what a driver sees.
pub(super) fn check<S: Subject>(subject: &S, law: Law, trace: &Trace<S::Fact>) -> Result<(), Violation> {
    let plain = Manner::default();
    let forward = Manner { clock: Clock::Runs, ..plain.clone() };
    let punctual = Manner { punctual: true, ..forward.clone() };
    let (one, other, reported) = match law {
        Law::L3 => (forward.clone(), Manner { ticking: true, ..forward }, law),
        Law::L6 => (forward.clone(), Manner { without: refused(subject, trace, &forward)?, ..forward }, law),
        Law::L10 => (punctual.clone(), Manner { ticking: true, ..punctual }, law),
        Law::Clamp => (plain.clone(), Manner { clock: Clock::Stands, ..plain }, law),
        Law::Clock => (forward.clone(), Manner { retelling: true, ..forward }, law),
        _ => (plain.clone(), plain, Law::L5),
    };
    let (one, other) = (run(subject, reported, trace, &one)?, run(subject, reported, trace, &other)?);
    for (step, pair) in one.iter().zip(&other).enumerate() {
        if let (Some(a), Some(b)) = pair
            && a != b
        {
            return Err(Violation { law: reported, step, what: format!("{a:#?}\nbecame\n{b:#?}") });
        }
    }
    Ok(())
}

/// The statuses along a trace.
pub(super) fn statuses<S: Subject>(subject: &S, trace: &Trace<S::Fact>) -> Result<Vec<String>, Violation> {
    let log = run(subject, Law::L5, trace, &Manner::default())?;
    Ok(log.into_iter().flatten().map(|seen| seen.status).collect())
}

/// The steps at which the machine refused the input.
fn refused<S: Subject>(subject: &S, trace: &Trace<S::Fact>, manner: &Manner) -> Result<BTreeSet<usize>, Violation> {
    let log = run(subject, Law::L6, trace, manner)?;
    let refusals = log.iter().enumerate().filter(|(_, seen)| seen.as_ref().is_some_and(|seen| seen.refused.is_some()));
    Ok(refusals.map(|(step, _)| step).collect())
}

fn run<S: Subject>(subject: &S, law: Law, trace: &Trace<S::Fact>, manner: &Manner) -> Result<Log<S>, Violation> {
    catching(|| {
        let mut run = Run::new(subject, law, trace.seed, manner);
        let mut log = vec![Some(run.observe(None, |_| Ok(()))?)];
        for what in &trace.steps {
            run.step += 1;
            let seen = run.perform(what)?;
            log.push((!manner.without.contains(&run.step)).then_some(seen));
        }
        Ok(log)
    })
}

/// A panic is a violation of L7.
pub(super) fn catching<T>(work: impl FnOnce() -> Result<T, Violation>) -> Result<T, Violation> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let what = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Violation { law: Law::L7, step: 0, what })
    })
}

/// One run of a machine.
struct Run<'a, S: Subject> {
    subject: &'a S,
    /// The law that is broken when a spurious timeout changes something.
    law: Law,
    manner: &'a Manner,
    machine: S::Machine,
    said: Vec<OutputOf<S>>,
    /// What came out since the step began.
    outputs: Vec<(Duration, OutputOf<S>)>,
    /// The driver's clock.
    now: Duration,
    /// The wall clock as the machine was told last.
    told: Reading,
    /// The latest call that was neither spurious nor refused. What a machine takes from the `now` of such calls is its own
    /// business: only one that runs a second time without them shows whether they left a trace.
    /// A machine may be made without a clock, so before the first call there is none to go back from.
    latest: Option<Duration>,
    /// The status in which it ended.
    ended: Option<String>,
    step: usize,
}

impl<'a, S: Subject> Run<'a, S> {
    fn new(subject: &'a S, law: Law, seed: u64, manner: &'a Manner) -> Self {
        let machine = subject.start(seed);
        let (said, outputs, told) = (Vec::new(), Vec::new(), S::START);
        Self { subject, law, manner, machine, said, outputs, now: told.at, told, latest: None, ended: None, step: 0 }
    }

    fn perform(&mut self, step: &Step<S::Fact>) -> Result<SeenOf<S>, Violation> {
        self.tell_again()?;
        let deadline = self.due_at().filter(|at| *at != NEVER);
        match step {
            Step::Fact(fact) => self.hear(fact, self.now),
            Step::Back(fact, by) => match self.manner.clock {
                Clock::GoesBack => self.hear(fact, self.latest.map_or(self.now, |latest| latest.saturating_sub(*by))),
                Clock::Stands => self.hear(fact, self.latest.unwrap_or(self.now)),
                Clock::Runs => self.hear(fact, self.now),
            },
            Step::Advance(by) => self.observe(None, |run| run.sleep_until(after(run.now, *by))),
            Step::Deadline => self.observe(None, |run| run.sleep_until(deadline.unwrap_or(run.now).max(run.now))),
            Step::JustBefore(fact) => {
                let before = deadline.map(|at| at.saturating_sub(Duration::from_nanos(1)));
                self.sleep_until(before.unwrap_or(self.now).max(self.now))?;
                self.hear(fact, self.now)
            }
            Step::Clock(unix) => self.observe(None, |run| run.tell_clock(Reading { at: run.now, unix: *unix })),
        }
    }

    /// A machine without a wall clock does not see this call, so it is none that `now` could go back from.
    fn tell_clock(&mut self, reading: Reading) -> Result<(), Violation> {
        self.told = reading;
        self.machine.handle_clock(self.now, reading);
        self.drain()
    }

    /// The reading that the machine has, or one that was taken some seconds later and agrees with it.
    fn tell_again(&mut self) -> Result<(), Violation> {
        if !self.manner.retelling {
            return Ok(());
        }
        let before = self.seen();
        self.machine.handle_clock(self.now, self.told.later(self.step as u64 % 4));
        if let Some(output) = self.machine.poll_output() {
            return self.broken(self.law, format!("a clock that was not set brought {output:?}"));
        }
        let after = self.seen();
        if before != after {
            return self.broken(self.law, format!("a clock that was not set made {after:?} of {before:?}"));
        }
        Ok(())
    }

    fn hear(&mut self, fact: &S::Fact, now: Duration) -> Result<SeenOf<S>, Violation> {
        let is_left_out = self.manner.without.contains(&self.step);
        let input = (!is_left_out).then(|| (now, self.subject.input(fact, &self.said)));
        self.observe(input, |_| Ok(()))
    }

    /// Hands in the input or does the work; drains, checks what must hold after each call, and writes down what was seen.
    fn observe(
        &mut self,
        input: Option<(Duration, InputOf<S>)>,
        work: impl FnOnce(&mut Self) -> Result<(), Violation>,
    ) -> Result<SeenOf<S>, Violation> {
        let refused = match input {
            Some((now, input)) => self.hand_in(now, input)?,
            None => None,
        };
        self.drain()?;
        work(self)?;
        let outputs = std::mem::take(&mut self.outputs);
        let (deadline, status, ignored) = self.seen();
        Ok(Observation { outputs, deadline, status, ignored, refused })
    }

    fn hand_in(&mut self, now: Duration, input: InputOf<S>) -> Result<Option<Refused>, Violation> {
        let before = self.seen();
        let Err(refused) = self.machine.handle_input(now, input) else {
            self.latest = self.latest.max(Some(now));
            self.check_count(before.2)?;
            return Ok(None);
        };
        let after = self.seen();
        if before != after {
            self.broken(Law::L6, format!("{refused:?} made {after:?} of {before:?}"))?;
        }
        if let Some(output) = self.machine.poll_output() {
            self.broken(Law::L6, format!("{refused:?} brought {output:?}"))?;
        }
        Ok(Some(refused))
    }

    /// What was ignored so far never falls, and whatever comes after the end is ignored.
    fn check_count(&self, before: u64) -> Result<(), Violation> {
        let after = self.machine.ignored();
        if after < before {
            return self.broken(Law::L4, format!("{before} ignored inputs became {after}"));
        }
        if self.ended.is_some() && after == before {
            return self.broken(Law::L4, "an input after the end is not counted as ignored".into());
        }
        Ok(())
    }

    /// Lets time pass. A driver that is not punctual wakes once, late.
    fn sleep_until(&mut self, until: Duration) -> Result<(), Violation> {
        for _ in 0..MAX_WAKES {
            let due = self.due_at().filter(|at| *at <= until);
            self.tick_until(due.unwrap_or(until))?;
            let Some(due) = due else { break };
            self.now = if self.manner.punctual { due.max(self.now) } else { until };
            self.fire()?;
        }
        self.now = until;
        Ok(())
    }

    fn fire(&mut self) -> Result<(), Violation> {
        self.latest = self.latest.max(Some(self.now));
        self.machine.handle_timeout(self.now);
        self.drain()?;
        match self.machine.poll_timeout() {
            Some(deadline) if deadline.0 <= self.now && self.now != NEVER => {
                self.broken(Law::L2, format!("{deadline:?} is due after a timeout at {:?}", self.now))
            }
            _ => Ok(()),
        }
    }

    /// Timeouts that are not due: every millisecond for a while, then now and then.
    fn tick_until(&mut self, until: Duration) -> Result<(), Violation> {
        if !self.manner.ticking {
            return Ok(());
        }
        let gap = until.saturating_sub(self.now);
        let dense = (0..16).map(Duration::from_millis);
        let sparse = (1..8).map(|part| gap / 8 * part);
        let last = gap.saturating_sub(Duration::from_nanos(1));
        for by in dense.chain(sparse).chain([last]).filter(|by| *by < gap).collect::<BTreeSet<_>>() {
            let before = self.seen();
            self.machine.handle_timeout(after(self.now, by));
            if let Some(output) = self.machine.poll_output() {
                return self.broken(self.law, format!("a spurious timeout brought {output:?}"));
            }
            let now = self.seen();
            if before != now {
                return self.broken(self.law, format!("a spurious timeout made {now:?} of {before:?}"));
            }
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), Violation> {
        let was_ended = self.ended.is_some();
        let mut count = 0;
        while let Some(output) = self.machine.poll_output() {
            count += 1;
            if was_ended {
                return self.broken(Law::L4, format!("said after its end: {output:?}"));
            }
            if count > S::MAX_OUTPUTS {
                return self.broken(Law::L8, format!("more than {} outputs from one call", S::MAX_OUTPUTS));
            }
            self.said.push(output.clone());
            self.outputs.push((self.now, output));
        }
        let forgotten = self.said.len().saturating_sub(REMEMBERED);
        self.said.drain(..forgotten);
        self.check_rest()
    }

    /// What must hold whenever the machine is drained.
    fn check_rest(&mut self) -> Result<(), Violation> {
        let (deadline, status) = (self.machine.poll_timeout(), self.machine.status());
        if let Some(output) = self.machine.poll_output() {
            return self.broken(Law::L1, format!("drained, and then {output:?}"));
        }
        let line = status.line();
        if let Status::Waiting(what) = status {
            if deadline.is_none() && what.trim().is_empty() {
                return self.broken(Law::L9, "waits without saying what for".into());
            }
            if let Some(ended) = &self.ended {
                return self.broken(Law::L4, format!("{ended} became {line}"));
            }
            return Ok(());
        }
        if let Some(deadline) = deadline {
            return self.broken(Law::L4, format!("ended with a deadline: {deadline:?}"));
        }
        match &self.ended {
            Some(ended) if *ended != line => self.broken(Law::L4, format!("{ended} became {line}")),
            _ => {
                self.ended = Some(line);
                Ok(())
            }
        }
    }

    /// What a call that changes nothing leaves as it is.
    fn seen(&self) -> (Option<(Duration, TimerOf<S>)>, String, u64) {
        (self.machine.poll_timeout(), self.machine.status().line(), self.machine.ignored())
    }

    fn due_at(&self) -> Option<Duration> {
        self.machine.poll_timeout().map(|(at, _)| at)
    }

    fn broken(&self, law: Law, what: String) -> Result<(), Violation> {
        Err(Violation { law, step: self.step, what })
    }
}
