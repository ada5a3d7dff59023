//! One run from its recipe to its report.

use std::{fmt, time::Duration};

use proto_core::{
    crypto::PureRust,
    noise::{Noise, Snow, Symbolic},
};

use super::{Sim, fault::Tally, oracle::Violation, plan::Recipe, story::Story};

/// One seed in so many uses real cryptography; the others the symbolic one, which fails and succeeds in the same places.
pub const REAL_CRYPTO_EVERY: u64 = 50;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// How to run it again.
    pub recipe: Recipe,
    /// How many machines there were.
    pub devices: usize,
    /// How long the run was, by the virtual clock.
    pub elapsed: Duration,
    /// How many events there were.
    pub steps: u64,
    /// How often each fault hit something.
    pub tally: Tally,
    /// A digest of everything that happened.
    pub trace: u64,
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// What was done and seen.
    pub story: Story,
    /// How many incidents the plan has.
    pub incidents: usize,
    /// Sessions that were delivered to their relays, and records that viewers showed.
    pub delivered: (u64, u64),
}

/// Runs a recipe: first its plan, then the recovery.
pub fn run(recipe: &Recipe) -> Report {
    if recipe.seed % REAL_CRYPTO_EVERY == REAL_CRYPTO_EVERY - 1 {
        Sim::<Snow<PureRust>>::new(recipe).live(recipe)
    } else {
        Sim::<Symbolic>::new(recipe).live(recipe)
    }
}

impl<N: Noise + 'static> Sim<N> {
    fn live(mut self, recipe: &Recipe) -> Report {
        let mut holds = self.run_until(super::START.after(self.options.span));
        while holds && let Some(until) = self.all_go_on() {
            holds = self.run_until(until.after(Duration::from_millis(1)));
        }
        if holds {
            self.heal();
            if self.recover() {
                self.judge_all();
            }
        }
        Report {
            recipe: recipe.clone(),
            devices: self.options.hosts,
            elapsed: self.elapsed(),
            steps: self.steps,
            tally: self.tally.clone(),
            trace: self.trace(),
            violations: self.oracles.verdicts.take(),
            incidents: self.plan.len(),
            delivered: self.oracles.delivered(),
            story: self.story,
        }
    }
}

impl Report {
    /// Whether everything held.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Simulated days of all machines together.
    pub fn device_days(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a few machines")]
        let devices = self.devices as f64;
        devices * self.elapsed.as_secs_f64() / 86_400.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        write!(f, "replay: cargo run --release -p verification --bin simulate -- --replay \"{}\"", self.recipe)
    }
}
