//! The simulation: machines with daemons, relays, the platform, viewers and an attacker, all of them the real machines, on one
//! virtual clock and from one seed.
//!
//! ```text
//!   people ── deeds ──►┌──────┐ HTTP  ┌──────────┐ HTTP ┌─────────┐ HTTP ┌──────┐
//!                      │ Host │ ────► │ Platform │ ◄─── │ Station │      │Viewer│
//!   disk, clocks ◄────►│  × n │       └──────────┘      │   × m   │      │  × v │
//!                      └──────┘ ◄──── wires, weather ──►└─────────┘ ◄───►└──────┘
//!                                            ▲ attacker: records, replays, stands in the way
//! ```
//!
//! A seed draws [`Options`] and a [`plan`](plan::draw): a list of deeds and faults. In the first phase the plan happens, in the
//! second everything is healed and progress is demanded within stated bounds. [`oracle`]s watch everything from outside, after
//! every step. The same [`Recipe`] gives the same run, to the byte; a run that fails is [shrunk](shrink::shrink) to few incidents
//! and printed as one line that [`Recipe`] reads again.
//!
//! Faults stand where they are real: below TLS a changed bit is a broken connection; below a WebSocket a lost packet is a stall;
//! what a box on the way can do to messages of a plain WebSocket, it does.

#![allow(clippy::missing_panics_doc, reason = "a world that does not hold up is a failed test")]

mod attacker;
pub mod dice;
pub mod disk;
pub mod fault;
mod heal;
pub mod host;
mod http;
mod net;
pub mod options;
pub mod oracle;
mod people;
mod perform;
pub mod plan;
mod queue;
pub mod run;
mod sessions;
pub mod shrink;
pub mod station;
mod step;
pub mod story;
mod trace;
mod trouble;
pub mod viewer;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use self::{
    dice::Dice,
    host::Host,
    http::Exchange,
    net::{End, NetworkFault, Wire},
    oracle::Oracles,
    plan::Incident,
    queue::Queue,
    station::RelayProcess,
    step::Event,
    story::Story,
    trace::Trace,
    viewer::Viewer,
};
pub use self::{
    fault::{Fault, Tally},
    options::Options,
    plan::Recipe,
    run::{Report, run},
};
use crate::world::{Org, Platform};
use proto_core::{
    Instant, OrgId, PlatformId,
    api::{RelayEndpoint, Workspace},
    jose::Thumbprint,
    noise::Noise,
    relay::hub::ConnectionId,
};

/// The beginning.
pub const START: Instant = Instant::from_nanos(1_000_000_000);

/// A party with a timer and a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A machine with a daemon.
    Host(usize),
    /// A viewer.
    Viewer(usize),
    /// A relay.
    RelayProcess(usize),
}

/// The simulation. See the [module page](self).
#[derive(Debug)]
pub struct Sim<N> {
    /// What the seed drew.
    pub options: Options,
    /// The right time, from [`START`] on.
    pub now: Instant,
    /// Machines with daemons; copies of homes come after the others.
    pub hosts: Vec<Host<N>>,
    /// The relays, and the attacker's in the last place.
    pub stations: Vec<RelayProcess<N>>,
    /// The viewers.
    pub viewers: Vec<Viewer<N>>,
    /// The control plane.
    pub platform: Platform,
    /// The org of each number.
    pub orgs: Vec<OrgId>,
    /// Who owns a runtime target: the account of the machine's person.
    pub owners: BTreeMap<PlatformId, PlatformId>,
    /// How often each fault hit something.
    pub tally: Tally,
    /// Events so far.
    pub steps: u64,
    /// What was done, what broke, what was seen.
    pub story: Story,
    plan: Vec<Incident>,
    left_out: BTreeSet<usize>,
    queue: Queue<Event>,
    wires: BTreeMap<ConnectionId, Wire>,
    by_end: BTreeMap<End, ConnectionId>,
    exchanges: BTreeMap<u64, Exchange>,
    weather: Vec<NetworkFault>,
    /// Requests of relays for revocations that the platform has not answered, because there are none.
    held_back: Vec<u64>,
    /// The next validation is followed by a revocation at once.
    races: bool,
    /// The second phase: nothing goes wrong any more.
    is_healed: bool,
    numbers: u64,
    dice: Dice,
    trace: Trace,
    oracles: Oracles<N>,
}

impl<N: Noise + 'static> Sim<N> {
    /// The world of a recipe, before anything happened.
    pub fn new(recipe: &Recipe) -> Self {
        let options = Options::draw(recipe);
        let plan = plan::draw(&options);
        let dice = Dice::of(recipe.seed, "world", 0);
        let mut sim = Self {
            now: START,
            hosts: Vec::new(),
            stations: Vec::new(),
            viewers: Vec::new(),
            platform: Platform::default(),
            orgs: Vec::new(),
            owners: BTreeMap::new(),
            tally: Tally::default(),
            steps: 0,
            story: Story::default(),
            plan,
            left_out: recipe.without.clone(),
            queue: Queue::new(),
            wires: BTreeMap::new(),
            by_end: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            weather: Vec::new(),
            held_back: Vec::new(),
            races: false,
            is_healed: false,
            numbers: 0,
            dice,
            trace: Trace::new(),
            oracles: Oracles::new(),
            options,
        };
        sim.platform.lifetime = sim.options.lifetime;
        sim.platform.renewable = sim.options.renewable;
        sim.platform.keeps_targets = sim.options.keeps_targets;
        sim.people_the_world(recipe.seed);
        sim
    }

    fn people_the_world(&mut self, seed: u64) {
        for number in 0..=self.options.relays {
            let is_false = number == self.options.relays;
            let dice = Dice::of(seed, "relay", number as u64);
            self.stations.push(RelayProcess::new(number, is_false, self.now, dice));
        }
        for number in 0..self.options.orgs {
            let id = self.found(number);
            self.orgs.push(id);
        }
        for number in 0..self.options.hosts {
            self.hosts.push(Host::new(number, Dice::of(seed, "host", number as u64)));
            self.boot(number);
        }
        for number in 0..self.options.viewers {
            self.add_viewer(number);
        }
        for station in 0..self.stations.len() {
            self.after_station(station, Vec::new());
        }
        for (number, incident) in self.plan.iter().enumerate() {
            if !self.left_out.contains(&number) {
                self.queue.put(START.after(incident.at), Event::Incident(number));
            }
        }
    }

    /// A user founds the org of that number, or one in its place.
    fn found(&mut self, number: usize) -> OrgId {
        const NAMES: [&str; 6] = ["acme", "oss", "zeta", "kiwi", "lima", "nova"];
        let name = NAMES[number % NAMES.len()];
        let is_earlier = |org: &&Org| org.workspace.slug.split('-').next() == Some(name);
        let generation = self.platform.orgs.values().filter(is_earlier).count();
        let slug = if generation == 0 { name.into() } else { format!("{name}-{generation}") };
        let mut dice = Dice::of(self.options.seed, &slug, 0);
        let id: OrgId = format!("ORG-{slug}-{:016X}", dice.next()).parse().unwrap();
        let station = &self.stations[self.options.relay_of(number)];
        let relay = RelayEndpoint { url: station.url.clone(), static_keys: vec![station.relay.key()] };
        let workspace = Workspace { id: id.clone(), slug: slug.clone(), name: format!("{slug} Inc.") };
        let members = (0..self.options.hosts).map(account).collect();
        let policy = self.options.policies[number];
        self.platform.orgs.insert(id.clone(), Org { workspace, relay, policy, deleted: false, members });
        id
    }

    /// The number of an org, while it is not deleted.
    pub fn number_of(&self, org: &OrgId) -> Option<usize> {
        self.orgs.iter().position(|known| known == org)
    }

    /// Its slug, for stories.
    pub fn slug(&self, org: &OrgId) -> String {
        self.platform.orgs.get(org).map_or_else(|| "?".into(), |org| org.workspace.slug.clone())
    }

    /// A digest of everything that happened so far.
    pub const fn trace(&self) -> u64 {
        self.trace.digest()
    }

    /// The relay that has this key at the moment.
    pub fn station_at(&self, url: &str) -> Option<usize> {
        self.stations.iter().position(|station| station.url == url)
    }

    /// The time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now.since(START)
    }

    const fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

/// The account of a machine's person.
pub(crate) fn account(host: usize) -> PlatformId {
    match format!("account-{host}").parse() {
        Ok(id) => id,
        Err(_) => unreachable!("letters and a number"),
    }
}

/// The thumbprint of a machine's identity key, as the platform knows it.
pub(crate) fn confirmation(seed: &proto_core::secret::Secret) -> proto_core::jose::Confirmation {
    let identity = proto_core::crypto::Identity::from_seed(seed.clone());
    proto_core::jose::Confirmation {
        static_key: identity.static_key(),
        identity: Thumbprint::of_identity_key(identity.identity_key()),
    }
}
