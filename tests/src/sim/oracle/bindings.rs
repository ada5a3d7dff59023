//! BIND-1 to BIND-3, BIND-5 to BIND-8: the lives of bindings, as `config.json` tells them.

use std::collections::{BTreeMap, BTreeSet};

use proto_core::{
    BindingId, Instant, OrgId, PlatformId, SessionId,
    device::{
        control::Attached,
        daemon::{Answer, Event, Request},
        files::{BindingState, Config, Document, SessionFile},
    },
    effect::StateFile,
    noise::Noise,
};

use super::{Oracle, Seen, Verdicts};

/// The oracle.
#[derive(Debug, Default)]
pub(super) struct Lives {
    homes: BTreeMap<usize, Home>,
    revoked: BTreeSet<PlatformId>,
    deleted: BTreeSet<OrgId>,
}

/// What is in a home.
#[derive(Debug, Default)]
struct Home {
    records: BTreeMap<BindingId, Record>,
    identities: BTreeSet<StateFile>,
    pins: BTreeMap<SessionId, BindingId>,
    /// Orgs that a user unpaired since their records came.
    unpaired: BTreeSet<OrgId>,
    /// Bindings of which the daemon said that nothing is left.
    gone: BTreeSet<BindingId>,
    /// Sessions whose commands are there and are not delivered.
    running: BTreeMap<SessionId, BindingId>,
    known: BTreeSet<SessionId>,
    is_damaged: bool,
    /// A newer program wrote a member that must stay.
    has_future_member: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    state: BindingState,
    identity: String,
}

impl Lives {
    fn config(&mut self, at: Instant, host: usize, config: Option<&Config>, verdicts: &mut Verdicts) {
        let Some(config) = config else {
            return verdicts.broken(at, "BIND-8", format!("laptop-{host} wrote a config.json that cannot be read"));
        };
        let home = self.homes.entry(host).or_default();
        let keeps = !home.has_future_member || config.unknown.contains_key("futureSetting");
        verdicts.demand(keeps, at, "BIND-8", || format!("laptop-{host} dropped what a newer program wrote"));
        let records: BTreeMap<_, _> = config
            .bindings
            .iter()
            .map(|record| (record.id(), Record { state: record.state, identity: record.identity.clone() }))
            .collect();
        one_active(at, host, &records, verdicts);
        let is_damaged = home.is_damaged;
        let before = std::mem::replace(&mut home.records, records);
        for (id, old) in before {
            match self.homes[&host].records.get(&id).cloned() {
                Some(new) => {
                    let is_edge = old.identity != new.identity || old.state == new.state || new.state == BindingState::Draining;
                    verdicts.demand(is_edge || is_damaged, at, "BIND-2", || {
                        format!("laptop-{host}: {id} went from {old:?} to {new:?}")
                    });
                }
                None => self.left(at, host, &id, &old, verdicts),
            }
        }
        let Home { records, gone, unpaired, .. } = self.homes.entry(host).or_default();
        gone.retain(|id| !records.contains_key(id));
        unpaired.retain(|org| records.keys().any(|id| id.org == *org));
    }

    /// A record is not there any more: a user or the platform must have asked for that.
    fn left(&mut self, at: Instant, host: usize, id: &BindingId, old: &Record, verdicts: &mut Verdicts) {
        let home = self.homes.entry(host).or_default();
        let is_ended =
            home.unpaired.contains(&id.org) || self.revoked.contains(&id.runtime_target) || self.deleted.contains(&id.org);
        let has_successor = home.records.keys().any(|other| other.org == id.org);
        let has_cause = is_ended || has_successor || old.state == BindingState::Draining || home.is_damaged;
        verdicts.demand(has_cause, at, "BIND-6", || format!("laptop-{host} deleted its binding with {} for no reason", id.org));
        let runs = home.running.values().any(|pin| pin == id);
        verdicts.demand(!runs || is_ended || home.is_damaged, at, "BIND-3", || {
            format!("laptop-{host} let go of its binding with {} while a session runs", id.org)
        });
    }

    fn answered_unpaired(&self, at: Instant, host: usize, org: &OrgId, verdicts: &mut Verdicts) {
        let Some(home) = self.homes.get(&host).filter(|home| !home.is_damaged) else { return };
        let has_record = home.records.keys().any(|id| id.org == *org);
        let has_key = home.identities.iter().any(|file| matches!(file, StateFile::Identity(of, _) if of == org));
        verdicts.demand(!has_record && !has_key, at, "BIND-5", || {
            format!("laptop-{host} is unpaired from {org}, and has its record {has_record}, its key {has_key}")
        });
    }

    fn attached(&mut self, at: Instant, host: usize, session: SessionId, org: &OrgId, verdicts: &mut Verdicts) {
        let home = self.homes.entry(host).or_default();
        let is_new = home.known.insert(session);
        let is_active = home.records.iter().any(|(id, record)| id.org == *org && record.state == BindingState::Active);
        verdicts.demand(!is_new || is_active || home.is_damaged, at, "BIND-3", || {
            format!("laptop-{host}: a new session for {org}, with which it has no active binding")
        });
        // Its pin was durable before it was told where to stream.
        if let Some(pin) = home.pins.get(&session) {
            home.running.insert(session, pin.clone());
        }
    }

    fn spoke(&self, at: Instant, host: usize, id: &BindingId, verdicts: &mut Verdicts) {
        let is_gone = self.homes.get(&host).is_some_and(|home| home.gone.contains(id));
        verdicts.demand(!is_gone, at, "BIND-2", || format!("laptop-{host} speaks to {} for a binding that is gone", id.org));
    }
}

fn one_active(at: Instant, host: usize, records: &BTreeMap<BindingId, Record>, verdicts: &mut Verdicts) {
    let active: Vec<_> =
        records.iter().filter(|(_, record)| record.state == BindingState::Active).map(|(id, _)| &id.org).collect();
    let distinct: BTreeSet<_> = active.iter().collect();
    verdicts
        .demand(distinct.len() == active.len(), at, "BIND-1", || format!("laptop-{host} has two active bindings with one org"));
}

impl<N: Noise + 'static> Oracle<N> for Lives {
    fn see(&mut self, at: Instant, seen: &Seen<'_>, verdicts: &mut Verdicts) {
        match seen {
            Seen::Configured { host, config } => self.config(at, *host, *config, verdicts),
            Seen::Durable { host, file, contents } => {
                let home = self.homes.entry(*host).or_default();
                match (file, contents) {
                    (StateFile::Identity(..), Some(_)) => drop(home.identities.insert((*file).clone())),
                    (StateFile::Identity(..), None) => drop(home.identities.remove(file)),
                    (StateFile::Session(session), Some(bytes)) => {
                        if let Ok(pin) = SessionFile::parse(bytes.expose()) {
                            home.pins.insert(*session, pin.pin());
                        }
                    }
                    (StateFile::Session(session), None) => drop(home.pins.remove(session)),
                    _ => {}
                }
            }
            Seen::Commanded { host, request: Request::Unpair(unpair) } => {
                if let Some(org) = unpair.org.as_deref().and_then(|org| org.parse().ok()) {
                    self.homes.entry(*host).or_default().unpaired.insert(org);
                }
            }
            Seen::Answered { host, answer: Ok(Answer::Unpaired(unpaired)) } => {
                self.answered_unpaired(at, *host, &unpaired.org.id, verdicts);
            }
            Seen::Attached { host, attached: Attached::Streaming { session, org, .. }, .. } => {
                self.attached(at, *host, *session, &org.id, verdicts);
            }
            // A command that is away may be given up.
            Seen::Delivered { host, session } | Seen::Left { host, session } => {
                self.homes.entry(*host).or_default().running.remove(session);
            }
            Seen::Logged { host, event: Event::Gone(id) } => drop(self.homes.entry(*host).or_default().gone.insert(id.clone())),
            Seen::Sent { host, binding, .. } | Seen::Dials { host, binding } => self.spoke(at, *host, binding, verdicts),
            Seen::Revoked { target } => drop(self.revoked.insert((*target).clone())),
            Seen::Deleted { org } => drop(self.deleted.insert((*org).clone())),
            Seen::Upgraded { host } => self.homes.entry(*host).or_default().has_future_member = true,
            Seen::Damaged { host } => {
                let home = self.homes.entry(*host).or_default();
                (home.is_damaged, home.has_future_member) = (true, false);
                home.gone.clear();
            }
            Seen::Died { host } => self.homes.entry(*host).or_default().running.clear(),
            Seen::Wiped { host } => {
                self.homes.insert(*host, Home { is_damaged: true, ..Home::default() });
            }
            _ => {}
        }
    }
}
