//! What devices and the platform say to each other about the organization's key (WIRE section 12.1).

use alloc::{string::String, vec::Vec};

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    id::PlatformId,
    key::{IdentityKey, Signature},
};

/// Bytes that are no secret: base64url without padding in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Base64url(pub Vec<u8>);

impl Serialize for Base64url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64URL_NOPAD.decode(text.as_bytes()).map(Self).map_err(|_| D::Error::custom("expected base64url without padding"))
    }
}

/// The organization's key as the platform shows it to one device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyView {
    /// Statements of the generations after the one that was asked with, in order, at most [`STATEMENTS_PER_VIEW`].
    ///
    /// [`STATEMENTS_PER_VIEW`]: Self::STATEMENTS_PER_VIEW
    pub statements: Vec<Base64url>,
    /// The asking device, when it is one that watches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<OwnDevice>,
    /// Viewing devices that were not handed the newest generation, for one that watches; at most [`WAITING_PER_VIEW`].
    ///
    /// [`WAITING_PER_VIEW`]: Self::WAITING_PER_VIEW
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<WaitingDevice>,
    /// A device that was handed the newest generation has been revoked since.
    #[serde(default)]
    pub renew: bool,
    /// The machines whose sessions there may be, for a viewing device that asks for them: those that are paired first, the newest
    /// first, at most [`MACHINES_PER_VIEW`].
    ///
    /// [`MACHINES_PER_VIEW`]: Self::MACHINES_PER_VIEW
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<NamedMachine>,
}

impl KeyView {
    /// The most statements in one view.
    pub const STATEMENTS_PER_VIEW: u32 = 16;
    /// The most waiting devices in one view.
    pub const WAITING_PER_VIEW: u32 = 16;
    /// The most machines in one view.
    pub const MACHINES_PER_VIEW: u32 = 128;
}

/// A machine that runs sessions, as the organization's people know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NamedMachine {
    /// The row by which the relay knows it.
    pub runtime_target_id: PlatformId,
    /// Its name, as its owner gave it.
    pub name: String,
    /// Whose it is.
    pub owner: String,
}

/// What the platform has of the asking device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OwnDevice {
    /// Whether its wrapping key is registered.
    pub registered: bool,
    /// The latest generation that was wrapped for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapped: Option<Base64url>,
}

/// A viewing device that waits for the newest generation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WaitingDevice {
    /// Which.
    pub runtime_target_id: PlatformId,
    /// Its identity key.
    pub identity_key: IdentityKey,
    /// Its name, as its owner gave it.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// Its wrapping key.
    pub wrapping_key: Base64url,
    /// Its own signature of that.
    pub signature: Signature,
}

/// Registers a wrapping key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Registration {
    /// The X-Wing public key.
    pub wrapping_key: Base64url,
    /// The identity key's signature of it.
    pub signature: Signature,
}

/// Publishes a statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Publication {
    /// Its bytes.
    pub statement: Base64url,
}

/// Hands a generation over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Handover {
    /// To which device.
    pub runtime_target_id: PlatformId,
    /// A wrapped generation's bytes.
    pub wrapped: Base64url,
}
