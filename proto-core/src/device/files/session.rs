//! `state/sessions/{id}.json`: the pin and the secret of a streamed session.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Document, Unknown, first_version};
use crate::{
    Reason,
    id::{BindingId, OrgId, PlatformId, SessionId},
    machine::time::UnixTime,
    secret::Secret,
    wire::Title,
};

/// What a session needs to go on streaming after the daemon was restarted. Never changes once written (S112, S113).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionFile {
    /// [`super::VERSION`] of the program that wrote it.
    #[serde(default = "first_version")]
    pub version: u32,
    /// The session, as text.
    #[serde(serialize_with = "write_id", deserialize_with = "read_id")]
    pub session: SessionId,
    /// The organization it is pinned to.
    pub workspace_id: OrgId,
    /// The binding it is pinned to, within that organization.
    pub runtime_target_id: PlatformId,
    /// How its records are sealed: 1 AES-256-GCM, 2 ChaCha20-Poly1305.
    pub cipher: u8,
    /// The secret of epoch 0.
    pub secret: Secret,
    /// When it started.
    pub started: UnixTime,
    /// What runs where.
    pub title: Title,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl SessionFile {
    /// The binding it is pinned to.
    pub fn pin(&self) -> BindingId {
        BindingId { org: self.workspace_id.clone(), runtime_target: self.runtime_target_id.clone() }
    }
}

impl Document for SessionFile {
    const INVALID: Reason = Reason::StateInvalid;

    fn check(&self) -> Result<(), Reason> {
        if matches!(self.cipher, 1 | 2) { Ok(()) } else { Err(Self::INVALID) }
    }
}

fn write_id<S: Serializer>(id: &SessionId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn read_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SessionId, D::Error> {
    alloc::string::String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}
