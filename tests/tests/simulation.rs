//! Everything together, from seeds: deeds, faults, recovery, and every invariant that can be seen from outside.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use verification::sim::{Recipe, Report, Tally, run, shrink::shrink};

/// Seeds of one CI run. All of them are run again and again: a change that breaks one breaks it at once.
const SEEDS: u64 = 1_000;
/// Runs at most to make a failure short.
const SHRINKING: usize = 120;

/// ISO-1, ISO-3, ISO-5 to ISO-7, PAIR-1 to PAIR-12, BIND-1 to BIND-8, ROT-1 to ROT-5, JWT-3, JWT-5, LINK-1 to LINK-5, SES-1 to
/// SES-3, ADM-4, PIN-1, PIN-2, NOI-4: nothing is broken in any of a thousand worlds, and every kind of fault hit something.
#[test]
fn a_thousand_worlds_hold() {
    let next = AtomicU64::new(0);
    let worker = || {
        let mut tally = Tally::default();
        let mut failed = Vec::new();
        while let seed @ 0..SEEDS = next.fetch_add(1, Ordering::Relaxed) {
            let report = run(&Recipe::of(seed));
            tally.add(&report.tally);
            if !report.is_clean() {
                failed.push(report);
            }
        }
        (tally, failed)
    };
    let (mut tally, mut failed) = (Tally::default(), Vec::new());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(worker)).collect();
        for (of_one, failed_in_one) in workers.into_iter().map(|worker| worker.join().expect("a run panicked")) {
            tally.add(&of_one);
            failed.extend(failed_in_one);
        }
    });
    println!("{tally}");
    failed.sort_by_key(|report: &Report| report.recipe.seed);
    if let Some(first) = failed.first() {
        let short = shrink(first, SHRINKING);
        panic!("{} of {SEEDS} worlds are broken. The first, shrunk:\n{}\n{short}", failed.len(), short.story);
    }
    assert_eq!(tally.missing(), [], "faults that never hit anything");
}

/// L5 for the whole world: one recipe gives one run, to the byte, with symbolic and with real cryptography.
#[test]
fn the_same_recipe_gives_the_same_run() {
    for seed in [3, 49] {
        let [first, second] = [(); 2].map(|()| run(&Recipe::of(seed)));
        assert_eq!((first.trace, first.steps, first.tally), (second.trace, second.steps, second.tally), "seed {seed}");
    }
    assert_ne!(run(&Recipe::of(3)).trace, run(&Recipe::of(4)).trace);
}

/// What is left out of a plan changes nothing for the rest of it: the line that a failure prints is enough to see it again.
#[test]
fn a_recipe_is_replayed_from_its_line() {
    let mut recipe = Recipe::of(8);
    recipe.without.extend([2, 3, 4, 9]);
    let again: Recipe = recipe.to_string().parse().unwrap();
    let [first, second] = [&recipe, &again].map(run);
    assert_eq!(first.trace, second.trace);
    assert_ne!(first.trace, run(&Recipe::of(8)).trace);
}
