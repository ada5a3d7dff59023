//! The second phase: everything is healed, and progress is demanded.

use std::{collections::BTreeSet, time::Duration};

use proto_core::{
    BindingId, Instant, Machine, Reason, Status,
    api::{PairingMode, PolicyMode},
    device::{
        control::PairEvent,
        daemon::Request,
        files::{BindingRecord, BindingState},
        link::LinkState,
    },
    jose::Unverified,
    noise::Noise,
};

use super::{
    Sim, account,
    host::unix,
    oracle::Seen,
    plan::{Decision, UserAction},
};
use crate::world::Tampering;

/// A link that only has to be dialled is up again within this: much longer than the longest slow wait, a dial and a handshake take
/// (LINK-4).
pub(super) const LINK_BOUND: Duration = Duration::from_secs(5 * 60 + 45);
/// One that needs a renewal first waits for the hour's attempts (ROT-3).
pub(super) const RENEWAL_BOUND: Duration = Duration::from_mins(66);
/// An approval is a binding after a poll interval and two requests (PAIR-11).
pub(super) const PAIRING_BOUND: Duration = Duration::from_secs(2 + 2 * 30);

/// How often the second phase looks whether everything is as it should be.
const GLANCE: Duration = Duration::from_secs(5);

impl<N: Noise + 'static> Sim<N> {
    /// Nothing is wrong any more, except for one org's relay, if the seed says so.
    pub(super) fn heal(&mut self) {
        self.story.phase(self.now, "everything is healed");
        self.is_healed = true;
        self.weather.clear();
        self.races = false;
        self.platform.is_up = true;
        self.hang_up_attackers();
        for station in 0..self.options.relays {
            self.stations[station].clock.wall = 0;
            self.stations[station].relay.commits = true;
            self.stations[station].relay.is_up = self.broken_relay() != Some(station);
            self.commits_soon(station);
            if self.stations[station].relay.tampering != Tampering::None {
                self.stop_lying(station);
            }
        }
        if let Some(station) = self.broken_relay() {
            self.restart_station(station);
        }
        for host in 0..self.hosts.len() {
            self.heal_host(host);
        }
        self.viewers.iter_mut().for_each(|viewer| viewer.clock.wall = 0);
        for host in 0..self.options.hosts {
            self.finish_commands(host);
            self.ask(host, Request::CancelPairing);
        }
        // A pairing that was cancelled takes a moment to forget its file.
        self.run_until(self.now.after(Duration::from_secs(1)));
        for host in 0..self.options.hosts {
            self.pair_once_more(host);
        }
    }

    /// The relay that stays broken: it must not be another org's, too.
    pub(super) fn broken_relay(&self) -> Option<usize> {
        let org = self.options.stays_broken?;
        let relay = self.options.relay_of(org);
        let is_shared = (0..self.options.orgs).any(|other| other != org && self.options.relay_of(other) == relay);
        (!is_shared).then_some(relay)
    }

    fn heal_host(&mut self, host: usize) {
        self.end_copy(host);
        self.hosts[host].disk.heal();
        self.hosts[host].clock.wall = 0;
        self.hosts[host].late = Duration::ZERO;
        if self.hosts[host].copy_of.is_some() {
            return;
        }
        if self.hosts[host].laptop.daemon.is_none() {
            self.boot(host);
        }
        if self.hosts[host].refuses == Some(Reason::ConfigNewer) {
            self.back_to_newer(host);
        }
        if self.hosts[host].refuses.is_some() {
            self.start_over(host);
        }
    }

    /// The person gives up on what the disk holds: `rm -r ~/.viewport`.
    fn start_over(&mut self, host: usize) {
        self.story.host(self.now, host, "starts over with an empty home");
        self.hosts[host].laptop.disk.clear();
        self.hosts[host].damaged = true;
        self.oracles.see(self.now, &Seen::Wiped { host });
        self.boot(host);
    }

    fn finish_commands(&mut self, host: usize) {
        for script in &mut self.hosts[host].scripts {
            script.left.truncate(1);
            script.every = script.every.min(Duration::from_secs(1));
        }
        let waiting: Vec<_> = self.hosts[host].scripts.iter().map(|script| script.run).collect();
        for run in waiting {
            self.queue.put(self.now.after(Duration::from_secs(1)), super::step::Event::Show(host, run));
        }
    }

    fn pair_once_more(&mut self, host: usize) {
        let org = self.options.orgs_of(host).next().unwrap_or(0);
        self.platform.orgs.get_mut(&self.orgs[org]).expect("the org exists").members.insert(account(host));
        self.hosts[host].laptop.pairing.clear();
        let (decision, after) = (Decision::Approve, Duration::from_secs(1));
        self.deed(&UserAction::Pair { host, org, mode: PairingMode::Add, decision, after });
    }

    /// Lets the second phase run until all is well. False when something did not hold.
    pub(super) fn recover(&mut self) -> bool {
        let healed_at = self.now;
        let must_renew = self.must_renew_first();
        loop {
            if !self.run_until(self.now.after(GLANCE)) {
                return false;
            }
            let passed = self.now.since(healed_at);
            let open = self.open_ends(&must_renew);
            if open.is_empty() && passed > Duration::from_secs(10) {
                return true;
            }
            let late: Vec<_> = open.into_iter().filter(|end| passed > end.bound + GLANCE).collect();
            for OpenEnd { invariant, what, .. } in &late {
                self.oracles.verdicts.broken(self.now, invariant, what.clone());
            }
            if !late.is_empty() {
                return false;
            }
        }
    }

    /// Links that cannot be up before a renewal: the credential is old, or the relay has other keys by now.
    fn must_renew_first(&self) -> BTreeSet<BindingId> {
        let mut ids = BTreeSet::new();
        for host in &self.hosts {
            let Some(config) = host.laptop.readable_config() else { continue };
            for record in config.bindings {
                let is_fresh = expiry(&record).is_some_and(|at| at > unix(self.now).0 + 600);
                let station = self.station_at(&record.relay.url);
                let changes = station.is_some_and(|s| self.stations[s].next_keys.is_some());
                let pins = station.is_some_and(|s| record.relay.static_keys.contains(&self.stations[s].relay.key()));
                if !is_fresh || !pins || changes {
                    ids.insert(record.id());
                }
            }
        }
        ids
    }

    /// What is not yet as it should be, and until when that is allowed.
    fn open_ends(&self, must_renew: &BTreeSet<BindingId>) -> Vec<OpenEnd> {
        let mut open = Vec::new();
        for number in 0..self.options.hosts {
            self.open_links(number, must_renew, &mut open);
            self.open_pairing(number, &mut open);
            self.open_sessions(number, must_renew, &mut open);
        }
        self.open_viewers(&mut open);
        open
    }

    /// When the last machine that is stopped goes on.
    pub(super) fn all_go_on(&self) -> Option<Instant> {
        let hosts = self.hosts.iter().map(|host| host.stopped);
        hosts.chain(self.viewers.iter().map(|viewer| viewer.stopped)).flatten().map(|stopped| stopped.until).max()
    }

    /// A viewer comes back as a daemon does, and may have to renew its credential first.
    fn open_viewers(&self, open: &mut Vec<OpenEnd>) {
        for (number, viewer) in self.viewers.iter().enumerate() {
            // A program that has ended, as when no user approved another pairing in time, waits to be started again.
            let Status::Running { waiting_for } = viewer.tablet.watcher.status() else { continue };
            let mut bindings = viewer.tablet.watcher.bindings().iter();
            if waiting_for != "frames" && bindings.any(|(_, binding)| self.expected(binding.record()) == Expected::Connected) {
                let what = format!("viewer-{number} is not connected: {:?}", viewer.tablet.downs.last());
                open.push(OpenEnd { invariant: "LINK-4", bound: RENEWAL_BOUND + LINK_BOUND, what });
            }
        }
    }

    fn open_links(&self, number: usize, must_renew: &BTreeSet<BindingId>, open: &mut Vec<OpenEnd>) {
        let host = &self.hosts[number];
        if host.damaged || host.laptop.daemon.is_none() {
            return;
        }
        let report = host.laptop.daemon().report();
        for record in host.laptop.config().bindings {
            let bound = if must_renew.contains(&record.id()) { RENEWAL_BOUND + LINK_BOUND } else { LINK_BOUND };
            let slug = record.slug.clone();
            let what = |what: &str| format!("laptop-{number}, {slug}: {what}");
            match self.expected(&record) {
                Expected::Nothing => {}
                Expected::Gone => open.push(OpenEnd { invariant: "BIND-6", bound, what: what("revoked, and still bound") }),
                Expected::Connected => {
                    let drains = record.state == BindingState::Draining;
                    let mut rows = report.bindings.iter();
                    let row = rows.find(|row| row.org.id == record.workspace_id && row.draining == drains);
                    let is_up = row.is_some_and(|row| row.link == LinkState::Connected);
                    if !is_up {
                        let why = row.map(|row| (row.link, row.reason));
                        open.push(OpenEnd { invariant: "LINK-4", bound, what: what(&format!("not connected: {why:?}")) });
                    } else if expiry(&record).is_some_and(|at| at + 60 < unix(self.now).0) {
                        let bound = RENEWAL_BOUND + LINK_BOUND;
                        open.push(OpenEnd { invariant: "ROT-3", bound, what: what("its credential is past its expiry") });
                    }
                }
            }
        }
    }

    fn open_pairing(&self, number: usize, open: &mut Vec<OpenEnd>) {
        let is_paired = matches!(self.hosts[number].laptop.pairing.last(), Some(PairEvent::Paired { .. }));
        if !is_paired {
            let what = format!("laptop-{number} was approved and is not paired: {:?}", self.hosts[number].laptop.pairing.last());
            open.push(OpenEnd { invariant: "PAIR-11", bound: PAIRING_BOUND + Duration::from_secs(3), what });
        }
    }

    fn open_sessions(&self, number: usize, must_renew: &BTreeSet<BindingId>, open: &mut Vec<OpenEnd>) {
        let host = &self.hosts[number];
        if host.damaged || host.laptop.daemon.is_none() {
            return;
        }
        let config = host.laptop.config();
        for pin in host.laptop.pins() {
            if !config.bindings.iter().any(|record| record.id() == pin.pin()) {
                let what = format!("laptop-{number} keeps a session's key for {}", self.slug(&pin.workspace_id));
                open.push(OpenEnd { invariant: "BIND-5", bound: Duration::from_mins(2), what });
            }
        }
        let bound = if must_renew.is_empty() { LINK_BOUND } else { RENEWAL_BOUND + LINK_BOUND } + Duration::from_mins(1);
        for run in host.laptop.runs.iter().filter(|run| run.session.is_some() && !run.is_delivered() && run.cut.is_none()) {
            let records = config.bindings.iter().filter(|record| Some(&record.workspace_id) == run.org());
            if records.map(|record| self.expected(record)).all(|expected| expected == Expected::Connected) {
                let what = format!("laptop-{number}: a session to {:?} is not delivered", run.org().map(|org| self.slug(org)));
                open.push(OpenEnd { invariant: "SES-1", bound, what });
            }
        }
        for session in host.laptop.spools().into_keys() {
            let Some(pin) = host.laptop.pins().into_iter().find(|pin| pin.session == session) else { continue };
            let record = config.bindings.iter().find(|record| record.id() == pin.pin());
            if record.is_some_and(|record| self.expected(record) == Expected::Connected) {
                let what = format!("laptop-{number}: what was kept for {} is not delivered", self.slug(&pin.workspace_id));
                open.push(OpenEnd { invariant: "SPOOL-1", bound: bound + Duration::from_mins(3), what });
            }
        }
        for record in config.bindings.iter().filter(|record| record.state == BindingState::Draining) {
            if self.expected(record) == Expected::Connected {
                let what = format!("laptop-{number}: {} still drains", record.slug);
                // A session whose maker stays away counts as over after two minutes.
                open.push(OpenEnd { invariant: "BIND-3", bound: bound + Duration::from_mins(3), what });
            }
        }
    }

    /// What is to become of a binding once nothing is wrong.
    pub(super) fn expected(&self, record: &BindingRecord) -> Expected {
        let Some(org) = self.platform.orgs.get(&record.workspace_id) else { return Expected::Nothing };
        let Some(target) = self.platform.targets.get(&record.runtime_target_id) else { return Expected::Nothing };
        let is_lapsed = Unverified::parse(&record.issue_token).is_ok_and(|token| {
            let claims = token.into_unproven();
            claims.renewable_until.0 < unix(self.now).0 + 120
        });
        let station = self.station_at(&record.relay.url);
        // A device that was approved after it, and was not adopted, has taken its place.
        let is_its = Unverified::parse(&record.issue_token)
            .is_ok_and(|token| token.into_unproven().confirmation == target.record.holder.confirmation);
        let policy_fits = (org.policy == PolicyMode::CryptoPairing) == record.psk.is_some();
        if is_lapsed || station.is_none() || station == self.broken_relay() {
            Expected::Nothing
        } else if target.record.is_revoked || org.deleted {
            // A device with an expired credential is told that, and not why there is no other one; and without the pre-shared key
            // of a target that is gone its relay cannot refuse a device in a way that counts.
            if record.psk.is_none() && expiry(record).is_some_and(|at| at > unix(self.now).0) {
                Expected::Gone
            } else {
                Expected::Nothing
            }
        } else if !policy_fits || !is_its {
            Expected::Nothing
        } else {
            Expected::Connected
        }
    }
}

/// What is to become of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// It is connected.
    Connected,
    /// It is not there any more.
    Gone,
    /// Only a person can help it.
    Nothing,
}

/// Something that is not yet as it should be.
struct OpenEnd {
    invariant: &'static str,
    bound: Duration,
    what: String,
}

fn expiry(record: &BindingRecord) -> Option<u64> {
    Unverified::parse(&record.issue_token).ok().map(|token| token.into_unproven().expires_at.0)
}
