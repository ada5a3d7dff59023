//! What is going to be done and what is going to go wrong: a list that one seed gives, of which any part can be left out.

use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};

use proto_core::api::{PairingMode, PolicyMode};

use super::{dice::Dice, fault::Fault, options::Options};

/// What one run is: a seed, a size, and what is left out of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Everything grows from it.
    pub seed: u64,
    /// How many machines, where that is not drawn.
    pub devices: Option<usize>,
    /// For how long, in minutes, where that is not drawn.
    pub minutes: Option<u64>,
    /// The numbers of the incidents that do not happen.
    pub without: BTreeSet<usize>,
}

impl Recipe {
    /// All of it as the seed draws it.
    pub const fn of(seed: u64) -> Self {
        Self { seed, devices: None, minutes: None, without: BTreeSet::new() }
    }
}

/// One line that [`FromStr`] reads again.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed={}", self.seed)?;
        if let Some(devices) = self.devices {
            write!(f, " devices={devices}")?;
        }
        if let Some(minutes) = self.minutes {
            write!(f, " minutes={minutes}")?;
        }
        if !self.without.is_empty() {
            write!(f, " without={}", ranges(&self.without))?;
        }
        Ok(())
    }
}

impl FromStr for Recipe {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut recipe = Self::of(0);
        let mut has_seed = false;
        for word in line.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("not NAME=VALUE: {word}"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("not a number: {word}"));
            match name {
                "seed" => (recipe.seed, has_seed) = (number()?, true),
                "devices" => recipe.devices = usize::try_from(number()?).ok(),
                "minutes" => recipe.minutes = Some(number()?),
                "without" => recipe.without = parse_ranges(value).ok_or_else(|| format!("not a list of numbers: {word}"))?,
                _ => return Err(format!("not known: {name}")),
            }
        }
        if has_seed { Ok(recipe) } else { Err("no seed".into()) }
    }
}

fn ranges(numbers: &BTreeSet<usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let texts = ranges.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    texts.collect::<Vec<_>>().join(",")
}

fn parse_ranges(text: &str) -> Option<BTreeSet<usize>> {
    let mut numbers = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        numbers.extend(first..=last);
    }
    Some(numbers)
}

/// Something that happens at a certain time after the beginning.
#[derive(Clone, Debug)]
pub struct Incident {
    /// When.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum What {
    /// A person does something.
    UserAction(UserAction),
    /// Something goes wrong.
    Trouble(Trouble),
}

/// What people do. Machines, orgs and relays are numbered from 0; an org that was deleted has a successor of the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAction {
    /// `vpd pair`, and what becomes of the code.
    Pair {
        /// On which machine.
        host: usize,
        /// With which org.
        org: usize,
        /// What becomes of other bindings.
        mode: PairingMode,
        /// What the user does in the browser.
        decision: Decision,
        /// After how long.
        after: Duration,
    },
    /// `vpd pair --cancel`.
    Cancel(usize),
    /// `vpd unpair`.
    Unpair(usize, usize),
    /// `vpd bind` of the org's directory.
    Bind(usize, usize),
    /// `vpd unbind` of it.
    Unbind(usize, usize),
    /// `vpd run` in the org's directory: so many records, so long, one every so often.
    Run {
        /// On which machine.
        host: usize,
        /// The organization of the directory.
        org: usize,
        /// How many records.
        records: u64,
        /// Bytes each.
        size: usize,
        /// Between two of them.
        every: Duration,
    },
    /// A terminal of the machine loses its connection to the daemon, and gets it back.
    HangUp(usize),
    /// Try every waiting link now.
    Reconnect(usize),
    /// A machine is revoked on the page of an org.
    Revoke(usize, usize),
    /// A workspace is deleted; another one is founded in its place.
    DeleteOrg(usize),
    /// The owner of a machine is removed from an org.
    RemoveMember(usize, usize),
    /// New pairings of an org get this policy.
    SetPolicy(usize, PolicyMode),
    /// The relay gets another static key, which was announced before.
    ChangeRelayKey(usize),
    /// A viewer's program is started again.
    RestartViewer(usize),
}

/// What becomes of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Approved.
    Approve,
    /// Approved twice, by a double click.
    ApproveTwice,
    /// An account that is no member tries first.
    StrangerFirst,
    /// Approved for another org than the one that was meant.
    ApproveOther,
    /// Denied.
    Deny,
    /// Left alone.
    Ignore,
}

/// A fault and where it is. What a number means that a fault has no use for is nothing.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Which.
    pub fault: Fault,
    /// The machine.
    pub host: usize,
    /// What it is between; a machine's network as a whole, or one server.
    pub place: Place,
    /// For how long, where it lasts.
    pub lasts: Duration,
    /// How strong it is, 1 to 100.
    pub strength: u64,
}

/// What a fault of the network stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Everything.
    Everything,
    /// The platform.
    Platform,
    /// A relay.
    Relay(usize),
}

/// The whole plan of a seed, by time.
pub fn draw(options: &Options) -> Vec<Incident> {
    let mut plan = beginnings(options);
    let mut dice = Dice::of(options.seed, "plan", 0);
    let hours = options.span.as_secs_f64() / 3600.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "some thousands")]
    let count = |per_hour: f64| (per_hour * hours * options.hosts as f64).ceil() as u64;
    for _ in 0..count(options.deeds_per_hour) {
        plan.push(incident(options, &mut dice, |options, dice| What::UserAction(deed(options, dice))));
    }
    if !options.faults.is_empty() {
        for _ in 0..count(options.faults_per_hour) {
            plan.push(incident(options, &mut dice, |options, dice| What::Trouble(trouble(options, dice))));
        }
    }
    plan.sort_by_key(|incident| incident.at);
    plan
}

/// Every machine is paired with its orgs at the beginning, and their directories are bound.
fn beginnings(options: &Options) -> Vec<Incident> {
    let mut plan = Vec::new();
    for host in 0..options.hosts {
        for (nth, org) in options.orgs_of(host).enumerate() {
            let mode = if nth == 0 { PairingMode::New } else { PairingMode::Add };
            let at = Duration::from_secs(1 + 20 * nth as u64) + Duration::from_millis(137 * host as u64);
            let (decision, after) = (Decision::Approve, Duration::from_secs(3));
            let deeds = [(0, UserAction::Pair { host, org, mode, decision, after }), (12, UserAction::Bind(host, org))];
            plan.extend(
                deeds.map(|(later, deed)| Incident { at: at + Duration::from_secs(later), what: What::UserAction(deed) }),
            );
        }
    }
    plan
}

fn incident(options: &Options, dice: &mut Dice, what: impl Fn(&Options, &mut Dice) -> What) -> Incident {
    let mut dice = dice.split();
    let at = dice.time(Duration::from_mins(1), options.span.max(Duration::from_mins(2)));
    Incident { at, what: what(options, &mut dice) }
}

fn deed(options: &Options, dice: &mut Dice) -> UserAction {
    let host = dice.index(options.hosts);
    let org = dice.index(options.orgs);
    match dice.below(100) {
        0..12 => pair(dice, host, org),
        12..15 => UserAction::Unpair(host, org),
        15..23 => UserAction::Bind(host, org),
        23..25 => UserAction::Unbind(host, org),
        25..31 => UserAction::HangUp(host),
        31..34 => UserAction::Reconnect(host),
        34..36 => UserAction::Cancel(host),
        36..38 if options.ends => UserAction::Revoke(host, org),
        38..39 if options.ends => UserAction::DeleteOrg(org),
        39..40 if options.ends => UserAction::RemoveMember(host, org),
        40..42 => UserAction::SetPolicy(org, *dice.pick(&[PolicyMode::Standard, PolicyMode::CryptoPairing])),
        42..44 => UserAction::ChangeRelayKey(dice.index(options.relays)),
        44..46 if options.viewers > 0 => UserAction::RestartViewer(dice.index(options.viewers)),
        _ => run(options, dice, host, org),
    }
}

fn run(options: &Options, dice: &mut Dice, host: usize, org: usize) -> UserAction {
    let size = usize::try_from(dice.between(1, options.record_max)).unwrap_or(1);
    let every = dice.time(Duration::from_millis(10), Duration::from_secs(20));
    UserAction::Run { host, org, records: dice.between(1, options.records_max), size, every }
}

fn pair(dice: &mut Dice, host: usize, org: usize) -> UserAction {
    use Decision::{Approve, ApproveOther, ApproveTwice, Deny, Ignore, StrangerFirst};
    let mode = *dice.pick(&[PairingMode::New, PairingMode::Add, PairingMode::Add, PairingMode::Add, PairingMode::Replace]);
    let of = [Approve, Approve, Approve, Approve, ApproveTwice, StrangerFirst, ApproveOther, Deny, Ignore];
    let after = dice.time(Duration::from_secs(1), Duration::from_mins(2));
    UserAction::Pair { host, org, mode, decision: *dice.pick(&of), after }
}

fn trouble(options: &Options, dice: &mut Dice) -> Trouble {
    let fault = *dice.pick(&options.faults);
    let place = match dice.below(4) {
        0 => Place::Everything,
        1 => Place::Platform,
        _ => Place::Relay(dice.index(options.relays)),
    };
    let most = if dice.percent(15) { Duration::from_mins(40) } else { Duration::from_mins(3) };
    Trouble {
        fault,
        host: dice.index(options.hosts),
        place,
        lasts: dice.time(Duration::from_secs(1), most),
        strength: dice.between(1, 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_read_as_it_was_written() {
        for line in ["seed=7", "seed=7 devices=2 minutes=90 without=0,3-5,9"] {
            assert_eq!(line.parse::<Recipe>().unwrap().to_string(), line);
        }
        assert!("devices=2".parse::<Recipe>().is_err() && "seed=x".parse::<Recipe>().is_err());
    }
}
