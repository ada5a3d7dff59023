//! What a seed makes of the world: each one switches kinds of faults and their rates on and off, and draws sizes and limits, so
//! that thousands of small, different worlds are tried and not one average world thousands of times.

use std::time::Duration;

use proto_core::api::PolicyMode;

use super::{dice::Dice, fault::Fault, plan::Recipe};

/// The options of one run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything grows from it.
    pub seed: u64,
    /// Machines with a daemon.
    pub hosts: usize,
    /// Organizations.
    pub orgs: usize,
    /// Relays; more than one org may share one.
    pub relays: usize,
    /// Viewers.
    pub viewers: usize,
    /// How long the first phase lasts.
    pub span: Duration,
    /// The policy of each org at the beginning.
    pub policies: Vec<PolicyMode>,
    /// The kinds of faults that are switched on.
    pub faults: Vec<Fault>,
    /// Deeds for each machine and hour.
    pub deeds_per_hour: f64,
    /// Faults for each machine and hour.
    pub faults_per_hour: f64,
    /// Whether anything ends for good: revocations, deleted workspaces, removed members.
    pub ends: bool,
    /// Records of a session at most.
    pub records_max: u64,
    /// Bytes of a record at most.
    pub record_max: u64,
    /// Seconds until a credential's soft expiry.
    pub lifetime: u64,
    /// Seconds from there to its hard expiry.
    pub renewable: u64,
    /// Whether a machine that pairs again keeps its runtime target.
    pub keeps_targets: bool,
    /// An org that stays broken in the second phase, while the others must make progress.
    pub stays_broken: Option<usize>,
    /// Time that a message takes on its way, at least.
    pub latency: Duration,
}

impl Options {
    /// What the recipe's seed draws, in the recipe's size.
    pub fn draw(recipe: &Recipe) -> Self {
        let seed = recipe.seed;
        let mut dice = Dice::of(seed, "options", 0);
        let hosts = recipe.devices.unwrap_or(1 + dice.index(3));
        let orgs = if recipe.devices.is_some() { 3 } else { 1 + dice.index(3) };
        let minutes = dice.between(8, 60);
        let span = Duration::from_secs(60 * recipe.minutes.unwrap_or(minutes));
        // Long runs are calmer: what is rare has time to come about.
        let pace = if span > Duration::from_hours(8) { 0.05 } else { 1.0 };
        let policies = [PolicyMode::Standard, PolicyMode::Standard, PolicyMode::CryptoPairing];
        let policies = (0..orgs).map(|_| *dice.pick(&policies)).collect();
        let faults = faults(&mut dice);
        Self {
            seed,
            hosts,
            orgs,
            relays: 1 + dice.index(orgs),
            viewers: dice.index(3),
            span,
            policies,
            faults,
            deeds_per_hour: pace * *dice.pick(&[4.0, 10.0, 30.0]),
            faults_per_hour: pace * *dice.pick(&[2.0, 8.0, 20.0, 40.0]),
            ends: dice.percent(50),
            records_max: *dice.pick(&[3, 20, 100]),
            record_max: *dice.pick(&[16, 500, 9_000]),
            lifetime: *dice.pick(&[120, 600, 3_600, 3_600]),
            renewable: *dice.pick(&[30 * 86_400, 30 * 86_400, 7_200]),
            keeps_targets: dice.percent(30),
            stays_broken: (orgs > 1 && dice.percent(30)).then(|| dice.index(orgs)),
            latency: Duration::from_millis(*dice.pick(&[1, 8, 40, 150])),
        }
    }

    /// The relay of an org.
    pub const fn relay_of(&self, org: usize) -> usize {
        org % self.relays
    }

    /// The orgs that a machine is paired with at the beginning.
    pub fn orgs_of(&self, host: usize) -> impl Iterator<Item = usize> + use<> {
        let (orgs, all) = (self.orgs, self.seed.is_multiple_of(3));
        (0..orgs).map(move |nth| (nth + host) % orgs).take(if all { orgs } else { orgs.min(2) })
    }
}

/// One world in ten knows no faults at all, one in ten all of them; the others a few.
fn faults(dice: &mut Dice) -> Vec<Fault> {
    let percent = match dice.below(10) {
        0 => 0,
        1 => 100,
        2..6 => 15,
        _ => 40,
    };
    Fault::ALL.iter().copied().filter(|_| dice.percent(percent)).collect()
}
