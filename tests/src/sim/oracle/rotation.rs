//! ROT-1 to ROT-3, PAIR-8: credentials as they are on disk and at the platform.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use proto_core::{
    BindingId, Instant,
    device::{
        credential::ATTEMPTS_PER_HOUR,
        daemon::{EffectId, Event},
        files::{BindingRecord, Config},
        uplink,
    },
    effect::StateFile,
    jose::{Claims, Unverified},
    noise::Noise,
};

use super::{Oracle, Seen, Verdicts};
use crate::sim::{Sim, net::End};

/// Renewals in any minute in which the clock was not set.
const A_MINUTE: usize = 4;

/// The oracle.
#[derive(Debug, Default)]
pub(super) struct Rotations {
    homes: BTreeMap<usize, Home>,
    /// Attempts that brought nothing yet, by the machine's clock.
    attempts: BTreeMap<(usize, BindingId), VecDeque<Instant>>,
    /// The renewals of the last minute.
    renewals: BTreeMap<(usize, BindingId), VecDeque<Instant>>,
}

#[derive(Debug, Default)]
struct Home {
    records: BTreeMap<BindingId, Known>,
    identities: BTreeSet<StateFile>,
    is_damaged: bool,
}

/// A record, and what its credential says.
#[derive(Debug)]
struct Known {
    record: BindingRecord,
    claims: Option<Claims>,
}

impl Known {
    /// A credential that was there before is not read again.
    fn of(record: &BindingRecord, before: Option<Self>) -> Self {
        let token = record.issue_token.expose();
        let claims = match before {
            Some(before) if before.record.issue_token.expose() == token => before.claims,
            _ => Unverified::parse(&record.issue_token).map(Unverified::into_unproven).ok(),
        };
        Self { record: record.clone(), claims }
    }
}

impl Rotations {
    fn config(&mut self, at: Instant, host: usize, config: &Config, verdicts: &mut Verdicts) {
        let home = self.homes.entry(host).or_default();
        let mut before = std::mem::take(&mut home.records);
        for record in &config.bindings {
            let id = record.id();
            let old = before.remove(&id);
            let was = old.as_ref().filter(|old| old.record.identity == record.identity).map(|old| old.record.generation);
            let known = Known::of(record, old);
            let claims = known.claims.as_ref();
            let has_key = record.identity_file().is_some_and(|file| home.identities.contains(&file));
            let is_own = claims.is_some_and(|claims| claims.org == id.org && claims.runtime_target == id.runtime_target);
            verdicts.demand((is_own && has_key) || home.is_damaged, at, "ROT-1", || {
                format!("laptop-{host}: {} without a credential of its own ({is_own}) or without its key ({has_key})", id.org)
            });
            let is_named = claims.is_some_and(|claims| claims.generation == record.generation);
            verdicts.demand(is_named || home.is_damaged, at, "ROT-2", || {
                format!("laptop-{host}: {} is of another generation than its credential", id.org)
            });
            if let Some(was) = was {
                let is = record.generation;
                verdicts.demand(is >= was || home.is_damaged, at, "ROT-2", || {
                    format!("laptop-{host}: the generation for {} went from {was} to {is}", id.org)
                });
            }
            home.records.insert(id, known);
        }
    }

    fn renewed(&mut self, at: Instant, host: usize, id: &BindingId, verdicts: &mut Verdicts) {
        self.attempts.remove(&(host, id.clone()));
        let renewals = self.renewals.entry((host, id.clone())).or_default();
        renewals.push_back(at);
        while renewals.front().is_some_and(|first| at.since(*first) >= Duration::from_mins(1)) {
            renewals.pop_front();
        }
        let count = renewals.len();
        verdicts.demand(count <= A_MINUTE, at, "ROT-3", || {
            format!("laptop-{host} renewed its credential for {} {count} times within a minute", id.org)
        });
    }

    fn asked(&mut self, at: Instant, host: usize, id: &BindingId, clock: Instant, verdicts: &mut Verdicts) {
        let attempts = self.attempts.entry((host, id.clone())).or_default();
        attempts.push_back(clock);
        while attempts.front().is_some_and(|first| clock.since(*first) >= Duration::from_hours(1)) {
            attempts.pop_front();
        }
        let count = attempts.len();
        verdicts.demand(count <= ATTEMPTS_PER_HOUR, at, "ROT-3", || {
            format!("laptop-{host} asked {count} times within an hour for a credential for {}", id.org)
        });
    }
}

impl<N: Noise + 'static> Oracle<N> for Rotations {
    fn see(&mut self, at: Instant, seen: &Seen<'_>, verdicts: &mut Verdicts) {
        match seen {
            Seen::Configured { host, config: Some(config) } => self.config(at, *host, config, verdicts),
            Seen::Durable { host, file: file @ StateFile::Identity(..), contents } => {
                let identities = &mut self.homes.entry(*host).or_default().identities;
                if contents.is_some() {
                    identities.insert((*file).clone())
                } else {
                    identities.remove(file)
                };
            }
            Seen::Asked { end: End::Host(host, _, EffectId::Bridge(id, _, uplink::EffectId::Rotation(_))), clock, .. } => {
                self.asked(at, *host, id, *clock, verdicts);
            }
            Seen::Logged { host, event: Event::Renewed(id) } => self.renewed(at, *host, id, verdicts),
            Seen::Logged { host, event: Event::Paired(org) } => {
                self.attempts.retain(|(of, id), _| of != host || id.org != org.id);
            }
            Seen::Dials { host, binding } => {
                let home = self.homes.entry(*host).or_default();
                let is_durable = home.records.contains_key(binding) || home.is_damaged;
                verdicts.demand(is_durable, at, "PAIR-8", || {
                    format!("laptop-{host} connects to {} with what is not durable", binding.org)
                });
            }
            Seen::Died { host } => {
                self.attempts.retain(|(of, _), _| of != host);
                self.renewals.retain(|(of, _), _| of != host);
            }
            Seen::Hurried { host } => self.renewals.retain(|(of, _), _| of != host),
            Seen::Damaged { host } => self.homes.entry(*host).or_default().is_damaged = true,
            Seen::Wiped { host } => drop(self.homes.insert(*host, Home { is_damaged: true, ..Home::default() })),
            _ => {}
        }
    }

    fn every(&self) -> u64 {
        512
    }

    fn inspect(&mut self, sim: &Sim<N>, verdicts: &mut Verdicts) {
        for (host, home) in self.homes.iter().filter(|(_, home)| !home.is_damaged) {
            for (id, known) in &home.records {
                let Some(target) = sim.platform.targets.get(&id.runtime_target) else { continue };
                let is_its = known.claims.as_ref().is_some_and(|claims| claims.confirmation == target.record.holder.confirmation);
                let apart = known.record.generation.abs_diff(target.record.latest);
                verdicts.demand(!is_its || apart <= 1, sim.now, "ROT-2", || {
                    format!("laptop-{host} and the platform are {apart} generations apart for {}", id.org)
                });
            }
        }
    }
}
