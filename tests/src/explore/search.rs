//! Breadth first, so that the first counterexample is a shortest one.

use std::{
    collections::HashMap,
    fmt::{self, Debug},
    hash::{BuildHasherDefault, Hash},
    time::Duration,
};

use proto_core::Instant;

use super::fingerprint::{Itself, fingerprint};

/// Something whose every state can be visited.
pub trait System {
    /// A state: all of it that decides what happens next, and what the properties remember.
    type State: Clone + Hash;
    /// One thing that can happen.
    type Action: Clone + Debug;

    /// What the walk is confined to, for the reader of its figures.
    fn bounds(&self) -> String;

    /// How far back anything in a state looks; see [`fingerprint`].
    fn memory(&self) -> Duration {
        Duration::from_hours(48)
    }

    /// Where it begins.
    fn starts(&self) -> Vec<Self::State>;

    /// What can happen there. The same, in the same order, for the same state.
    fn actions(&self, state: &Self::State) -> Vec<Self::Action>;

    /// Lets it happen.
    ///
    /// # Errors
    /// A property that this step breaks.
    fn step(&self, state: &mut Self::State, action: &Self::Action, log: &mut Log) -> Result<(), Broken>;

    /// What time it is.
    fn now(&self, state: &Self::State) -> Instant;

    /// What must hold in every state.
    ///
    /// # Errors
    /// A property that does not.
    fn check(&self, _state: &Self::State) -> Result<(), Broken> {
        Ok(())
    }

    /// What must come about from every state once nothing disturbs any more, within stated steps and time.
    ///
    /// # Errors
    /// A goal that is not reached.
    fn settle(&self, _state: &mut Self::State, _log: &mut Log) -> Result<(), Broken> {
        Ok(())
    }

    /// A state in a few words.
    fn show(&self, state: &Self::State) -> String;
}

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which: its name in the list of invariants and laws.
    pub invariant: &'static str,
    /// How.
    pub what: String,
}

impl Broken {
    /// `invariant` does not hold, and how.
    pub fn new(invariant: &'static str, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

/// What was said in a step, kept only where a witness reads it.
#[derive(Debug, Default)]
pub struct Log(Option<Vec<String>>);

impl Log {
    /// One that keeps what is said.
    pub const fn kept() -> Self {
        Self(Some(Vec::new()))
    }

    /// Adds a line.
    pub fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0 {
            lines.push(line());
        }
    }

    /// The lines since the last time.
    pub fn take(&mut self) -> Vec<String> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// An observer of a walk.
pub trait Witness<S: System> {
    /// Whether it wants to know what was said.
    const READS: bool = true;

    /// A step was taken.
    fn edge(&mut self, from: &S::State, action: &S::Action, to: &S::State, said: &[String]);
}

impl<S: System> Witness<S> for () {
    const READS: bool = false;

    fn edge(&mut self, _: &S::State, _: &S::Action, _: &S::State, _: &[String]) {}
}

/// What a walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// Steps taken.
    pub edges: u64,
    /// The most steps that any of the states is away from a start.
    pub depth: u32,
    /// Whether every state was visited; otherwise the limit was met.
    pub is_closed: bool,
    /// Of all edges in the order in which they were taken: the same for the same graph.
    pub hash: u64,
}

/// A shortest way to a property that does not hold.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// What does not hold.
    pub broken: Broken,
    /// How to get there, line by line.
    pub trace: Vec<String>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} does not hold: {}", self.broken.invariant, self.broken.what)?;
        self.trace.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// How a state was reached first.
struct Origin {
    /// The state before; itself for a start.
    parent: u32,
    /// The number of the action there, or of the start.
    choice: u16,
}

/// States are not kept but gone to again: of one there is its fingerprint and how it was reached.
struct Search<'a, S: System> {
    system: &'a S,
    starts: Vec<S::State>,
    known: HashMap<u128, u32, BuildHasherDefault<Itself>>,
    origins: Vec<Origin>,
    /// From a start to the state that was expanded last. Breadth first, the way to the next one has most of it in common.
    way: Vec<(u32, S::State)>,
    report: Report,
}

/// Visits at most about `limit` states of `system`.
///
/// # Errors
/// A shortest way to a property that does not hold.
///
/// # Panics
/// When there are more than 2^32 states, or 2^16 actions in one.
pub fn explore<S: System, W: Witness<S>>(system: &S, limit: usize, witness: &mut W) -> Result<Report, Counterexample> {
    let report = Report { states: 0, edges: 0, depth: 0, is_closed: false, hash: 0xcbf2_9ce4_8422_2325 };
    let (known, origins, way) = (HashMap::default(), Vec::new(), Vec::new());
    let mut search = Search { system, starts: system.starts(), known, origins, way, report };
    for (number, start) in search.starts.clone().iter().enumerate() {
        let parent = number_of(search.origins.len());
        search.visit(Origin { parent, choice: u16::try_from(number).expect("fewer than 2^16 starts") }, 0, start)?;
    }
    let mut index = 0;
    while index < search.origins.len() {
        if search.origins.len() >= limit {
            return Ok(search.report);
        }
        search.expand(number_of(index), witness)?;
        index += 1;
    }
    search.report.is_closed = true;
    Ok(search.report)
}

fn number_of(place: usize) -> u32 {
    u32::try_from(place).expect("fewer than 2^32 states")
}

impl<S: System> Search<'_, S> {
    fn expand<W: Witness<S>>(&mut self, index: u32, witness: &mut W) -> Result<(), Counterexample> {
        self.go_to(index);
        let (_, state) = self.way.last().cloned().expect("the state that it went to");
        let depth = number_of(self.way.len());
        for (number, action) in self.system.actions(&state).iter().enumerate() {
            let origin = Origin { parent: index, choice: u16::try_from(number).expect("fewer than 2^16 actions") };
            let mut next = state.clone();
            let mut log = if W::READS { Log::kept() } else { Log::default() };
            if let Err(broken) = self.system.step(&mut next, action, &mut log) {
                return Err(self.counterexample(broken, &origin, false));
            }
            if W::READS {
                witness.edge(&state, action, &next, &log.take());
            }
            let choice = origin.choice;
            let to = self.visit(origin, depth, &next)?;
            self.report.edges += 1;
            for number in [index, choice.into(), to] {
                self.report.hash = (self.report.hash ^ u64::from(number)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        Ok(())
    }

    /// Makes `way` the way to the state of that number, from where the two part.
    fn go_to(&mut self, index: u32) {
        let mut choices = Vec::new();
        let mut at = index;
        // Numbers grow along every way.
        loop {
            while self.way.last().is_some_and(|(last, _)| *last > at) {
                self.way.pop();
            }
            if self.way.last().is_some_and(|(last, _)| *last == at) {
                break;
            }
            let origin = self.origin(at);
            choices.push((at, origin.choice));
            if origin.parent == at {
                self.way.clear();
                break;
            }
            at = origin.parent;
        }
        for (index, choice) in choices.into_iter().rev() {
            let state = match self.way.last() {
                None => self.starts.get(usize::from(choice)).cloned().expect("a start"),
                Some((_, before)) => {
                    let action = self.system.actions(before).swap_remove(choice.into());
                    let mut state = before.clone();
                    let outcome = self.system.step(&mut state, &action, &mut Log::default());
                    assert_eq!(outcome, Ok(()), "a step went differently the second time");
                    state
                }
            };
            self.way.push((index, state));
        }
    }

    fn origin(&self, index: u32) -> &Origin {
        self.origins.get(index as usize).expect("a state that is known")
    }

    /// Keeps a state that is new; gives its number.
    fn visit(&mut self, origin: Origin, depth: u32, state: &S::State) -> Result<u32, Counterexample> {
        let print = fingerprint(state, self.system.now(state), self.system.memory());
        if let Some(index) = self.known.get(&print) {
            return Ok(*index);
        }
        if let Err(broken) = self.system.check(state) {
            return Err(self.counterexample(broken, &origin, false));
        }
        if let Err(broken) = self.system.settle(&mut state.clone(), &mut Log::default()) {
            return Err(self.counterexample(broken, &origin, true));
        }
        let index = number_of(self.origins.len());
        self.known.insert(print, index);
        self.origins.push(origin);
        self.report.states += 1;
        self.report.depth = self.report.depth.max(depth);
        Ok(index)
    }

    /// Walks the way again, this time writing it down.
    fn counterexample(&self, broken: Broken, last: &Origin, settles: bool) -> Counterexample {
        let mut choices = vec![last.choice];
        let mut at = last.parent;
        while let Some(origin) = self.origins.get(at as usize) {
            choices.push(origin.choice);
            if origin.parent == at {
                break;
            }
            at = origin.parent;
        }
        let mut choices = choices.into_iter().rev().map(usize::from);
        let mut state = self.system.starts().swap_remove(choices.next().unwrap_or(0));
        let mut trace = vec![format!("  start: {}", self.system.show(&state))];
        for choice in choices {
            let action = self.system.actions(&state).swap_remove(choice);
            let mut log = Log::kept();
            let outcome = self.system.step(&mut state, &action, &mut log);
            trace.push(format!("  {action:?}"));
            trace.extend(log.take().into_iter().map(|line| format!("      {line}")));
            trace.push(match outcome {
                Ok(()) => format!("    → {}", self.system.show(&state)),
                Err(broken) => format!("    ✗ {}: {}", broken.invariant, broken.what),
            });
        }
        if settles {
            let mut log = Log::kept();
            let _ = self.system.settle(&mut state, &mut log);
            trace.push("  from here on nothing disturbs:".into());
            trace.extend(log.take().into_iter().map(|line| format!("      {line}")));
        }
        Counterexample { broken, trace }
    }
}
