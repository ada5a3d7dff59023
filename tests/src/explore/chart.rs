//! What a walk shows, on paper: a table with every state and every input, and a graph of the ways between the states.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use proto_core::Machine;

use super::{Action, SingleMachine, Situation, Subject, System, Witness};

/// Everything that was seen of one machine, by named state and input.
#[derive(Debug, Default)]
pub struct Chart {
    cells: BTreeMap<String, BTreeMap<String, BTreeSet<Outcome>>>,
    starts: BTreeSet<String>,
    inputs: Vec<String>,
}

/// What an input led to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Outcome {
    to: String,
    said: Vec<String>,
    is_ignored: bool,
    counted: Vec<&'static str>,
}

/// The columns that are about time.
const TIME: [&str; 3] = ["JustBefore", "Due", "Late"];

impl Chart {
    /// An empty chart of `system`.
    pub fn of<S: Subject>(system: &SingleMachine<S>) -> Self {
        let starts = system.starts().iter().map(|at| system.0.state(&at.machine)).collect();
        Self { starts, ..Self::default() }
    }

    /// The inputs that were never fed in a state, and the state.
    pub fn gaps(&self) -> Vec<(&str, &str)> {
        let all = self.cells.iter().flat_map(|(state, row)| self.inputs.iter().map(move |input| (state, row, input)));
        all.filter(|(_, row, input)| !row.contains_key(*input))
            .map(|(state, _, input)| (state.as_str(), input.as_str()))
            .collect()
    }

    fn note(&mut self, from: String, input: String, outcome: Outcome) {
        if !self.inputs.contains(&input) && !TIME.contains(&input.as_str()) {
            self.inputs.push(input.clone());
        }
        self.cells.entry(from).or_default().entry(input).or_default().insert(outcome);
    }

    /// The table, as `tests/tables` keeps it.
    pub fn table(&self, name: &str) -> String {
        let mut text = format!(
            "# {name}: every state, every input\n\nMade by exploring the machine (`cargo test -p verification --test tables`); not written \
             by hand. A row lists every outcome that was seen: `→` the next state where it is another one, then what was said; `–` is nothing at all; `not walked` is a time that this walk leaves out.\n"
        );
        for (state, row) in &self.cells {
            let _ = write!(text, "\n## {state}\n\n| input | outcome |\n|---|---|\n");
            for (inputs, cell) in self.rows(state, row) {
                let _ = writeln!(text, "| {} | {cell} |", inputs.join(", "));
            }
        }
        text
    }

    /// The rows of a state: inputs that lead to the same share one.
    fn rows(&self, state: &str, row: &BTreeMap<String, BTreeSet<Outcome>>) -> Vec<(Vec<String>, String)> {
        let mut rows: Vec<(Vec<String>, String)> = Vec::new();
        for input in self.inputs.iter().map(String::as_str).chain(TIME) {
            let cell = match row.get(input) {
                Some(outcomes) => outcomes.iter().map(|outcome| outcome.cell(state)).collect::<Vec<_>>().join("<br>"),
                None if TIME.contains(&input) && !row.contains_key("Due") => "no deadline".into(),
                None if TIME.contains(&input) => "not walked".into(),
                None => "**never fed here**".into(),
            };
            match rows.iter_mut().find(|(_, known)| *known == cell) {
                Some((inputs, _)) => inputs.push(spelled(input)),
                None => rows.push((vec![spelled(input)], cell)),
            }
        }
        rows
    }

    /// The graph, in Mermaid.
    pub fn graph(&self) -> String {
        let mut states: Vec<&String> = self.cells.keys().collect();
        let targets = self.cells.values().flat_map(|row| row.values().flatten()).map(|outcome| &outcome.to);
        states.extend(targets);
        states.sort();
        states.dedup();
        let id = |state: &str| format!("s{}", states.iter().position(|known| *known == state).unwrap_or(states.len()));
        let mut text = String::from("```mermaid\nstateDiagram-v2\n");
        for state in &states {
            let _ = writeln!(text, "    {}: {state}", id(state));
        }
        for start in &self.starts {
            let _ = writeln!(text, "    [*] --> {}", id(start));
        }
        for ((from, to), inputs) in self.ways() {
            let _ = writeln!(text, "    {} --> {}: {}", id(from), id(to), inputs.join(", "));
        }
        text.push_str("```\n");
        text
    }

    /// The inputs that lead from one state to another one.
    fn ways(&self) -> BTreeMap<(&str, &str), Vec<String>> {
        let mut ways: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (from, row) in &self.cells {
            for input in self.inputs.iter().map(String::as_str).chain(TIME) {
                let targets: BTreeSet<_> = row.get(input).into_iter().flatten().map(|outcome| outcome.to.as_str()).collect();
                for to in targets.into_iter().filter(|to| to != from) {
                    let inputs = ways.entry((from.as_str(), to)).or_default();
                    inputs.push(spelled(input).replace(':', ""));
                }
            }
        }
        ways
    }
}

impl Outcome {
    fn cell(&self, from: &str) -> String {
        let mut words = Vec::new();
        if self.to != from {
            words.push(format!("→ {}", self.to));
        }
        words.extend(self.said.iter().cloned());
        match &self.counted[..] {
            [] if self.is_ignored => words.push("ignored".into()),
            [] => {}
            kinds => words.push(format!("ignored, counted as `{}`", kinds.join("`, `"))),
        }
        if words.is_empty() { "–".into() } else { words.join(" · ") }
    }
}

/// The times in words.
fn spelled(input: &str) -> String {
    match input {
        "JustBefore" => "just before its deadline".into(),
        "Due" => "at its deadline".into(),
        "Late" => "long after its deadline".into(),
        heard => heard.into(),
    }
}

impl<S: Subject> Witness<SingleMachine<S>> for (&S, &mut Chart) {
    fn edge(&mut self, from: &Situation<S>, action: &Action<S::Fact>, to: &Situation<S>, said: &[String]) {
        let (subject, chart) = self;
        let input = match action {
            Action::Hears(fact) => format!("{fact:?}"),
            Action::Early => format!("{:?}", Action::<S::Fact>::JustBefore),
            time => format!("{time:?}"),
        };
        let before = subject.ignored(&from.machine);
        let after = subject.ignored(&to.machine);
        let counted = before.iter().zip(&after).filter(|(a, b)| a.1 != b.1).map(|(a, _)| a.0).collect();
        let is_ignored = from.machine.ignored() != to.machine.ignored();
        let outcome = Outcome { to: subject.state(&to.machine), said: said.to_vec(), is_ignored, counted };
        chart.note(subject.state(&from.machine), input, outcome);
    }
}
