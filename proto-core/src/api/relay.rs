//! What a relay asks the platform, with `Authorization: Bearer RELAY_INTERNAL_KEY`. 401 means the keys differ.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{
    Reason,
    api::PolicyMode,
    id::{OrgId, PlatformId},
    key::StaticKey,
    secret::{Secret, SecretText},
};

/// Is this credential's machine alive? Asked once per admission and rotation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ValidateRequest {
    /// The credential, already verified by the relay.
    pub token: SecretText,
    /// The static key that the handshake proved.
    pub static_key: StaticKey,
}

/// The platform's verdict (HTTP 200), in the manner of RFC 7662.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ValidateAnswer {
    /// Whether the machine may connect.
    pub active: bool,
    /// Why not: `machine_revoked`, `workspace_not_found`, `token_key_mismatch`, `token_superseded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The org's policy; present when active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_mode: Option<PolicyMode>,
    /// The binding's PSK, when it was paired with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psk: Option<Secret>,
}

/// Which machines were revoked, and which orgs deleted, since `?after=`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Revocations {
    /// Pass this as `after` next time.
    pub last: u64,
    /// Runtime targets whose connections must be cut.
    pub runtime_targets: Vec<PlatformId>,
    /// Organizations that are gone.
    #[serde(default)]
    pub organizations: Vec<OrgId>,
}
