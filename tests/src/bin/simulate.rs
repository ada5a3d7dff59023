//! Runs the simulation and tells what happened.
//!
//! ```text
//! simulate --seed 7                      one run, as a story
//! simulate --seed 7 --devices 2 --days 3 the same in another size
//! simulate --seeds 0..1000               many runs, as a table
//! simulate --replay "seed=7 without=3-5" a run that a test printed
//! ```

use std::{
    ops::Range,
    process::ExitCode,
    time::{Duration, Instant},
};

use verification::sim::{Recipe, Report, Tally, run, shrink::shrink, story::clock};

/// So many runs at most to make a failure short.
const SHRINKING: usize = 300;

fn main() -> ExitCode {
    match Wish::read(std::env::args().skip(1)) {
        Ok(Wish { seeds: Some(seeds), recipe, .. }) => many(seeds, &recipe),
        Ok(Wish { recipe, is_quiet, .. }) => one(&recipe, is_quiet),
        Err(why) => {
            eprintln!(
                "{why}\n\nsimulate [--seed N | --seeds A..B | --replay \"LINE\"] [--devices D] [--days T | --minutes M] [--quiet]"
            );
            ExitCode::from(2)
        }
    }
}

struct Wish {
    recipe: Recipe,
    seeds: Option<Range<u64>>,
    is_quiet: bool,
}

impl Wish {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wish = Self { recipe: Recipe::of(1), seeds: None, is_quiet: false };
        while let Some(word) = words.next() {
            if word == "--quiet" {
                wish.is_quiet = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{word}: not a number: {value}"));
            match word.as_str() {
                "--seed" => wish.recipe.seed = number()?,
                "--seeds" => wish.seeds = Some(range(&value).ok_or_else(|| format!("not a range such as 0..100: {value}"))?),
                "--devices" => wish.recipe.devices = usize::try_from(number()?.max(1)).ok(),
                "--days" => wish.recipe.minutes = Some(number()? * 24 * 60),
                "--minutes" => wish.recipe.minutes = Some(number()?),
                "--replay" => wish.recipe = value.parse()?,
                _ => return Err(format!("not known: {word}")),
            }
        }
        Ok(wish)
    }
}

fn range(text: &str) -> Option<Range<u64>> {
    let (first, end) = text.split_once("..")?;
    Some(first.parse().ok()?..end.parse().ok()?)
}

fn one(recipe: &Recipe, is_quiet: bool) -> ExitCode {
    let began = Instant::now();
    let report = run(recipe);
    let took = began.elapsed();
    if !is_quiet {
        println!("{}", report.story);
    }
    println!("faults that hit something:\n{}", report.tally);
    sum_up(std::slice::from_ref(&report), took);
    if report.is_clean() {
        return ExitCode::SUCCESS;
    }
    println!("\n{report}");
    println!("\nshrinking …");
    let short = shrink(&report, SHRINKING);
    println!("{} of {} incidents are enough:\n{}\n{short}", left(&short), short.incidents, short.story);
    ExitCode::FAILURE
}

fn left(report: &Report) -> usize {
    report.incidents - report.recipe.without.len()
}

fn many(seeds: Range<u64>, recipe: &Recipe) -> ExitCode {
    println!("{:>8} {:>7} {:>11} {:>10} {:>6} {:>6} {:>16}", "seed", "laptops", "time", "steps", "faults", "result", "trace");
    let began = Instant::now();
    let reports: Vec<_> = seeds.map(|seed| Recipe { seed, ..recipe.clone() }).map(|recipe| row(&run(&recipe))).collect();
    let took = began.elapsed();
    let mut tally = Tally::default();
    for report in &reports {
        tally.add(&report.tally);
    }
    println!("\nfaults that hit something:\n{tally}");
    sum_up(&reports, took);
    let failed: Vec<_> = reports.iter().filter(|report| !report.is_clean()).collect();
    for report in &failed {
        println!("\n{report}");
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints a run's line, and drops its story.
fn row(report: &Report) -> Report {
    let result = if report.is_clean() { "ok" } else { report.violations[0].invariant };
    let faults: u64 = verification::sim::Fault::ALL.iter().map(|fault| report.tally.of(*fault)).sum();
    let (time, steps) = (clock(report.elapsed), report.steps);
    println!(
        "{:>8} {:>7} {time:>11} {steps:>10} {faults:>6} {result:>6} {:016x}",
        report.recipe.seed, report.devices, report.trace
    );
    Report { story: verification::sim::story::Story::default(), ..report.clone() }
}

fn sum_up(reports: &[Report], took: Duration) {
    let days: f64 = reports.iter().map(Report::device_days).sum();
    let steps: u64 = reports.iter().map(|report| report.steps).sum();
    let (delivered, shown) = reports.iter().fold((0, 0), |(d, s), report| (d + report.delivered.0, s + report.delivered.1));
    let seconds = took.as_secs_f64().max(1e-9);
    println!(
        "{} runs, {days:.2} device-days, {steps} steps, {delivered} sessions delivered, {shown} records shown",
        reports.len()
    );
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = steps as f64 / seconds;
    println!("{seconds:.2} s: {:.1} device-days per second, {rate:.0} steps per second", days / seconds);
    let broken = reports.iter().filter(|report| !report.is_clean()).count();
    println!("{}", if broken == 0 { "everything held".into() } else { format!("{broken} runs with violations") });
}
