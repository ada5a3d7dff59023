//! Connections come and go: confirmation, takeover, renewal, revocation, and what the store has at boot.

use alloc::vec::Vec;

use super::{
    Hub, MAX_CONFIRMATION, MAX_CONFIRMED, REVOCATION_MEMORY, REVOCATIONS_REMEMBERED, Revoked, VIEWERS_PER_ORG,
    event::{Confirmed, ConnectionId, Kind, Output, StoredSession, Write},
    state::{Daemon, DaemonLink, EnvelopeState, Link, LinkRole, Session, SessionPhase, ViewerLink},
};
use crate::{
    Reason, Unhashed,
    id::{OrgId, PlatformId},
    machine::time::Instant,
    secret::SecretText,
    wire::Head,
};

impl Hub {
    pub(super) fn confirmed(&mut self, connection: ConnectionId, confirmed: Confirmed) {
        self.recall();
        if self.links.contains_key(&connection) {
            self.counters.0.confirmed_twice += 1;
            return;
        }
        if let Some(reason) = self.refusal(&confirmed) {
            self.port.push(Output::Close(connection, reason));
            return;
        }
        let Confirmed { org, target, kind } = confirmed;
        let older = self.orgs.get(&org).and_then(|o| o.links.get(&target)).copied();
        if let Some(older) = older {
            self.close(older, Reason::Superseded);
        }
        let role = match kind {
            Kind::Daemon(credential) => {
                self.keep_credential(&org, &target, credential);
                LinkRole::Daemon(DaemonLink::default())
            }
            Kind::Viewer => LinkRole::Viewer(self.new_viewer(connection, &org)),
        };
        let is_daemon = matches!(role, LinkRole::Daemon(_));
        let must_know = is_daemon && self.failing.contains(&org);
        self.orgs.entry(org.clone()).or_default().links.insert(target.clone(), connection);
        self.linked.entry(target.clone()).or_default().insert(org.clone());
        self.links.insert(connection, Link { org, target, outstanding: 0, role });
        if self.may_be_stale() {
            self.port.push(Output::Revalidate(connection));
        }
        if must_know {
            self.reply(connection, Head::Storing { works: false });
        }
        self.pump(connection);
    }

    fn refusal(&self, confirmed: &Confirmed) -> Option<Reason> {
        if self.revoked.iter().any(|(_, r)| matches!(r, Revoked::Org(org) if *org == confirmed.org)) {
            return Some(Reason::WorkspaceNotFound);
        }
        if self.revoked.iter().any(|(_, r)| matches!(r, Revoked::Target(target) if *target == confirmed.target)) {
            return Some(Reason::MachineRevoked);
        }
        let viewers = self.orgs.get(&confirmed.org).map_or(0, |org| org.viewers.len());
        let is_full = confirmed.kind == Kind::Viewer && viewers >= VIEWERS_PER_ORG;
        (is_full || self.links.len() >= MAX_CONFIRMED).then_some(Reason::RelayFull)
    }

    fn new_viewer(&mut self, connection: ConnectionId, org: &OrgId) -> ViewerLink {
        let org = self.orgs.entry(org.clone()).or_default();
        org.viewers.insert(connection);
        ViewerLink { unannounced: org.sessions.values().copied().collect(), ..ViewerLink::default() }
    }

    /// Keeps a daemon's latest credential, durably when viewers will need it after a restart.
    fn keep_credential(&mut self, org: &OrgId, target: &PlatformId, credential: SecretText) {
        let daemons = &mut self.orgs.entry(org.clone()).or_default().daemons;
        let Some(daemon) = daemons.get_mut(target) else {
            daemons.insert(target.clone(), Daemon { credential, sessions: 0, running: 0 });
            return;
        };
        if daemon.credential == credential {
            return;
        }
        daemon.credential = credential.clone();
        if daemon.sessions > 0 {
            self.port.push(Output::Write(Write::Credential { org: org.clone(), target: target.clone(), credential }));
        }
    }

    pub(super) fn renewed(&mut self, connection: ConnectionId, credential: SecretText) {
        let Some(link) = self.links.get(&connection) else {
            self.counters.0.unknown_connection += 1;
            return;
        };
        if matches!(link.role, LinkRole::Daemon(_)) {
            let (org, target) = (link.org.clone(), link.target.clone());
            self.keep_credential(&org, &target, credential);
        }
    }

    pub(super) fn gone(&mut self, connection: ConnectionId) {
        if !self.forget(connection) {
            self.counters.0.unknown_connection += 1;
        }
    }

    /// Removes every trace of a connection; its sessions stay. False when there is no such connection.
    pub(super) fn forget(&mut self, connection: ConnectionId) -> bool {
        let Some(link) = self.links.remove(&connection) else { return false };
        match link.role {
            LinkRole::Daemon(daemon) => {
                self.held.remove(&connection);
                for number in daemon.opened.values() {
                    self.sessions.get_mut(number).map(|session| session.writer.take());
                }
            }
            LinkRole::Viewer(viewer) => {
                for number in &viewer.subscriptions {
                    self.sessions.get_mut(number).map(|session| session.subscribers.remove(&connection));
                }
            }
        }
        if let Some(orgs) = self.linked.get_mut(&link.target) {
            orgs.remove(&link.org);
            if orgs.is_empty() {
                self.linked.remove(&link.target);
            }
        }
        let org = self.orgs.entry(link.org.clone()).or_default();
        org.links.remove(&link.target);
        org.viewers.remove(&connection);
        if org.daemons.get(&link.target).is_some_and(|daemon| daemon.sessions == 0) {
            org.daemons.remove(&link.target);
        }
        if org.is_unused() {
            self.orgs.remove(&link.org);
        }
        true
    }

    /// Cuts what lives, and remembers, for what was validated before and confirms after.
    pub(super) fn revoked(&mut self, targets: Vec<PlatformId>, orgs: Vec<OrgId>) {
        for org in orgs {
            let links = self.orgs.get(&org).map(|o| o.links.values().copied().collect::<Vec<_>>());
            for connection in links.unwrap_or_default() {
                self.close(connection, Reason::WorkspaceNotFound);
            }
            self.remember(Revoked::Org(org));
        }
        for target in targets {
            let orgs = self.linked.get(&target).into_iter().flatten();
            let links: Vec<_> = orgs.filter_map(|org| self.orgs.get(org)?.links.get(&target).copied()).collect();
            for connection in links {
                self.close(connection, Reason::MachineRevoked);
            }
            self.remember(Revoked::Target(target));
        }
    }

    /// Every connection is validated again, also those that were validated before and confirm after.
    pub(super) fn recheck(&mut self) {
        self.port.extend(self.links.keys().map(|connection| Output::Revalidate(*connection)));
        self.remember(Revoked::Unknown);
    }

    /// Whether what confirms now can have been validated before the latest [`Input::Revalidate`].
    fn may_be_stale(&self) -> bool {
        let is_recent = |at: &Instant| self.port.now().since(*at) <= MAX_CONFIRMATION;
        self.revoked.iter().rev().take_while(|(at, _)| is_recent(at)).any(|(_, revoked)| *revoked == Revoked::Unknown)
    }

    fn remember(&mut self, revoked: Revoked) {
        self.recall();
        if self.revoked.len() >= REVOCATIONS_REMEMBERED {
            self.revoked.pop_front();
        }
        self.revoked.push_back((self.port.now(), revoked));
    }

    /// Drops the revocations that no admission under way can have overtaken.
    fn recall(&mut self) {
        while self.revoked.front().is_some_and(|(at, _)| self.port.now().since(*at) > REVOCATION_MEMORY) {
            self.revoked.pop_front();
        }
    }

    pub(super) fn stored(&mut self, stored: StoredSession) {
        let org = self.orgs.entry(stored.org.clone()).or_default();
        if org.sessions.contains_key(&stored.session) || self.sessions.contains_key(&stored.number) {
            self.counters.0.contradicting_sessions += 1;
            return;
        }
        org.sessions.insert(stored.session, stored.number);
        let fresh = Daemon { credential: stored.credential, sessions: 0, running: 0 };
        let daemon = org.daemons.entry(stored.target.clone()).or_insert(fresh);
        daemon.sessions = daemon.sessions.saturating_add(1);
        daemon.running = daemon.running.saturating_add(u32::from(stored.ended.is_none()));
        self.next_number = self.next_number.max(stored.number.0.saturating_add(1));
        let life = stored.ended.map_or(SessionPhase::Running, SessionPhase::Ended);
        let session = Session::new(stored.org, stored.session, stored.target, stored.cipher);
        let envelope = stored.envelope.map_or(EnvelopeState::None, EnvelopeState::Durable);
        let session = Session { life, durable: stored.next, envelope, tally: Unhashed(stored.tally), ..session };
        self.sessions.insert(stored.number, session);
    }
}
