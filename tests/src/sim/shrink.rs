//! From a run that failed to one with few incidents that fails the same way.

use super::{
    plan::Recipe,
    run::{Report, run},
};

/// Leaves out as much of the plan as possible while the same invariant is still broken, by halves, quarters and so on
/// (Zeller's ddmin). At most `budget` runs.
pub fn shrink(failed: &Report, mut budget: usize) -> Report {
    let Some(broken) = failed.violations.first().map(|violation| violation.invariant) else { return failed.clone() };
    let mut best = failed.clone();
    let fails_alike = |report: &Report| report.violations.first().is_some_and(|violation| violation.invariant == broken);
    let mut pieces = 2;
    loop {
        let kept: Vec<usize> = (0..best.incidents).filter(|number| !best.recipe.without.contains(number)).collect();
        let mut has_shrunk = false;
        for piece in kept.chunks(kept.len().div_ceil(pieces).max(1)) {
            if budget == 0 {
                return best;
            }
            budget -= 1;
            let mut recipe: Recipe = best.recipe.clone();
            recipe.without.extend(piece);
            let report = run(&recipe);
            if fails_alike(&report) {
                best = report;
                has_shrunk = true;
                break;
            }
        }
        match has_shrunk {
            true => pieces = pieces.saturating_sub(1).max(2),
            false if pieces >= kept.len() => return best,
            false => pieces *= 2,
        }
    }
}
