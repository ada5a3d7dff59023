//! Renewing a credential (D8), and checking one.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::is_url;
use crate::{Reason, jose::JwkSet, key::StaticKey, secret::SecretText};

/// Body of the rotation request. The token that is renewed is in `Authorization: DPoP …`, the proof in `DPoP: …`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RotateRequest {
    /// The `gen` of the token that is renewed. Asking again for the same one gives the same successor generation, so a lost
    /// answer is harmless.
    pub generation: u64,
}

/// A renewed credential (HTTP 200).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Renewed {
    /// The new JWT: `gen` is one more than asked with.
    pub issue_token: SecretText,
    /// The org's relay and its keys; a key that is new here is an announced successor (PIN-2).
    pub relay: RelayEndpoint,
}

/// Where an org's relay is and which static keys it may answer with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RelayEndpoint {
    /// `ws://` or `wss://`, path `/ws`.
    pub url: String,
    /// The current key first, then an announced successor. 1 or 2 keys.
    pub static_keys: Vec<StaticKey>,
}

impl RelayEndpoint {
    /// Whether it can be dialled: a WebSocket URL, and one or two keys.
    pub fn is_sound(&self) -> bool {
        is_url(&self.url, &["wss://", "ws://"]) && matches!(self.static_keys.len(), 1 | 2)
    }
}

/// The keys that credentials are verified with, as [`JWKS_PATH`](super::JWKS_PATH) answers them.
///
/// # Errors
/// [`Reason::PlatformAnswerInvalid`]: it is no key set, or one that verifies nothing.
pub fn key_set(document: &[u8]) -> Result<JwkSet, Reason> {
    let keys = JwkSet::parse(document).ok().filter(|keys| !keys.is_empty());
    keys.ok_or(Reason::PlatformAnswerInvalid)
}
