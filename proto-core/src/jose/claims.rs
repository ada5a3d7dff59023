//! What a credential says (WIRE section 2.3).

use alloc::string::String;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    jwk::{Okp, Thumbprint, X25519},
    strict,
};
use crate::{
    id::{DeviceKind, OrgId, PlatformId},
    key::StaticKey,
    machine::time::UnixTime,
};

/// The audience of every credential.
pub const RELAY_AUDIENCE: &str = "viewport-relay";

/// The claims of a credential. All are required; others are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claims {
    /// `iss`: the platform's base URL.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// `aud`: [`RELAY_AUDIENCE`].
    #[serde(rename = "aud")]
    pub audience: String,
    /// `sub`: the install.
    #[serde(rename = "sub")]
    pub install: PlatformId,
    /// `org`: the organization.
    pub org: OrgId,
    /// `rtg`: the runtime target, which a revocation names.
    #[serde(rename = "rtg")]
    pub runtime_target: PlatformId,
    /// `mid`: the org's view of the machine.
    #[serde(rename = "mid")]
    pub machine: PlatformId,
    /// `role`: what kind of device it is.
    pub role: DeviceKind,
    /// `gen`: 1 for the first credential of a binding, one more with each rotation.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// `cnf`: the holder's keys.
    #[serde(rename = "cnf", deserialize_with = "strict::member")]
    pub confirmation: Confirmation,
    /// `iat`: when it was made.
    #[serde(rename = "iat")]
    pub issued_at: UnixTime,
    /// `nbf`: not valid before.
    #[serde(rename = "nbf")]
    pub not_before: UnixTime,
    /// `exp`: no new connection from then on.
    #[serde(rename = "exp")]
    pub expires_at: UnixTime,
    /// `rexp`: not renewable from then on.
    #[serde(rename = "rexp")]
    pub renewable_until: UnixTime,
    /// `jti`: unique.
    #[serde(rename = "jti")]
    pub id: PlatformId,
}

/// The keys whose holder a credential belongs to (RFC 7800 section 3): worthless to anyone without them.
///
/// In JSON: `{"jwk": {"kty":"OKP","crv":"X25519","x":"…"}, "jkt": "…"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Confirmation {
    /// Proven by a Noise handshake.
    pub static_key: StaticKey,
    /// The thumbprint of the identity key, proven by a signature (RFC 9449 section 6.1).
    pub identity: Thumbprint,
}

#[derive(Serialize, Deserialize)]
struct ConfirmationJson {
    #[serde(deserialize_with = "strict::member")]
    jwk: Okp<X25519, StaticKey>,
    jkt: Thumbprint,
}

impl Serialize for Confirmation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ConfirmationJson { jwk: self.static_key.into(), jkt: self.identity }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Confirmation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = ConfirmationJson::deserialize(deserializer)?;
        Ok(Self { static_key: json.jwk.x, identity: json.jkt })
    }
}
