//! A binding and its relay, for tests of what is built on an uplink.

use alloc::{vec, vec::Vec};

use bytes::Bytes;

use super::Settings;
use crate::{
    Entropy, UnixTime,
    api::{Approval, PolicyMode, RelayEndpoint, Workspace},
    crypto::Identity,
    device::files::{Api, BindingRecord, RelayRecord, Unknown},
    effect::HttpAnswer,
    jose::{self, Claims, JwkSet, SigningKey},
    machine::time::Instant,
    noise::{
        Noise, Symbolic,
        channel::{Channel, Tails},
    },
    secret::{Secret, SecretBytes, SecretText},
    testing,
    wire::{Answer, Welcome},
};

pub(crate) use crate::testing::{LIFETIME, RENEWABLE};

pub(crate) const UNIX: UnixTime = UnixTime(1_800_000_000);
pub(crate) const START: Instant = Instant::from_nanos(5_000_000_000);
pub(crate) const RELAY_URL: &str = "wss://relay.example/ws";

pub(crate) fn settings() -> Settings {
    Settings {
        api_endpoint: "https://other.example".into(),
        relay_endpoint: None,
        software: "vpd".into(),
        aes_in_hardware: false,
    }
}

pub(crate) fn device() -> Identity {
    Identity::from_seed(Secret::new([3; 32]))
}

pub(crate) fn relay() -> Identity {
    Identity::from_seed(Secret::new([2; 32]))
}

pub(crate) fn signer() -> SigningKey {
    SigningKey::from_seed(&Secret::new([9; 32]))
}

pub(crate) fn token(generation: u64, issued_at: UnixTime) -> SecretText {
    jose::sign(&claims(generation, issued_at), &signer())
}

pub(crate) fn claims(generation: u64, issued_at: UnixTime) -> Claims {
    Claims { generation, ..testing::claims(&device(), issued_at) }
}

pub(crate) fn relay_record(url: &str) -> RelayRecord {
    RelayRecord { url: url.into(), static_keys: vec![relay().static_key()], retired_keys: Vec::new(), unknown: Unknown::new() }
}

pub(crate) fn record() -> BindingRecord {
    let approval = Approval {
        workspace: Workspace { id: "ORG".parse().unwrap(), slug: "org".into(), name: "Org".into() },
        install_id: "i1".parse().unwrap(),
        runtime_target_id: "r1".parse().unwrap(),
        machine_id: "m1".parse().unwrap(),
        issue_token: token(1, UNIX),
        relay: RelayEndpoint { url: RELAY_URL.into(), static_keys: vec![relay().static_key()] },
        policy_mode: PolicyMode::Standard,
        psk: None,
    };
    let api = Api { endpoint: Some("https://api.example/".into()), unknown: Unknown::new() };
    BindingRecord { api: Some(api), ..BindingRecord::new(approval, 1, "relay-identities/ORG.json".into()) }
}

/// The relay admits the sender of message 1: its end of the link, and message 2.
pub(crate) fn welcome(message_1: &[u8]) -> (Channel<Symbolic>, Bytes) {
    let (mut noise, _) = Symbolic::respond(relay().static_keys(), Entropy::new([6; 32]), message_1).unwrap();
    let welcome = Welcome { frame_max: 65_536, time: UNIX.0, software: "relay".into() };
    let message_2 = noise.answer(None, &Answer::Welcome(welcome).encode()).unwrap();
    (Channel::new(noise, Tails::Refused), message_2.into())
}

/// The platform's answer to a request for its keys.
pub(crate) fn key_set() -> HttpAnswer {
    let keys: JwkSet = [signer().public_key()].into_iter().collect();
    HttpAnswer { status: 200, retry_after: None, date: None, body: SecretBytes::new(keys.to_json()) }
}
