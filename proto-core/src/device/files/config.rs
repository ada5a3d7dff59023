//! `config.json`: endpoints and the bindings.

use alloc::{collections::BTreeSet, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{Document, ProxySettings, TlsSettings, Unknown, VERSION, first_version};
use crate::{
    Reason,
    api::{Approval, PolicyMode, RelayEndpoint},
    device::credential::Renewal,
    effect::StateFile,
    id::{BindingId, OrgId, PlatformId},
    key::StaticKey,
    secret::{Secret, SecretText},
};

/// Where a daemon pairs by default (S18).
pub const DEFAULT_API_ENDPOINT: &str = "https://app.getviewport.com";

/// The most bindings one daemon has.
pub const MAX_BINDINGS: usize = 256;

/// The most relay keys that are remembered as retired, per binding.
const MAX_RETIRED_KEYS: usize = 32;

/// The most relay keys that are valid at one time: the current one and an announced successor.
const MAX_STATIC_KEYS: usize = 2;

/// `~/.viewport/config.json`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// [`VERSION`] of the program that wrote it.
    #[serde(default = "first_version")]
    pub version: u32,
    /// What the daemon talks to.
    #[serde(default)]
    pub daemon: Daemon,
    /// This machine's name where it is not the host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The bindings, draining ones too.
    #[serde(default)]
    pub bindings: Vec<BindingRecord>,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The member `daemon`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Daemon {
    /// `daemon.api.endpoint`: the platform (S163).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<Api>,
    /// `daemon.relay.endpoint`: the relay to use instead of the one that came with the pairing (S166).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Api>,
    /// `daemon.proxy`: the proxies by which servers are reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxySettings>,
    /// `daemon.tls`: whose certificates are trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A member with an endpoint in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Api {
    /// An absolute URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// What pairing with one organization yielded (S57 to S62).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BindingRecord {
    /// The organization.
    #[serde(alias = "workspace_id", alias = "organization_id")]
    pub workspace_id: OrgId,
    /// Its short name.
    pub slug: String,
    /// Its display name.
    pub name: String,
    /// Stable for this install in this org.
    pub install_id: PlatformId,
    /// The row that the platform sees. Together with the org it names the binding.
    pub runtime_target_id: PlatformId,
    /// This org's view of this machine.
    pub machine_id: PlatformId,
    /// The relay credential.
    pub issue_token: SecretText,
    /// The credential's `gen`.
    pub generation: u64,
    /// Path of the identity file, relative to `VIEWPORT_HOME`.
    pub identity: String,
    /// The org's relay.
    pub relay: RelayRecord,
    /// How the org wanted handshakes when this was paired.
    pub policy_mode: PolicyMode,
    /// The pre-shared key; there is one exactly with [`PolicyMode::CryptoPairing`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psk: Option<Secret>,
    /// The platform that approved it, where that is not `daemon.api.endpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<Api>,
    /// Whether it takes new sessions.
    #[serde(default)]
    pub state: BindingState,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Whether a binding takes new sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BindingState {
    /// It does.
    #[default]
    Active,
    /// It was replaced: it lives until its last session ends (D2).
    Draining,
}

/// An org's relay, as a binding pins it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayRecord {
    /// `ws://` or `wss://`, path `/ws`.
    pub url: String,
    /// The pinned keys: the current one first, then an announced successor.
    pub static_keys: Vec<StaticKey>,
    /// Keys that were dropped; never accepted again (PIN-2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired_keys: Vec<StaticKey>,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl RelayRecord {
    /// What an approval pins.
    pub fn pin(endpoint: &RelayEndpoint) -> Self {
        Self {
            url: endpoint.url.clone(),
            static_keys: endpoint.static_keys.clone(),
            retired_keys: Vec::new(),
            unknown: Unknown::new(),
        }
    }

    /// Takes over what the platform announced with a renewed credential: new keys are pinned, dropped ones are retired for
    /// good, and a retired one in the list is passed over. Nothing changes when no key would
    /// be left.
    pub fn follow(&mut self, announced: &RelayEndpoint) {
        let is_good = |key: &&StaticKey| !self.retired_keys.contains(key);
        let keys: Vec<_> = announced.static_keys.iter().filter(is_good).take(MAX_STATIC_KEYS).copied().collect();
        if keys.is_empty() {
            return;
        }
        let dropped = self.static_keys.iter().filter(|key| !keys.contains(key));
        self.retired_keys.extend(dropped);
        let excess = self.retired_keys.len().saturating_sub(MAX_RETIRED_KEYS);
        self.retired_keys.drain(..excess);
        self.static_keys = keys;
        self.url.clone_from(&announced.url);
    }
}

impl BindingRecord {
    /// What an approval yielded: `generation` is the credential's, `identity` the path of the identity file. Its platform is the
    /// default one, and it takes new sessions.
    pub fn new(approval: Approval, generation: u64, identity: String) -> Self {
        Self {
            workspace_id: approval.workspace.id,
            slug: approval.workspace.slug,
            name: approval.workspace.name,
            install_id: approval.install_id,
            runtime_target_id: approval.runtime_target_id,
            machine_id: approval.machine_id,
            issue_token: approval.issue_token,
            generation,
            identity,
            relay: RelayRecord::pin(&approval.relay),
            policy_mode: approval.policy_mode,
            psk: approval.psk,
            api: None,
            state: BindingState::Active,
            unknown: Unknown::new(),
        }
    }

    /// What names this binding, also in the pin of a session.
    pub fn id(&self) -> BindingId {
        BindingId { org: self.workspace_id.clone(), runtime_target: self.runtime_target_id.clone() }
    }

    /// The file with its key; `None` when the record names another org's file, or none.
    pub fn identity_file(&self) -> Option<StateFile> {
        let file = StateFile::identity_at(&self.identity)?;
        matches!(&file, StateFile::Identity(org, _) if *org == self.workspace_id).then_some(file)
    }

    /// Takes over a renewed credential and what came with it.
    pub fn renew(&mut self, renewal: &Renewal) {
        self.issue_token = renewal.answer.issue_token.clone();
        self.generation = renewal.generation;
        self.relay.follow(&renewal.answer.relay);
    }

    fn is_sound(&self) -> bool {
        let keys = self.relay.static_keys.len();
        let has_psk = self.psk.is_some();
        self.identity_file().is_some()
            && (1..=MAX_STATIC_KEYS).contains(&keys)
            && has_psk == (self.policy_mode == PolicyMode::CryptoPairing)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { version: VERSION, daemon: Daemon::default(), machine: None, bindings: Vec::new(), unknown: Unknown::new() }
    }
}

impl Config {
    /// The platform to pair with: `daemon.api.endpoint`; else the one that approved every binding there is; else the default.
    pub fn api_endpoint(&self) -> &str {
        let configured = self.daemon.api.as_ref().and_then(|api| api.endpoint.as_deref());
        configured.or_else(|| self.only_platform()).unwrap_or(DEFAULT_API_ENDPOINT)
    }

    fn only_platform(&self) -> Option<&str> {
        let mut platforms = self.bindings.iter().map(|record| record.api.as_ref()?.endpoint.as_deref());
        let first = platforms.next()??;
        platforms.all(|platform| platform == Some(first)).then_some(first)
    }

    /// `daemon.relay.endpoint`, where there is one.
    pub fn relay_endpoint(&self) -> Option<&str> {
        self.daemon.relay.as_ref()?.endpoint.as_deref()
    }
}

impl Document for Config {
    const INVALID: Reason = Reason::ConfigInvalid;

    fn check(&self) -> Result<(), Reason> {
        let ids: BTreeSet<_> = self.bindings.iter().map(BindingRecord::id).collect();
        let keys: BTreeSet<_> = self.bindings.iter().map(|record| &record.identity).collect();
        let active = self.bindings.iter().filter(|record| record.state == BindingState::Active);
        let orgs: BTreeSet<_> = active.clone().map(|record| &record.workspace_id).collect();
        let is_sound = self.bindings.len() <= MAX_BINDINGS
            && self.bindings.iter().all(BindingRecord::is_sound)
            && ids.len() == self.bindings.len()
            && keys.len() == self.bindings.len()
            && orgs.len() == active.count();
        if is_sound { Ok(()) } else { Err(Self::INVALID) }
    }
}
