//! Pairing: a device authorization flow in the manner of RFC 8628.

use alloc::string::String;

use serde::{Deserialize, Deserializer, Serialize};

use super::RelayEndpoint;
use crate::{
    Reason,
    id::{DeviceKind, OrgId, PlatformId},
    key::{IdentityKey, Signature, StaticKey},
    secret::{Secret, SecretText},
};

/// What a device asks for a code with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MintRequest {
    /// What pairs.
    pub kind: DeviceKind,
    /// What `vpd pair` was told to do with existing bindings; shown on the approve page (D1).
    pub mode: PairingMode,
    /// The organization that was asked for, by id or slug; the page offers only that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// The device's name as its owner knows it (the host name), shown on the approve page and in that org's machines list.
    /// At most 64 characters.
    pub name: String,
    /// Software and version, such as `vpd 0.1.0`. At most 64 characters.
    pub software: String,
    /// The identity key made for this pairing.
    pub identity_key: IdentityKey,
    /// The Noise static key that belongs to it.
    pub static_key: StaticKey,
    /// The identity key's signature over `viewport/1 static key ` and the 32 bytes of `static_key`.
    pub static_key_signature: Signature,
}

/// What becomes of the bindings a device already has (D1, D2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PairingMode {
    /// There is none.
    New,
    /// They stay; this one is added, or refreshed when it is for the same org.
    Add,
    /// They drain and go.
    Replace,
}

/// A fresh code (HTTP 201).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MintAnswer {
    /// 8 characters of `BCDFGHJKLMNPQRSTVWXZ2345`, for a person's eyes (RFC 8628 section 6.1).
    pub code: String,
    /// Authenticates the polls: only the device that minted the code learns its outcome.
    pub status_token: SecretText,
    /// The page to open: `…/pair?code=…`.
    pub url: String,
    /// Seconds the code lives.
    pub expires_in: u64,
    /// Seconds between polls; 2 where missing. Read leniently (PAIR-1): no interval is a reason to give a code up.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "seconds")]
    pub interval: Option<u64>,
}

/// Less than nothing is nothing, and what is no whole number of seconds is none at all.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    Ok(number.and_then(|number| number.as_u64().or(number.is_i64().then_some(0))))
}

/// The answer to a poll (HTTP 200). 404 means expired or unknown, 429 means slow down.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum PollAnswer {
    /// The user has not decided yet.
    Pending,
    /// The user approved. Repeated on every poll until the code expires.
    Approved(alloc::boxed::Box<Approval>),
    /// The user denied.
    Denied,
}

/// What an approval brings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Approval {
    /// The organization it was approved for.
    pub workspace: Workspace,
    /// Stable for this install in this org.
    pub install_id: PlatformId,
    /// The row the platform sees; what a revocation names.
    pub runtime_target_id: PlatformId,
    /// This org's view of this machine.
    pub machine_id: PlatformId,
    /// The relay credential: a JWT.
    pub issue_token: SecretText,
    /// The org's relay and its keys.
    pub relay: RelayEndpoint,
    /// How the org wants handshakes.
    pub policy_mode: PolicyMode,
    /// Only with [`PolicyMode::CryptoPairing`]: the binding's pre-shared key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psk: Option<Secret>,
}

/// An organization as people know it (S111).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Workspace {
    /// Opaque id.
    pub id: OrgId,
    /// Short name for command lines: 1 to 64 of `[a-z0-9-]`.
    pub slug: String,
    /// Display name.
    pub name: String,
}

impl Workspace {
    /// Whether `asked` names this organization: its id or its slug.
    pub fn is_named(&self, asked: &str) -> bool {
        self.id.is_named(&self.slug, asked)
    }

    /// The one of `paired` that `asked` names, or the only one there is. An id is unique and comes first; a slug is unique where
    /// platforms have not been mixed.
    ///
    /// # Errors
    /// [`Reason::NotPaired`] without any organization, [`Reason::OrgUnknown`] when none has that name, [`Reason::OrgAmbiguous`]
    /// when several have, or when none was asked for and there are several.
    pub fn pick<'a>(asked: Option<&str>, paired: &'a [Self]) -> Result<&'a Self, Reason> {
        let mut named = paired.iter().filter(|org| asked.is_none_or(|asked| org.is_named(asked)));
        let by_id = paired.iter().find(|org| asked == Some(org.id.as_str()));
        match (by_id, named.next(), named.next()) {
            _ if paired.is_empty() => Err(Reason::NotPaired),
            (Some(org), ..) | (None, Some(org), None) => Ok(org),
            (None, Some(_), Some(_)) => Err(Reason::OrgAmbiguous),
            (None, None, _) => Err(Reason::OrgUnknown),
        }
    }
}

/// An organization's policy on handshakes (S189 to S191).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyMode {
    /// Noise IK.
    Standard,
    /// Noise IKpsk2, with a PSK per binding made at its approval.
    CryptoPairing,
}
