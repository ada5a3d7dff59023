//! How the daemon stands.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{Obstacle, Reason, api::Workspace, device::link::LinkState};

/// What `vpd status` shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Report {
    /// The machine's name.
    pub name: String,
    /// The daemon's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Where it pairs: `daemon.api.endpoint`.
    pub api_endpoint: String,
    /// By which proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_proxy: Option<ProxyRow>,
    /// One row per binding, in the order of their names.
    pub bindings: Vec<BindingRow>,
    /// One row per bound directory, in the order of their paths.
    pub directories: Vec<DirectoryRow>,
    /// Sessions that stream now.
    pub sessions: Vec<SessionRow>,
    /// Sessions that wait on this machine until their relay takes them.
    #[serde(default)]
    pub spool: Vec<SpoolRow>,
    /// A pairing that waits for its approval.
    pub pairing: Option<PendingPairing>,
}

/// One binding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BindingRow {
    /// The organization.
    pub org: Workspace,
    /// Its relay, as the daemon dials it.
    pub relay: String,
    /// By which proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyRow>,
    /// How the link stands.
    pub link: LinkState,
    /// Why it is not connected, or why it was refused last.
    pub reason: Option<Reason>,
    /// What the latest attempt met, where the network is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// By how many seconds this machine's clock is ahead of the platform's, negative when it is behind; none where they agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead: Option<i64>,
    /// It takes no new session and goes when its last one ends.
    pub draining: bool,
    /// Unix seconds after which the credential cannot be renewed any more.
    pub renewable_until: u64,
    /// The organization's key as this daemon knows it; none where no viewing device has made one yet.
    pub key: Option<KeyRow>,
    /// Why the last look at the organization's key brought nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_reason: Option<Reason>,
    /// How many of its sessions can be opened only while this machine is there: they are not sealed to the organization's key.
    pub without_envelope: usize,
}

/// The proxy by which a server is reached. The process around the daemon knows it; the machine does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProxyRow {
    /// `host:port`; never with its user and password.
    pub address: String,
    /// The environment variable that changes it.
    pub variable: String,
}

/// An organization's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRow {
    /// The newest generation.
    pub generation: u32,
    /// What people compare: the same on all devices that know this generation.
    pub fingerprint: String,
}

/// One bound directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DirectoryRow {
    /// Absolute path.
    pub path: String,
    /// Nested repositories too.
    pub recursive: bool,
    /// The organization's name, or its id when this daemon is not paired with it.
    pub org: String,
}

/// One session that streams.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionRow {
    /// Its id.
    pub id: String,
    /// The organization's name.
    pub org: String,
    /// The command line.
    pub command: String,
    /// Why the relay does not take it for now.
    #[serde(default)]
    pub reason: Option<Reason>,
}

/// One session of which something is kept on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpoolRow {
    /// Its id.
    pub session: String,
    /// The organization's name.
    pub org: String,
    /// Sealed bytes that are not known to be at the relay.
    pub bytes: u64,
}

/// A pairing that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PendingPairing {
    /// The code a person sees.
    pub code: String,
    /// The page to open.
    pub url: String,
    /// Seconds it still lives.
    pub expires_in: u64,
}
