//! Explores machines and systems to their end: `cargo run --release -p verification --bin explore -- [SUBJECT]… [--states N]`. The
//! exit status is 1 when a property does not hold, or when so many states were not all.

use std::{process::ExitCode, time::Instant};

use verification::explore::catalogue;

/// States, where nothing is said.
const STATES: usize = 4_000_000;

fn main() -> ExitCode {
    let (subjects, states) = match arguments(std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(complaint) => {
            eprintln!("{complaint}\nsubjects: {}", catalogue::names().into_iter().collect::<Vec<_>>().join(" "));
            return ExitCode::from(2);
        }
    };
    println!("| subject | bounds | states | edges | depth | closed | graph | seconds |\n|---|---|---|---|---|---|---|---|");
    let outcomes: Vec<_> = subjects.iter().map(|subject| walk(subject, states)).collect();
    if outcomes.into_iter().all(|is_whole| is_whole) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn walk(subject: &str, states: usize) -> bool {
    let Some(walk) = catalogue::named(subject) else { return false };
    let began = Instant::now();
    match walk.walk(states) {
        Ok(report) => {
            let closed = if report.is_closed { "yes" } else { "no" };
            let seconds = began.elapsed().as_secs_f64();
            println!(
                "| {subject} | {} | {} | {} | {} | {closed} | `{:016x}` | {seconds:.1} |",
                walk.bounds(),
                report.states,
                report.edges,
                report.depth,
                report.hash
            );
            report.is_closed
        }
        Err(counterexample) => {
            println!("\n{subject}: {counterexample}");
            false
        }
    }
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<(Vec<String>, usize), String> {
    let (mut subjects, mut states) = (Vec::new(), STATES);
    while let Some(word) = given.next() {
        if word == "--states" {
            let number = given.next().and_then(|number| number.parse().ok());
            states = number.ok_or("--states takes a number")?;
        } else if catalogue::names().contains(word.as_str()) {
            subjects.push(word);
        } else {
            return Err(format!("nothing is called {word}"));
        }
    }
    if subjects.is_empty() {
        subjects = catalogue::names().into_iter().map(Into::into).collect();
    }
    Ok((subjects, states))
}
