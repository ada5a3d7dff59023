//! As much of a platform as pairs a device: its key, its credentials, its approvals.

use alloc::string::String;

use proto_core::{
    OrgId, PlatformId, UnixTime,
    api::{Approval, PolicyMode, RelayEndpoint, Workspace},
    id::DeviceKind,
    jose::{Claims, Confirmation, JwkSet, RELAY_AUDIENCE, SigningKey, Thumbprint, sign},
    key::{IdentityKey, StaticKey},
    secret::{Secret, SecretText},
};

use crate::{Wrong, relay};

/// Where it is.
pub const API: &str = "https://api.example";

/// When all of this happens, in unix seconds.
pub const TODAY: UnixTime = UnixTime(1_800_000_000);

/// Where its orgs' relay is.
pub const RELAY: &str = "wss://relay.example/ws";

fn signing_key() -> SigningKey {
    SigningKey::from_seed(&Secret::new([9; 32]))
}

/// Its key set, as it serves it.
pub fn key_set() -> String {
    [signing_key().public_key()].into_iter().collect::<JwkSet>().to_json()
}

/// The identifier `text`.
///
/// # Errors
/// It is none.
pub fn id<I: core::str::FromStr>(text: &str) -> Result<I, Wrong> {
    text.parse().map_err(|_| Wrong::new("an identifier"))
}

/// A daemon's first credential in `org`.
///
/// # Errors
/// Never: the identifiers in it are sound.
pub fn credential(org: &OrgId, static_key: StaticKey, identity_key: IdentityKey) -> Result<SecretText, Wrong> {
    let claims = Claims {
        issuer: API.into(),
        audience: RELAY_AUDIENCE.into(),
        install: id("install")?,
        org: org.clone(),
        runtime_target: id("target")?,
        machine: id("machine")?,
        role: DeviceKind::Daemon,
        generation: 1,
        confirmation: Confirmation { static_key, identity: Thumbprint::of_identity_key(identity_key) },
        issued_at: TODAY,
        not_before: TODAY,
        expires_at: TODAY.plus(3_600),
        renewable_until: TODAY.plus(30 * 86_400),
        id: id("token")?,
    };
    Ok(sign(&claims, &signing_key()))
}

/// The approval of a pairing with `org`.
///
/// # Errors
/// Never: the identifiers in it are sound.
pub fn approval(org: OrgId, static_key: StaticKey, identity_key: IdentityKey) -> Result<Approval, Wrong> {
    let given = |text| id::<PlatformId>(text);
    Ok(Approval {
        issue_token: credential(&org, static_key, identity_key)?,
        workspace: Workspace { id: org, slug: "acme".into(), name: "Acme Engineering".into() },
        install_id: given("install")?,
        runtime_target_id: given("target")?,
        machine_id: given("machine")?,
        relay: RelayEndpoint { url: RELAY.into(), static_keys: [relay::keys().public()].into() },
        policy_mode: PolicyMode::Standard,
        psk: None,
    })
}
