//! Two things by turns in one process, and the median of what the rounds say.
//!
//! A machine that does something else on the side is slow for a while, not for one of the two: what a round says about their
//! ratio holds, whatever it says about each. Rounds that were interrupted in the middle of one are outvoted by the others.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// How many rounds there are. An odd number, so that one of them is the median.
const ROUNDS: usize = 301;

/// The first rounds wake caches and clocks up, and do not count.
const WARM_UP: usize = 20;

/// How long `work` took.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// What was found out about one thing.
pub(crate) struct Row {
    what: String,
    ours: f64,
    reference: Option<f64>,
    ratio: Option<f64>,
    target: Target,
}

/// What is asked of it.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// At most that many times the reference.
    Ratio(f64),
    /// At most that many nanoseconds.
    Nanoseconds(f64),
    /// Nothing: it is there to be compared with.
    None,
}

/// Compares `ours` with `reference`. Each works for a fraction of a millisecond, `per` times the thing in question, and says
/// how long that took.
pub(crate) fn compare(
    what: String,
    target: Target,
    per: u32,
    mut ours: impl FnMut() -> Duration,
    mut reference: impl FnMut() -> Duration,
) -> Row {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for round in 0..WARM_UP + ROUNDS {
        // The first of the two finds the caches as the other left them: the order changes with every round.
        let (a, b) = if round % 2 == 0 {
            let a = ours();
            (a, reference())
        } else {
            let b = reference();
            (ours(), b)
        };
        if round >= WARM_UP {
            rounds.push((nanoseconds(a, per), nanoseconds(b, per)));
        }
    }
    Row {
        what,
        ours: median(rounds.iter().map(|(a, _)| *a)),
        reference: Some(median(rounds.iter().map(|(_, b)| *b))),
        ratio: Some(median(rounds.iter().map(|(a, b)| a / b))),
        target,
    }
}

/// How long one thing takes by itself.
pub(crate) fn alone(what: String, target: Target, per: u32, mut ours: impl FnMut() -> Duration) -> Row {
    let rounds: Vec<_> = (0..WARM_UP + ROUNDS).map(|_| nanoseconds(ours(), per)).skip(WARM_UP).collect();
    Row { what, ours: median(rounds.into_iter()), reference: None, ratio: None, target }
}

fn nanoseconds(time: Duration, per: u32) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(per)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Row {
    /// The table's head.
    pub(crate) const HEAD: &str = "| what | ours | reference | ratio | target | |\n|---|---|---|---|---|---|";

    /// Whether it is as fast as it should be, where that is said.
    fn is_met(&self) -> Option<bool> {
        match self.target {
            Target::Ratio(most) => self.ratio.map(|ratio| ratio <= most),
            Target::Nanoseconds(most) => Some(self.ours <= most),
            Target::None => None,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = self.reference.map(time).unwrap_or_default();
        let ratio = self.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let target = match self.target {
            Target::Ratio(most) => format!("≤ {most:.2}"),
            Target::Nanoseconds(most) => format!("≤ {}", time(most)),
            Target::None => String::new(),
        };
        let met = self.is_met().map_or("", |met| if met { "met" } else { "missed" });
        write!(f, "| {} | {} | {reference} | {ratio} | {target} | {met} |", self.what, time(self.ours))
    }
}

/// Nanoseconds with three digits that count.
fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1_000.0 => format!("{nanoseconds:.0} ns"),
        ..10_000.0 => format!("{:.2} µs", nanoseconds / 1e3),
        ..1_000_000.0 => format!("{:.1} µs", nanoseconds / 1e3),
        _ => format!("{:.2} ms", nanoseconds / 1e6),
    }
}
