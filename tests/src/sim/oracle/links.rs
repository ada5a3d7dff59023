//! LINK-1, LINK-5, ROT-5: how often a link is dialled, and how soon a dead one is noticed.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use proto_core::{
    BindingId, Instant, Reason,
    device::{
        daemon::{Event, Request},
        link::{LinkState, STABLE_AFTER},
    },
    noise::Noise,
    wire::liveness::MAX_SILENCE,
};

use super::{Oracle, Seen, Verdicts};
use crate::sim::Sim;

/// The time over which attempts are counted.
const WINDOW: Duration = Duration::from_mins(10);
/// Attempts within it, unless more were asked for: the first, five quick ones, and slow ones ten seconds apart (LINK-1).
const MAX_ATTEMPTS: usize = 6 + 60;
/// What a message and a late step may add before a silence counts.
const SLACK: Duration = Duration::from_secs(2);

/// The oracle.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: BTreeMap<(usize, BindingId), Line>,
    /// No faults in this world, and nothing ends: no link goes down either.
    is_calm: bool,
}

#[derive(Debug, Default)]
struct Line {
    attempts: VecDeque<Instant>,
    up_since: Option<Instant>,
    heard: Option<Instant>,
}

impl Links {
    fn line(&mut self, host: usize, id: &BindingId) -> &mut Line {
        self.links.entry((host, id.clone())).or_default()
    }

    /// A user or a machine asks for quick attempts.
    fn hurried(&mut self, host: usize) {
        self.links.iter_mut().filter(|((of, _), _)| *of == host).for_each(|(_, line)| line.attempts.clear());
    }

    fn logged(&mut self, at: Instant, host: usize, event: &Event, verdicts: &mut Verdicts) {
        match event {
            Event::Connected(id) => self.line(host, id).up_since = Some(at),
            Event::Disconnected(id, reason, _) => {
                let is_calm = self.is_calm;
                let line = self.line(host, id);
                let up_for = line.up_since.take().map(|since| at.since(since));
                line.heard = None;
                if up_for.is_some_and(|time| time >= STABLE_AFTER) {
                    line.attempts.clear();
                }
                let may_go_down = matches!(
                    reason,
                    // A user pairs again, a relay gets its announced key, an org wants pre-shared keys from now on.
                    Reason::RelayClosed | Reason::Superseded | Reason::RelayUnreachable | Reason::NoisePskInvalid
                );
                verdicts.demand(!is_calm || up_for.is_none() || may_go_down, at, "ROT-5", || {
                    format!("laptop-{host} lost its link in a calm world: {}", reason.summary())
                });
            }
            Event::Paired(org) => self.links.retain(|(of, id), _| *of != host || id.org != org.id),
            Event::Renewed(id) => self.line(host, id).attempts.clear(),
            Event::Cut(id, _) | Event::Gone(id) => drop(self.links.remove(&(host, id.clone()))),
            _ => {}
        }
    }
}

impl<N: Noise + 'static> Oracle<N> for Links {
    fn see(&mut self, at: Instant, seen: &Seen<'_>, verdicts: &mut Verdicts) {
        match seen {
            Seen::Dials { host, binding } => {
                let line = self.line(*host, binding);
                line.attempts.push_back(at);
                while line.attempts.front().is_some_and(|first| at.since(*first) >= WINDOW) {
                    line.attempts.pop_front();
                }
                let count = line.attempts.len();
                verdicts.demand(count <= MAX_ATTEMPTS, at, "LINK-1", || {
                    format!("laptop-{host} dialled the relay of {} {count} times within ten minutes", binding.org)
                });
            }
            Seen::Heard { host, binding, clock } => self.line(*host, binding).heard = Some(*clock),
            Seen::Logged { host, event } => self.logged(at, *host, event, verdicts),
            Seen::Hurried { host } | Seen::Commanded { host, request: Request::Reconnect } => self.hurried(*host),
            Seen::Died { host } => self.links.retain(|(of, _), _| of != host),
            Seen::Revoked { .. } | Seen::Deleted { .. } | Seen::Upgraded { .. } => self.is_calm = false,
            _ => {}
        }
    }

    fn every(&self) -> u64 {
        128
    }

    fn inspect(&mut self, sim: &Sim<N>, verdicts: &mut Verdicts) {
        self.is_calm = sim.options.faults.is_empty() && !sim.options.ends && sim.broken_relay().is_none();
        for ((host, id), line) in &self.links {
            let machine = &sim.hosts[*host];
            let Some(daemon) = machine.laptop.daemon.as_ref().filter(|_| machine.stopped.is_none()) else { continue };
            let (Some(heard), Some(_)) = (line.heard, line.up_since) else { continue };
            let silent = machine.clock.monotonic(sim.now).since(heard);
            if silent < MAX_SILENCE + SLACK + machine.late {
                continue;
            }
            let row = daemon.report().bindings.into_iter().find(|row| row.org.id == id.org);
            let is_up = row.is_some_and(|row| row.link == LinkState::Connected && !row.draining);
            verdicts.demand(!is_up, sim.now, "LINK-5", || {
                format!("laptop-{host} calls a link connected on which it received nothing for {silent:?}")
            });
        }
    }
}
