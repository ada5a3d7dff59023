//! ADM-4, JWT-3, JWT-5, LINK-2, NOI-4: who is in at a relay, with what, and for how long.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use proto_core::{
    GivenId, Instant, OrgId, SessionId,
    crypto::noise::Noise,
    hub::ConnectionId,
    jose::{SKEW, Unverified},
};

use super::{Oracle, Seen, Verdicts};
use crate::sim::{Sim, host::unix, net::End};

/// A revocation takes effect within that (JWT-5).
const REVOKED_WITHIN: Duration = Duration::from_secs(5);
/// A decision and a handshake may take so many seconds.
const DECISION: u64 = 20;
/// Fetches of the key set by one relay in any minute: one every ten seconds, and those after a start.
const FETCHES_MAX: usize = 10;

/// The oracle.
#[derive(Debug, Default)]
pub(super) struct Relays {
    revoked: BTreeMap<GivenId, Instant>,
    deleted: BTreeMap<OrgId, Instant>,
    fetches: BTreeMap<usize, VecDeque<Instant>>,
    /// Connections whose credential was judged, by its end.
    judged: BTreeSet<(ConnectionId, u64)>,
    /// Whose each session is.
    owners: BTreeMap<SessionId, OrgId>,
}

impl Relays {
    fn judge_admitted<N: Noise>(&mut self, sim: &Sim<N>, verdicts: &mut Verdicts) {
        for (number, station) in sim.stations.iter().enumerate().filter(|(_, station)| !station.is_false) {
            let mut targets = BTreeSet::new();
            for (id, device) in &station.relay.admitted {
                let what = || format!("relay-{number}, {}", device.org);
                let is_attacker = sim.court.attackers.contains(id);
                verdicts.demand(!is_attacker, sim.now, "NOI-4", || format!("{}: a replayed message was let in", what()));
                verdicts.demand(targets.insert(&device.target), sim.now, "LINK-2", || format!("{}: two links at once", what()));
                let revoked = self.revoked.get(&device.target).or_else(|| self.deleted.get(&device.org));
                let is_late = revoked.is_some_and(|at| sim.now.since(*at) > REVOKED_WITHIN);
                verdicts.demand(!is_late, sim.now, "JWT-5", || format!("{}: revoked long ago, and still connected", what()));
                self.judge_credential(sim, *id, &device.token, verdicts);
            }
        }
    }

    /// At the first look after it was let in with this credential, it was not over.
    fn judge_credential<N: Noise>(
        &mut self,
        sim: &Sim<N>,
        id: ConnectionId,
        token: &proto_core::secret::SecretText,
        verdicts: &mut Verdicts,
    ) {
        let Ok(token) = Unverified::parse(token) else { return };
        let claims = token.into_unproven();
        if self.judged.insert((id, claims.expires_at.0)) {
            let is_over = claims.expires_at.0 + SKEW + DECISION < unix(sim.now).0;
            verdicts.demand(!is_over, sim.now, "JWT-3", || format!("a relay let somebody of {} in too late", claims.org));
        }
    }
}

impl<N: Noise + 'static> Oracle<N> for Relays {
    fn see(&mut self, at: Instant, seen: &Seen<'_>, verdicts: &mut Verdicts) {
        match seen {
            Seen::Revoked { target } => drop(self.revoked.entry((*target).clone()).or_insert(at)),
            Seen::Deleted { org } => drop(self.deleted.entry((*org).clone()).or_insert(at)),
            Seen::Asked { end: End::Keys(station, _), .. } => {
                let fetches = self.fetches.entry(*station).or_default();
                fetches.push_back(at);
                while fetches.front().is_some_and(|first| at.since(*first) >= Duration::from_mins(1)) {
                    fetches.pop_front();
                }
                let count = fetches.len();
                verdicts.demand(count <= FETCHES_MAX, at, "JWT-5", || {
                    format!("relay-{station} fetched the key set {count} times within a minute")
                });
            }
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
        self.judge_admitted(sim, verdicts);
        for stored in sim.stations.iter().flat_map(|station| station.relay.store.values()) {
            let owner = self.owners.get(&stored.session);
            verdicts.demand(owner.is_none_or(|owner| *owner == stored.org), sim.now, "ADM-4", || {
                format!("{} has a session of {owner:?}", stored.org)
            });
        }
    }
}
