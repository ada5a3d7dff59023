//! ISO-1, ISO-3: what is one org's own never goes to another, in any spelling; and what is secret is sent to no one.
//!
//! The symbolic handshake leaves payloads readable, so this looks inside of every message of most seeds.

use std::collections::BTreeMap;

use proto_core::{
    BindingId, Instant, OrgId,
    crypto::Identity,
    device::{
        daemon::{EffectId, Event},
        files::{BindingRecord, Config, Document, IdentityFile, OrganizationKeyFile, PendingPairing, SessionFile},
    },
    effect::{HttpRequest, StateFile},
    jose::Unverified,
    noise::Noise,
    secret::SecretBytes,
};

use super::{
    Files, Oracle, Seen, Verdicts,
    canary::{Canaries, Canary, Owner},
};
use crate::sim::net::End;

/// The owner of what belongs to a pairing that waits, and to no org yet.
const PENDING: Owner = 0;

/// The oracle.
#[derive(Debug, Default)]
pub(super) struct Isolation {
    canaries: Canaries,
    owners: BTreeMap<OrgId, Owner>,
    /// The records of which everything is watched.
    records: BTreeMap<BindingId, BindingRecord>,
}

impl Isolation {
    fn owner(&mut self, org: &OrgId) -> Owner {
        let next = Owner::try_from(self.owners.len()).unwrap_or(Owner::MAX) + 1;
        *self.owners.entry(org.clone()).or_insert(next)
    }

    fn watch(&mut self, owner: Owner, name: &'static str, is_secret: bool, value: &[u8]) {
        self.canaries.watch(value, Canary { owner, name, is_secret });
    }

    /// What stands in a file belongs to one device from now on.
    pub(super) fn learn(&mut self, file: &StateFile, contents: &SecretBytes) {
        let bytes = contents.expose();
        match file {
            StateFile::Identity(org, _) => {
                let Ok(IdentityFile { seed, .. }) = IdentityFile::parse(bytes) else { return };
                let (owner, identity) = (self.owner(org), Identity::from_seed(seed.clone()));
                self.watch(owner, "an identity's seed", true, seed.expose());
                self.watch(owner, "a static private key", true, identity.static_keys().private().expose());
                self.watch(owner, "a static key", false, &identity.static_key().0);
                self.watch(owner, "an identity key", false, &identity.identity_key().0);
            }
            StateFile::OrganizationKey(org) => {
                let Ok(key) = OrganizationKeyFile::parse(bytes) else { return };
                let owner = self.owner(org);
                for secret in key.generations.iter().chain(&key.made) {
                    self.watch(owner, "a generation of an organization's key", true, secret.expose());
                }
            }
            StateFile::Session(_) => {
                let Ok(pin) = SessionFile::parse(bytes) else { return };
                let owner = self.owner(&pin.workspace_id);
                self.watch(owner, "a session's id", false, &pin.session.0);
                self.watch(owner, "a session's name", false, pin.session.to_string().as_bytes());
                self.watch(owner, "a session's secret", false, pin.secret.expose());
            }
            StateFile::PendingPairing => {
                let Ok(pending) = PendingPairing::parse(bytes) else { return };
                self.watch(PENDING, "a pending seed", true, pending.seed.expose());
                self.watch(PENDING, "a status token", false, pending.status_token.expose().as_bytes());
            }
            // Records are sealed, and a session's id is in its pin. What a configuration says is seen by itself.
            StateFile::Segment(..) | StateFile::Spool(_) | StateFile::Config | StateFile::Grants | StateFile::Declines => {}
        }
    }

    fn learn_config(&mut self, config: &Config) {
        for record in &config.bindings {
            if self.records.get(&record.id()) != Some(record) {
                self.learn_record(record);
                self.records.insert(record.id(), record.clone());
            }
        }
    }

    fn learn_record(&mut self, record: &BindingRecord) {
        let owner = self.owner(&record.workspace_id);
        self.watch(owner, "a workspace id", false, record.workspace_id.as_str().as_bytes());
        self.watch(owner, "an install id", false, record.install_id.as_str().as_bytes());
        self.watch(owner, "a runtime target id", false, record.runtime_target_id.as_str().as_bytes());
        self.watch(owner, "a machine id", false, record.machine_id.as_str().as_bytes());
        if let Some(psk) = &record.psk {
            self.watch(owner, "a pre-shared key", true, psk.expose());
        }
        if let Ok(token) = Unverified::parse(&record.issue_token) {
            self.watch(owner, "a credential's id", false, token.into_unproven().id.as_str().as_bytes());
        }
        if let Some((_, signature)) = record.issue_token.expose().rsplit_once('.') {
            self.watch(owner, "a credential's signature", false, signature.as_bytes());
        }
    }

    /// Nothing of another owner stands in these bytes, and no secret.
    fn judge(&mut self, at: Instant, verdicts: &mut Verdicts, allowed: Owner, bytes: &[u8], what: impl Fn() -> String) {
        self.canaries.find(bytes, |found, _| {
            if found.is_secret || found.owner != allowed {
                verdicts.broken(at, "ISO-1", format!("{} in {}", found.name, what()));
            }
        });
    }

    fn judge_request(&mut self, at: Instant, verdicts: &mut Verdicts, end: &End, request: &HttpRequest) {
        let allowed = match end {
            End::Host(_, _, EffectId::Bridge(binding, ..)) => self.owner(&binding.org.clone()),
            End::Host(..) => PENDING,
            _ => return,
        };
        let mut bytes = request.url.clone().into_bytes();
        for (_, value) in &request.headers {
            bytes.push(b'\n');
            bytes.extend_from_slice(value.expose().as_bytes());
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(request.body.as_ref().map_or(&[], SecretBytes::expose));
        self.judge(at, verdicts, allowed, &bytes, || format!("a request to {}", request.url));
    }

    fn judge_files(&mut self, at: Instant, verdicts: &mut Verdicts, file: &StateFile, contents: &SecretBytes) {
        // What one org's own files say of another one.
        let org = match file {
            StateFile::Identity(org, _) => org.clone(),
            StateFile::Session(_) => match SessionFile::parse(contents.expose()) {
                Ok(pin) => pin.workspace_id,
                Err(_) => return,
            },
            _ => return,
        };
        let allowed = self.owner(&org);
        self.canaries.find(contents.expose(), |found, _| {
            if found.owner != allowed && found.owner != PENDING {
                verdicts.broken(at, "ISO-1", format!("{} in {}", found.name, file.path()));
            }
        });
    }
}

impl<N: Noise + 'static> Oracle<N> for Isolation {
    fn see(&mut self, at: Instant, seen: &Seen<'_>, verdicts: &mut Verdicts) {
        match seen {
            Seen::Durable { file, contents: Some(contents), .. } => {
                self.judge_files(at, verdicts, file, contents);
                self.learn(file, contents);
            }
            Seen::Configured { config: Some(config), .. } => self.learn_config(config),
            Seen::Booted { disk, .. } => learn_all(self, disk),
            Seen::Sent { host, binding, message } => {
                let allowed = self.owner(&binding.org);
                self.judge(at, verdicts, allowed, message, || format!("a message of laptop-{host} to {}", binding.org));
            }
            Seen::Asked { end, request, .. } => self.judge_request(at, verdicts, end, request),
            Seen::Logged { event, .. } => {
                let allowed = subject(event).map_or(PENDING, |org| self.owner(org));
                self.judge(at, verdicts, allowed, format!("{event:?}").as_bytes(), || format!("the log line {event:?}"));
            }
            _ => {}
        }
    }
}

fn learn_all(isolation: &mut Isolation, disk: &Files) {
    for (file, contents) in disk {
        isolation.learn(file, contents);
    }
    if let Some(Ok(config)) = disk.get(&StateFile::Config).map(|contents| Config::parse(contents.expose())) {
        isolation.learn_config(&config);
    }
}

/// Whom a log line is about.
const fn subject(event: &Event) -> Option<&OrgId> {
    match event {
        Event::Connected(BindingId { org, .. })
        | Event::Disconnected(BindingId { org, .. }, ..)
        | Event::Renewed(BindingId { org, .. })
        | Event::NotRenewed(BindingId { org, .. }, ..)
        | Event::RenewalExpired(BindingId { org, .. })
        | Event::Draining(BindingId { org, .. })
        | Event::Cut(BindingId { org, .. }, _)
        | Event::Gone(BindingId { org, .. })
        | Event::Key(BindingId { org, .. }, _)
        | Event::SessionStarted(_, BindingId { org, .. })
        | Event::SessionEnded(_, BindingId { org, .. })
        | Event::SessionDeclined(_, BindingId { org, .. }, _) => Some(org),
        Event::Paired(workspace) => Some(&workspace.id),
        _ => None,
    }
}
