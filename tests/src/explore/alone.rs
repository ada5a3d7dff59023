//! One machine and everything that it may hear.

use std::{
    fmt::Debug,
    hash::{Hash, Hasher},
    time::Duration,
};

use proto_core::{Instant, Machine, Misuse, Status, WallClock};

use super::{Broken, Log, System, fingerprint};
use crate::laws::START;

/// A machine, its alphabet, and what must hold of it.
pub trait Subject {
    /// The machine.
    type Machine: Machine<Output: Debug> + Clone + Hash;
    /// The name of one input of the alphabet; its `Debug` text is what tables call it.
    type Fact: Clone + Debug + PartialEq;
    /// What the outside knows and the properties remember.
    type Memory: Clone + Hash;

    /// The machine's room in the core: the name of its table and its page.
    const NAME: &'static str;
    /// How late "late" is.
    const LATE: Duration = Duration::from_hours(1);
    /// The most outputs of one step (LINK-3).
    const MAX_OUTPUTS: usize = 16;
    /// The most steps, and the longest time, until [`goal`](Self::goal) is reached when nothing disturbs.
    const SETTLES: (usize, Duration) = (200, Duration::from_hours(2));

    /// What the alphabet is confined to.
    fn bounds(&self) -> String;

    /// See [`System::memory`].
    fn memory(&self) -> Duration {
        Duration::from_hours(48)
    }

    /// Machines at [`START`].
    fn starts(&self) -> Vec<(Self::Machine, Self::Memory)>;

    /// Which facts may arrive there.
    fn facts(&self, at: &Situation<Self>) -> Vec<Self::Fact>;

    /// What happens before the walk begins.
    fn opening(&self) -> Vec<Action<Self::Fact>> {
        Vec::new()
    }

    /// How time may pass there: how punctual the driver is.
    fn times(&self, _at: &Situation<Self>) -> Vec<Action<Self::Fact>> {
        vec![Action::JustBefore, Action::Due, Action::Late]
    }

    /// The input behind a name.
    fn input(&self, fact: &Self::Fact, at: &Situation<Self>) -> <Self::Machine as Machine>::Input;

    /// The reading of both clocks behind a name that is about the wall clock and has no input.
    fn reading(&self, _fact: &Self::Fact) -> Option<WallClock> {
        None
    }

    /// Judges a step, and takes note of it in `memory`.
    ///
    /// # Errors
    /// A property that the step breaks.
    fn saw(&self, _seen: &Seen<'_, Self>, _memory: &mut Self::Memory) -> Result<(), Broken> {
        Ok(())
    }

    /// What must hold in every state.
    ///
    /// # Errors
    /// A property that does not.
    fn check(&self, _at: &Situation<Self>) -> Result<(), Broken> {
        Ok(())
    }

    /// What a good outside would say next; `None`: nothing before the deadline.
    fn fair(&self, _at: &Situation<Self>) -> Option<Self::Fact> {
        None
    }

    /// What is reached when only good things happen. Everywhere, where there is no such property.
    fn goal(&self, _at: &Situation<Self>) -> bool {
        true
    }

    /// The named state of the machine, for tables.
    fn state(&self, machine: &Self::Machine) -> String {
        match machine.status() {
            Status::Running { waiting_for } => format!("waiting for {waiting_for}"),
            Status::Finished => "finished".into(),
            Status::Failed(_) => "failed".into(),
        }
    }

    /// An output in a few words.
    fn say(&self, output: &<Self::Machine as Machine>::Output) -> String;

    /// What the machine ignored by kind, where it tells kinds apart.
    fn ignored(&self, _machine: &Self::Machine) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

/// A machine in its surroundings.
#[derive(Debug)]
pub struct Situation<S: Subject + ?Sized> {
    /// The machine.
    pub machine: S::Machine,
    /// What the outside knows.
    pub memory: S::Memory,
    /// What time it is.
    pub now: Instant,
}

impl<S: Subject + ?Sized> Clone for Situation<S> {
    fn clone(&self) -> Self {
        Self { machine: self.machine.clone(), memory: self.memory.clone(), now: self.now }
    }
}

impl<S: Subject + ?Sized> Hash for Situation<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.machine.hash(state);
        self.memory.hash(state);
    }
}

/// A step.
#[derive(Debug)]
pub struct Seen<'a, S: Subject + ?Sized> {
    /// The fact that arrived; `None` when time passed.
    pub fact: Option<&'a S::Fact>,
    /// The machine before.
    pub before: &'a S::Machine,
    /// The machine after.
    pub after: &'a S::Machine,
    /// What it said.
    pub outputs: &'a [<S::Machine as Machine>::Output],
    /// What it complained about.
    pub misuse: Option<Misuse>,
    /// When.
    pub now: Instant,
}

/// What can happen to a machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<F> {
    /// A fact arrives.
    Hears(F),
    /// The driver wakes one nanosecond before its deadline, and the next fact arrives then.
    JustBefore,
    /// The driver wakes one nanosecond before its deadline, for nothing.
    Early,
    /// Its deadline comes.
    Due,
    /// Its deadline is long gone when the driver wakes.
    Late,
}

/// The system of a single machine.
#[derive(Clone, Copy, Debug)]
pub struct SingleMachine<S>(pub S);

impl<S: Subject> SingleMachine<S> {
    /// One step, and what the driver sees of it.
    fn take(&self, at: &mut Situation<S>, action: &Action<S::Fact>, log: &mut Log) -> Result<(), Broken> {
        let before = at.machine.clone();
        let (mut fact, mut misuse) = (None, None);
        match action {
            Action::Hears(heard) => {
                fact = Some(heard);
                if let Some(wall) = self.0.reading(heard) {
                    at.machine.handle_clock(at.now, wall);
                } else {
                    misuse = at.machine.handle_input(at.now, self.0.input(heard, at)).err();
                }
            }
            Action::Early => return self.wake_early(at),
            Action::JustBefore | Action::Due | Action::Late => {
                at.now = Self::moment(at, action).unwrap_or(at.now);
                at.machine.handle_timeout(at.now);
            }
        }
        let outputs: Vec<_> = core::iter::from_fn(|| at.machine.poll_output()).collect();
        if let Some(misuse) = &misuse {
            log.say(|| format!("misuse: {misuse}"));
        }
        for output in &outputs {
            log.say(|| self.0.say(output));
        }
        let seen = Seen { fact, before: &before, after: &at.machine, outputs: &outputs, misuse, now: at.now };
        contract(&seen, self.0.memory(), *action == Action::JustBefore)?;
        self.0.saw(&seen, &mut at.memory)
    }

    /// L3: what is due only then does not happen before. The state is that of before, so that nanoseconds do not add up to moments
    /// of their own.
    fn wake_early(&self, at: &Situation<S>) -> Result<(), Broken> {
        let Some(now) = Self::moment(at, &Action::Early) else { return Ok(()) };
        let mut after = at.machine.clone();
        after.handle_timeout(now);
        let outputs: Vec<_> = core::iter::from_fn(|| after.poll_output()).collect();
        let seen = Seen { fact: None, before: &at.machine, after: &after, outputs: &outputs, misuse: None, now };
        contract::<S>(&seen, self.0.memory(), true)
    }

    /// When an action that is about time happens; `None` when it cannot.
    fn moment(at: &Situation<S>, action: &Action<S::Fact>) -> Option<Instant> {
        let deadline = at.machine.poll_timeout()?.at;
        let moment = match action {
            Action::Hears(_) => at.now,
            Action::JustBefore | Action::Early => Instant::from_nanos(deadline.as_nanos().saturating_sub(1)),
            Action::Due => deadline.max(at.now),
            Action::Late => deadline.max(at.now).after(S::LATE),
        };
        let is_before = matches!(action, Action::JustBefore | Action::Early);
        (deadline != Instant::MAX && (!is_before || moment > at.now)).then_some(moment)
    }
}

/// The contract of [`Machine`], as far as a single step shows it.
fn contract<S: Subject>(seen: &Seen<'_, S>, memory: Duration, is_spurious: bool) -> Result<(), Broken> {
    let Seen { before, after, outputs, now, .. } = seen;
    let print = |machine: &S::Machine| fingerprint(machine, *now, memory);
    if outputs.len() > S::MAX_OUTPUTS {
        return Err(Broken::new("LINK-3", format!("{} outputs from one step", outputs.len())));
    }
    if seen.misuse.is_some() && (!outputs.is_empty() || print(before) != print(after)) {
        return Err(Broken::new("L6", "a misuse changed something"));
    }
    if is_spurious && (!outputs.is_empty() || before.poll_timeout() != after.poll_timeout()) {
        return Err(Broken::new("L3", "a timeout before the deadline changed something"));
    }
    let deadline = after.poll_timeout();
    if seen.fact.is_none() && deadline.is_some_and(|deadline| deadline.at <= *now) {
        return Err(Broken::new("L2", format!("{deadline:?} is due after a timeout")));
    }
    let has_ended = |machine: &S::Machine| !matches!(machine.status(), Status::Running { .. });
    if has_ended(after) && deadline.is_some() {
        return Err(Broken::new("L4", format!("ended with a deadline: {deadline:?}")));
    }
    if has_ended(before) && (!outputs.is_empty() || !has_ended(after)) {
        return Err(Broken::new("L4", "it said or did something after its end"));
    }
    Ok(())
}

impl<S: Subject> System for SingleMachine<S> {
    type State = Situation<S>;
    type Action = Action<S::Fact>;

    fn bounds(&self) -> String {
        self.0.bounds()
    }

    fn memory(&self) -> Duration {
        self.0.memory()
    }

    /// A machine's outputs at its start are checked as a first step's are.
    fn starts(&self) -> Vec<Situation<S>> {
        let starts = self.0.starts().into_iter();
        let drained = starts.map(|(mut machine, mut memory)| {
            let before = machine.clone();
            let outputs: Vec<_> = core::iter::from_fn(|| machine.poll_output()).collect();
            let seen = Seen { fact: None, before: &before, after: &machine, outputs: &outputs, misuse: None, now: START };
            self.0.saw(&seen, &mut memory).expect("a start breaks nothing");
            let mut at = Situation { machine, memory, now: START };
            for action in self.0.opening() {
                self.take(&mut at, &action, &mut Log::default()).expect("an opening breaks nothing");
            }
            at
        });
        drained.collect()
    }

    fn actions(&self, at: &Situation<S>) -> Vec<Action<S::Fact>> {
        let possible = self.0.times(at).into_iter().filter(|action| Self::moment(at, action).is_some());
        self.0.facts(at).into_iter().map(Action::Hears).chain(possible).collect()
    }

    fn step(&self, at: &mut Situation<S>, action: &Action<S::Fact>, log: &mut Log) -> Result<(), Broken> {
        self.take(at, action, log)
    }

    fn now(&self, at: &Situation<S>) -> Instant {
        at.now
    }

    fn check(&self, at: &Situation<S>) -> Result<(), Broken> {
        self.0.check(at)
    }

    fn settle(&self, at: &mut Situation<S>, log: &mut Log) -> Result<(), Broken> {
        let (steps, time) = S::SETTLES;
        let began = at.now;
        for _ in 0..steps {
            if self.0.goal(at) {
                return Ok(());
            }
            let action = self.0.fair(at).map_or(Action::Due, Action::Hears);
            if Self::moment(at, &action).is_none() && action == Action::Due {
                return Err(Broken::new("L9", "nothing is waited for, and the goal is not reached"));
            }
            log.say(|| format!("{action:?}"));
            self.take(at, &action, log)?;
            if at.now.since(began) > time {
                break;
            }
        }
        Err(Broken::new("LINK-4", format!("the goal is not reached within {steps} steps and {time:?}")))
    }

    fn show(&self, at: &Situation<S>) -> String {
        let seconds = at.now.since(START).as_secs_f64();
        let deadline = at.machine.poll_timeout().map(|deadline| (deadline.at.since(at.now), deadline.why()));
        format!("{} at {seconds} s, deadline {deadline:?}", self.0.state(&at.machine))
    }
}
