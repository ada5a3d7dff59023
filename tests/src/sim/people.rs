//! What people do, on machines and in the browser.

use std::time::Duration;

use proto_core::{
    OrgId, PlatformId, Reason,
    device::{
        consent::Directory,
        control::{PairEvent, PairRequest, UnpairRequest},
        daemon::{self, Answer, Bind, Request, RequestId},
    },
    id::DeviceKind,
    jose::Thumbprint,
    noise::Noise,
    secret::Secret,
};

use super::{
    Party, Sim, account, confirmation,
    fault::Fault,
    host::{Intent, unix},
    oracle::Seen,
    plan::{Decision, UserAction},
    step::Event,
    viewer::Viewer,
};
use crate::world::{Ended, adopted};

impl<N: Noise + 'static> Sim<N> {
    pub(super) fn deed(&mut self, deed: &UserAction) {
        match *deed {
            UserAction::Pair { host, org, mode, decision, after } => {
                let intent = Intent { org: self.orgs[org].clone(), decision, after };
                let entropy = self.hosts[host].dice.entropy();
                self.hosts[host].intent = Some(intent);
                self.story.host(
                    self.now,
                    host,
                    &format!("vpd pair ({mode:?}) with {}; in the browser: {decision:?}", self.slug(&self.orgs[org])),
                );
                // A platform that knows a machine again knows it by the name that the person gives it.
                let name = self.platform.keeps_targets.then(|| self.hosts[host].laptop.name.clone());
                self.ask(host, Request::Pair(PairRequest { mode, org: None, name }, entropy));
            }
            UserAction::Cancel(host) => self.ask(host, Request::CancelPairing),
            UserAction::Unpair(host, org) => {
                self.story.host(self.now, host, &format!("vpd unpair {}", self.slug(&self.orgs[org])));
                let org = self.orgs[org].to_string();
                self.ask(host, Request::Unpair(UnpairRequest { org: Some(org) }));
            }
            UserAction::Bind(host, org) => {
                let org_id = self.orgs[org].to_string();
                self.ask(host, Request::Bind(Bind { confirmed: true, ..Bind::new(directory(org), Some(org_id)) }));
            }
            UserAction::Unbind(host, org) => self.ask(host, Request::Unbind(directory(org))),
            UserAction::Run { host, org, records, size, every } => self.begin_run(host, org, records, size, every),
            UserAction::HangUp(host) => self.hang_up(host),
            UserAction::Reconnect(host) => self.ask(host, Request::Reconnect),
            UserAction::Revoke(host, org) => self.revoke_machine(host, org),
            UserAction::DeleteOrg(org) => self.delete_org(org),
            UserAction::RemoveMember(host, org) => self.remove_member(host, org),
            UserAction::SetPolicy(org, policy) => {
                let id = self.orgs[org].clone();
                self.story.browser(self.now, &format!("{} pairs with {policy:?} from now on", self.slug(&id)));
                self.platform.orgs.get_mut(&id).expect("the org exists").policy = policy;
            }
            UserAction::ChangeRelayKey(station) => self.announce_key(station),
            UserAction::RestartViewer(viewer) => self.restart_viewer(viewer),
        }
    }

    /// A person asks a daemon, if it runs.
    pub(super) fn ask(&mut self, host: usize, request: Request) {
        if self.hosts[host].laptop.daemon.is_none() {
            return;
        }
        self.oracles.see(self.now, &Seen::Commanded { host, request: &request });
        let id = RequestId(self.number());
        self.queue.put(self.now, Event::Host(host, self.hosts[host].laptop.life, daemon::Input::Request(id, request)));
    }

    pub(super) fn request_answered(&mut self, host: usize, id: RequestId, answer: Result<Answer, Reason>) {
        self.oracles.see(self.now, &Seen::Answered { host, answer: &answer });
        if let Ok(Answer::Unpaired(unpaired)) = &answer {
            self.story.host(self.now, host, &format!("is unpaired from {}", unpaired.org.slug));
        }
        let was = self.hosts[host].laptop.answers.insert(id, answer);
        if was.is_some() {
            self.oracles.verdicts.broken(self.now, "LINK-3", format!("laptop-{host} answered a request twice"));
        }
        // Old answers are not asked for.
        if self.hosts[host].laptop.answers.len() > 64 {
            self.hosts[host].laptop.answers.pop_first();
        }
    }

    /// The person sees a code, and decides about it in the browser after a while.
    pub(super) fn pairing_said(&mut self, host: usize, event: &PairEvent) {
        let (disk, clock) = (&self.hosts[host].laptop.disk, self.hosts[host].clock.monotonic(self.now));
        self.oracles.see(self.now, &Seen::Pairing { host, event, disk, clock });
        match event {
            PairEvent::Code(pending) => {
                let after = self.hosts[host].intent.as_ref().map_or(Duration::from_secs(5), |intent| intent.after);
                self.queue.put(self.now.after(after), Event::Decide(host, pending.code.clone()));
            }
            PairEvent::Paired { org, refreshed } => {
                let how = if *refreshed { " again" } else { "" };
                self.story.host(self.now, host, &format!("is paired{how} with {}", org.slug));
            }
            PairEvent::Failed { reason, .. } => self.story.host(self.now, host, &format!("did not pair: {}", reason.summary())),
            PairEvent::Trouble { .. } => return,
        }
        // The latest word is the one that counts.
        self.hosts[host].laptop.pairing = vec![event.clone()];
    }

    pub(super) fn decide(&mut self, host: usize, code: &str) {
        let Some(Intent { org, decision, .. }) = self.hosts[host].intent.clone() else { return };
        let now = unix(self.now);
        let person = account(self.hosts[host].copy_of.unwrap_or(host));
        match decision {
            Decision::Approve => self.approve(code, &person, &org),
            Decision::ApproveTwice => {
                self.approve(code, &person, &org);
                self.approve(code, &person, &org);
            }
            Decision::StrangerFirst => {
                let stranger = account(usize::MAX);
                let refused = self.platform.approve_as(code, &stranger, &org, now).is_err();
                if !refused {
                    self.oracles.verdicts.broken(self.now, "PAIR-12", "a stranger approved a code".into());
                }
                self.approve(code, &person, &org);
            }
            Decision::ApproveOther => {
                let other = self.orgs[(self.number_of(&org).unwrap_or(0) + 1) % self.orgs.len()].clone();
                self.approve(code, &person, &other);
            }
            Decision::Deny => {
                if self.platform.codes.get(code).is_some_and(|code| code.machine.decision().is_none()) {
                    self.platform.deny(code, now);
                }
            }
            Decision::Ignore => {}
        }
    }

    fn approve(&mut self, code: &str, person: &PlatformId, org: &OrgId) {
        let before: Vec<_> = self.platform.targets.keys().cloned().collect();
        let approved = self.platform.approve_as(code, person, org, unix(self.now)).is_ok();
        self.oracles.see(self.now, &Seen::Approved { code, counts: approved });
        if let Some(new) = self.platform.targets.keys().find(|id| !before.contains(id)).cloned() {
            self.owners.insert(new, person.clone());
        }
    }

    // The page of an organization

    fn revoke_machine(&mut self, host: usize, org: usize) {
        let (owner, org) = (account(host), self.orgs[org].clone());
        let is_its = |(id, target): &(&PlatformId, &crate::world::Target)| {
            target.record.holder.org == org && !target.record.is_revoked && self.owners.get(*id) == Some(&owner)
        };
        let targets: Vec<_> = self.platform.targets.iter().filter(is_its).map(|(id, _)| id.clone()).collect();
        if !targets.is_empty() {
            self.story.browser(self.now, &format!("laptop-{host} is revoked at {}", self.slug(&org)));
            self.revoke_targets(targets);
        }
    }

    /// Access is withdrawn; relays hear of it soon.
    pub(super) fn revoke_targets(&mut self, targets: Vec<PlatformId>) {
        for id in targets {
            let Some(target) = self.platform.targets.get_mut(&id) else { continue };
            // It may have been paired again since it was revoked last.
            let is_news = !std::mem::replace(&mut target.record.is_revoked, true);
            if is_news {
                self.oracles.see(self.now, &Seen::Revoked { target: &id });
            }
            self.spread(Ended::Target(id));
        }
    }

    /// The platform's log has one more event, and the relays that wait for it are answered.
    fn spread(&mut self, ended: Ended) {
        self.platform.ended.push(ended);
        for number in std::mem::take(&mut self.held_back) {
            self.queue.put(self.now, Event::Request(number, false));
        }
    }

    fn delete_org(&mut self, number: usize) {
        let id = self.orgs[number].clone();
        self.story.browser(self.now, &format!("{} is deleted", self.slug(&id)));
        self.platform.orgs.get_mut(&id).expect("the org exists").deleted = true;
        self.oracles.see(self.now, &Seen::Deleted { org: &id });
        self.spread(Ended::Org(id));
        self.orgs[number] = self.found(number);
        for viewer in 0..self.viewers.len() {
            if self.viewers[viewer].org == number {
                let life = self.viewers[viewer].life + 1;
                self.viewers[viewer] = self.new_viewer(number);
                self.viewers[viewer].life = life;
                self.drain_viewer(viewer);
                self.schedule(Party::Viewer(viewer));
            }
        }
    }

    fn remove_member(&mut self, host: usize, org: usize) {
        let id = self.orgs[org].clone();
        let members = &mut self.platform.orgs.get_mut(&id).expect("the org exists").members;
        if members.len() > 1 && members.remove(&account(host)) {
            self.story.browser(self.now, &format!("the owner of laptop-{host} is removed from {}", self.slug(&id)));
            self.revoke_machine(host, org);
        }
    }

    /// A successor of a relay's key is announced; it takes over when every device that renews has received it.
    fn announce_key(&mut self, station: usize) {
        let keys = self.stations[station].fresh_keys();
        let (old, new, url) = (self.stations[station].relay.key(), keys.public(), self.stations[station].url.clone());
        for org in self.platform.orgs.values_mut().filter(|org| org.relay.url == url) {
            org.relay.static_keys = vec![old, new];
        }
        self.story.browser(self.now, &format!("relay-{station} announces another key"));
        self.stations[station].next_keys = Some(keys);
        self.queue.put(self.now.after(Duration::from_secs(self.options.lifetime)), Event::ChangeKey(station));
    }

    pub(super) fn change_key(&mut self, station: usize) {
        let Some(keys) = self.stations[station].next_keys.take() else { return };
        let url = self.stations[station].url.clone();
        for org in self.platform.orgs.values_mut().filter(|org| org.relay.url == url) {
            org.relay.static_keys = vec![keys.public()];
        }
        self.stations[station].relay.change_key(keys);
        self.story.browser(self.now, &format!("relay-{station} has its announced key"));
        self.restart_station(station);
    }

    /// The platform signs with another key from now on.
    pub(super) fn rotate_signing_keys(&mut self) {
        self.platform.rotate_keys(unix(self.now));
        self.tally.count(Fault::KeyRotation);
        self.story.browser(self.now, "the platform signs with another key");
    }

    // Viewers

    /// A member approves the pairing that a viewer asks for, if the code lives then.
    pub(super) fn approve_viewer(&mut self, viewer: usize, code: &str) {
        let org = self.orgs[self.viewers[viewer].org].clone();
        let member = self.platform.orgs[&org].members.first().cloned();
        if member.is_some_and(|member| self.platform.approve_as(code, &member, &org, unix(self.now)).is_ok()) {
            self.story.viewer(self.now, viewer, &format!("is approved for {}", self.slug(&org)));
        }
    }

    pub(super) fn add_viewer(&mut self, number: usize) {
        let viewer = self.new_viewer(number % self.options.orgs);
        self.viewers.push(viewer);
        self.drain_viewer(number);
        self.schedule(Party::Viewer(number));
    }

    fn new_viewer(&mut self, org: usize) -> Viewer<N> {
        let seed = Secret::new(self.dice.bytes());
        let name = format!("viewer-{}", self.number());
        let approval = self.platform.enrol(&self.orgs[org], DeviceKind::Viewer, &name, confirmation(&seed), unix(self.now));
        let (entropy, jitter) = (self.dice.entropy(), self.dice.jitter());
        Viewer::new(self.now, org, adopted(seed, approval), &entropy, jitter)
    }

    pub(super) fn restart_viewer(&mut self, number: usize) {
        if self.viewers[number].tablet.failure().is_some_and(Reason::ends_binding) {
            return;
        }
        self.story.viewer(self.now, number, "is started again");
        let (entropy, jitter) = (self.dice.entropy(), self.dice.jitter());
        let now = self.now;
        self.viewers[number].restart(now, &entropy, jitter);
        self.oracles.see(now, &Seen::ViewerRestarted { viewer: number });
        self.drain_viewer(number);
        self.schedule(Party::Viewer(number));
    }
}

/// The directory that belongs to an org's work.
pub(super) fn directory(org: usize) -> Directory {
    Directory::parse(&format!("/work/{org}")).expect("an absolute path")
}

/// The name of an identity key, for comparing codes.
pub(super) fn name_of(key: proto_core::key::IdentityKey) -> Thumbprint {
    Thumbprint::of_identity_key(key)
}
