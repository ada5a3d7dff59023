//! The files of `~/.viewport/` and of a repository's `.viewport/`, as data: where they stand, what they say, how they are
//! read and written. Nothing here touches a disk; machines hand the bytes to an adapter with [`Effect::Store`].
//!
//! | file | type |
//! |---|---|
//! | `config.json` | [`Config`] |
//! | `relay-identities/{org}.json` | [`IdentityFile`] |
//! | `organization-keys/{org}.json` | [`OrganizationKeyFile`] |
//! | `pending-pairing.json` | [`PendingPairing`] |
//! | `grants.json`, `declines.json` | [`Grants`], [`Declines`] |
//! | `state/sessions/{id}.json` | [`SessionFile`] |
//! | `.viewport/local.yaml`, `.viewport/workspace.yaml` | [`LocalYaml`], [`WorkspaceYaml`] |
//!
//! JSON files keep the members that this version does not know (BIND-8), and a file of a newer version is refused instead of
//! being written back without what it says. Numbers keep to I-JSON (RFC 7493): 64-bit integers and doubles.
//!
//! [`Effect::Store`]: crate::effect::Effect::Store

mod config;
mod declines;
mod grants;
mod identity;
mod local;
mod network;
mod organization_key;
mod path;
mod pending;
mod session;
mod stamp;
mod yaml;

#[cfg(test)]
mod tests;

pub use config::{Api, BindingRecord, BindingState, Config, DEFAULT_API_ENDPOINT, Daemon, MAX_BINDINGS, RelayRecord};
pub use declines::{Decline, Declines, MAX_DECLINES};
pub use grants::{Grant, Grants, MAX_GRANTS};
pub use identity::IdentityFile;
pub(crate) use local::is_slug;
pub use local::{IGNORED, LocalYaml, Streaming, WorkspaceYaml};
pub use network::{ProxySettings, TlsSettings};
pub use organization_key::OrganizationKeyFile;
pub use pending::PendingPairing;
pub use session::SessionFile;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{Reason, secret::SecretBytes};

/// The version of every state file that this program writes.
pub const VERSION: u32 = 1;

/// Members that this version does not know, kept as they were.
pub type Unknown = Map<alloc::string::String, Value>;

/// A state file in JSON.
pub trait Document: Serialize + DeserializeOwned {
    /// Why such a file is refused when it cannot be read.
    const INVALID: Reason;

    /// Checks what the types alone do not say.
    ///
    /// # Errors
    /// [`Self::INVALID`], usually.
    fn check(&self) -> Result<(), Reason>;

    /// Reads the file. Any byte string gives a valid document or an error, never a part of one.
    ///
    /// # Errors
    /// [`Reason::ConfigNewer`] when a newer version wrote it, [`Self::INVALID`] when it is invalid.
    fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        let invalid = |_| Self::INVALID;
        let Versioned { version } = serde_json::from_slice(bytes).map_err(invalid)?;
        if version > VERSION {
            return Err(Reason::ConfigNewer);
        }
        let document: Self = serde_json::from_slice(bytes).map_err(invalid)?;
        document.check()?;
        Ok(document)
    }

    /// The file's contents, indented for people.
    ///
    /// # Errors
    /// [`Reason::StateNotWritten`] if a value has no JSON form; none of the types here has such values.
    fn write(&self) -> Result<SecretBytes, Reason> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|_| Reason::StateNotWritten)?;
        bytes.push(b'\n');
        Ok(SecretBytes::new(bytes))
    }
}

#[derive(Deserialize)]
struct Versioned {
    #[serde(default = "first_version")]
    version: u32,
}

/// A file written by hand may leave the version out.
const fn first_version() -> u32 {
    1
}
