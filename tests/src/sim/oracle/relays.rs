//! ADM-4, JWT-3, JWT-5, LINK-2, NOI-4: which devices are in at a relay, with what, and for how long.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use proto_core::{
    Instant, OrgId, PlatformId, SessionId,
    jose::{SKEW, Unverified},
    noise::Noise,
    relay::connection::Device,
};

use super::{Oracle, Seen, Verdicts};
use crate::sim::{Party, Sim, host::unix, net::End, plan::Place};

/// A revocation takes effect within that (JWT-5), or within that after the relay's last request to the platform that failed,
/// was late or was lost.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);
/// What was sent during a network fault arrives so long after it at the latest.
const LATE_AFTER_WEATHER: Duration = Duration::from_secs(10);
/// A decision and a handshake may take so many seconds.
const DECISION: u64 = 20;
/// Fetches of the key set by one relay in any minute: one every ten seconds; more often, with growing waits, only while a
/// process that has just started holds no keys at all.
const MAX_FETCHES: usize = 16;

/// The oracle.
#[derive(Debug, Default)]
pub(super) struct Relays {
    revoked: BTreeMap<PlatformId, Instant>,
    deleted: BTreeMap<OrgId, Instant>,
    /// When each relay could not ask the platform the last time.
    cut_off: BTreeMap<usize, Instant>,
    fetches: BTreeMap<usize, VecDeque<Instant>>,
    /// Whose each session is.
    owners: BTreeMap<SessionId, OrgId>,
}

impl Relays {
    /// What is on its way during a network fault may arrive after the fault is over.
    fn see_weather<N: Noise>(&mut self, sim: &Sim<N>) {
        for weather in &sim.weather {
            for number in 0..sim.stations.len() {
                if weather.until > sim.now && weather.stands_between(Party::RelayProcess(number), Place::Platform) {
                    self.see_cut_off(number, weather.until.after(LATE_AFTER_WEATHER));
                }
            }
        }
    }

    fn see_cut_off(&mut self, station: usize, at: Instant) {
        let latest = self.cut_off.entry(station).or_insert(at);
        *latest = at.max(*latest);
    }

    fn judge_admitted<N: Noise>(&self, sim: &Sim<N>, verdicts: &mut Verdicts) {
        for (number, station) in sim.stations.iter().enumerate().filter(|(_, station)| !station.is_false) {
            let cut_off = self.cut_off.get(&number).copied().unwrap_or(Instant::ZERO);
            let mut targets = BTreeSet::new();
            for device in station.relay.admitted.values() {
                let what = || format!("relay-{number}, {}", device.org);
                verdicts.demand(targets.insert(&device.target), sim.now, "LINK-2", || format!("{}: two links at once", what()));
                let revoked = self.revoked.get(&device.target).or_else(|| self.deleted.get(&device.org));
                // It may have been paired again since.
                let is_out = sim.platform.targets.get(&device.target).is_none_or(|target| target.record.is_revoked)
                    || sim.platform.orgs.get(&device.org).is_none_or(|org| org.deleted);
                let is_late = is_out && revoked.is_some_and(|at| sim.now.since(cut_off.max(*at)) > REVOKED_WITHIN);
                verdicts.demand(!is_late, sim.now, "JWT-5", || format!("{}: revoked long ago, and still connected", what()));
            }
        }
    }
}

/// No device comes in with an expired credential, and no attacker with another device's.
fn judge_entry(at: Instant, device: &Device, is_attacker: bool, verdicts: &mut Verdicts) {
    verdicts.demand(!is_attacker, at, "NOI-4", || format!("a replayed message was let in as {}", device.org));
    let Ok(token) = Unverified::parse(&device.token) else { return };
    let expires_at = token.into_unproven().expires_at.0;
    verdicts.demand(expires_at + SKEW + DECISION >= unix(at).0, at, "JWT-3", || {
        format!("a relay let a device of {} in with an expired credential", device.org)
    });
}

impl<N: Noise + 'static> Oracle<N> for Relays {
    fn see(&mut self, at: Instant, seen: &Seen<'_>, verdicts: &mut Verdicts) {
        match seen {
            Seen::Revoked { target } => drop(self.revoked.insert((*target).clone(), at)),
            Seen::Deleted { org } => drop(self.deleted.entry((*org).clone()).or_insert(at)),
            Seen::Asked { end: End::Keys(station, _), .. } => {
                let fetches = self.fetches.entry(*station).or_default();
                fetches.push_back(at);
                while fetches.front().is_some_and(|first| at.since(*first) >= Duration::from_mins(1)) {
                    fetches.pop_front();
                }
                let count = fetches.len();
                verdicts.demand(count <= MAX_FETCHES, at, "JWT-5", || {
                    format!("relay-{station} fetched the key set {count} times within a minute")
                });
            }
            Seen::Came { end: End::RevocationFeed(station, _) | End::Peer(station, ..), outcome }
                if outcome.as_ref().map_or(true, |answer| answer.status != 200) =>
            {
                self.see_cut_off(*station, at);
            }
            Seen::Entered { device, is_attacker } => judge_entry(at, device, *is_attacker, verdicts),
            Seen::Frame { device: Some(device), frame } => {
                if let proto_core::wire::Head::Open { session, .. } = &frame.head {
                    let owner = self.owners.entry(*session).or_insert_with(|| device.org.clone());
                    verdicts.demand(*owner == device.org, at, "ADM-4", || format!("{} opens a session of {owner}", device.org));
                }
            }
            _ => {}
        }
    }

    fn every(&self) -> u64 {
        64
    }

    fn inspect(&mut self, sim: &Sim<N>, verdicts: &mut Verdicts) {
        self.see_weather(sim);
        self.judge_admitted(sim, verdicts);
        // A year's store is long, and its newest sessions are the ones that were not looked at yet.
        for stored in sim.stations.iter().flat_map(|station| station.relay.store.values().rev().take(8)) {
            let owner = self.owners.get(&stored.session);
            verdicts.demand(owner.is_none_or(|owner| *owner == stored.org), sim.now, "ADM-4", || {
                format!("{} has a session of {owner:?}", stored.org)
            });
        }
    }
}
