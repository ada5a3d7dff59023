//! What is given: a platform that signs, devices, a relay.

use core::{fmt::Debug, str::FromStr};

use proto_core::{
    UnixTime, WallClock,
    api::{Approval, PolicyMode, RelayEndpoint, Workspace},
    crypto::Identity,
    device::files::BindingRecord,
    effect::{Effect, HttpAnswer, IoEvent, StateFile},
    id::DeviceKind,
    jose::{self, Claims, Confirmation, JwkSet, RELAY_AUDIENCE, SigningKey, Thumbprint},
    secret::{Secret, SecretBytes, SecretText},
};

use super::START;

/// What the wall clock shows at [`START`].
pub const UNIX: UnixTime = UnixTime(1_800_000_000);

/// The platform's base URL.
pub const ISSUER: &str = "https://api.example";

/// Both clocks at [`START`].
pub fn clock() -> WallClock {
    WallClock::new(START, UNIX)
}

/// An identifier.
///
/// # Panics
/// When it is none.
pub fn id<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// 32 equal bytes.
pub fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

/// The identity with the seed [`secret`].
pub fn identity(seed: u8) -> Identity {
    Identity::from_seed(secret(seed))
}

/// The platform's signing key.
pub fn platform_key() -> SigningKey {
    SigningKey::from_seed(&secret(0x50))
}

/// The platform's key set.
pub fn key_set() -> String {
    JwkSet::from_iter([platform_key().public_key()]).to_json()
}

/// The claims of a device's credential.
pub fn claims(device: &Identity, org: &str, target: &str, generation: u64) -> Claims {
    Claims {
        issuer: ISSUER.into(),
        audience: RELAY_AUDIENCE.into(),
        install: id("i"),
        org: id(org),
        runtime_target: id(target),
        machine: id("m"),
        role: DeviceKind::Daemon,
        generation,
        confirmation: Confirmation {
            static_key: device.static_key(),
            identity: Thumbprint::of_identity_key(device.identity_key()),
        },
        issued_at: UNIX,
        not_before: UNIX,
        expires_at: UNIX.plus(3_600),
        renewable_until: UNIX.plus(2_592_000),
        id: id("t"),
    }
}

/// A device's credential.
pub fn token(device: &Identity, org: &str, target: &str, generation: u64) -> SecretText {
    jose::sign(&claims(device, org, target, generation), &platform_key())
}

/// Where the relay is, and its key.
pub fn relay() -> RelayEndpoint {
    RelayEndpoint { url: "wss://relay.example/ws".into(), static_keys: vec![identity(0x52).static_key()] }
}

/// An organization.
pub fn workspace(org: &str) -> Workspace {
    Workspace { id: id(org), slug: org.to_lowercase(), name: format!("{org} Inc.") }
}

/// What the platform answers when a user approves a device for an organization.
pub fn approval(device: &Identity, org: &str, target: &str) -> Approval {
    Approval {
        workspace: workspace(org),
        install_id: id("i"),
        runtime_target_id: id(target),
        machine_id: id("m"),
        issue_token: token(device, org, target, 1),
        relay: relay(),
        policy_mode: PolicyMode::Standard,
        psk: None,
    }
}

/// The binding of a device that is paired with an organization.
pub fn record(device: &Identity, org: &str, target: &str) -> BindingRecord {
    let approval = approval(device, org, target);
    let identity = StateFile::Identity(approval.workspace.id.clone(), 0).path();
    BindingRecord::new(approval, 1, identity)
}

/// An HTTP answer.
pub fn answered<I>(id: I, status: u16, retry_after: Option<u32>, body: impl Into<String>) -> IoEvent<I> {
    IoEvent::Answered(id, HttpAnswer { status, retry_after, date: None, body: SecretBytes::new(body.into()) })
}

/// Whose an effect is.
pub fn id_of<I: Clone>(effect: &Effect<I>) -> I {
    match effect {
        Effect::Http(id, _)
        | Effect::Connect(id, _)
        | Effect::Send(id, _)
        | Effect::Close(id, _)
        | Effect::Store(id, ..)
        | Effect::Remove(id, _)
        | Effect::Load(id, _) => id.clone(),
    }
}
