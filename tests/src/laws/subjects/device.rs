//! What the daemon's subject is made of: durable bindings, a good platform, a relay that lets in.

use bytes::Bytes;
use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    SessionId,
    effect::Effect,
    wire::{Frame, Head, Outcome},
};

use super::world::{Fate, fates, id_of, key_set, relay_identity, renewed, secret, socket_fates};
use crate::fixtures::handshake::second_message;

/// What a good platform answers to the request for this URL.
pub(super) fn body(url: &str) -> String {
    match url {
        _ if url.ends_with("jwks.json") => key_set(),
        _ if url.ends_with("rotate") => serde_json::to_string(&renewed(&secret(1), "A", "r1", 2)).unwrap(),
        _ if url.ends_with("pairing-codes") => serde_json::json!({
            "code": "BCDF2345", "status_token": "status", "url": "https://app.example/pair?code=BCDF2345", "expires_in": 900
        })
        .to_string(),
        _ => r#"{"status":"pending"}"#.into(),
    }
}

/// An effect's name, and the URL that it asks.
pub(super) fn asked<I: Clone>(effect: &Effect<I>) -> (I, String) {
    let url = if let Effect::Http(_, request) = effect { request.url.clone() } else { String::new() };
    (id_of(effect), url)
}

/// The relay's answer to the latest message.
pub(super) fn answered(sent: Option<&Bytes>) -> Bytes {
    second_message(&relay_identity(), sent.cloned().unwrap_or_default())
}

pub(super) fn session(number: u8) -> SessionId {
    SessionId([number; 16])
}

pub(super) fn frames() -> BoxedStrategy<Frame> {
    let data = |(number, sequence)| Frame {
        head: Head::Data { session: session(number), epoch: 0, sequence },
        body: Bytes::from_static(b"sealed"),
    };
    prop_oneof![
        3 => (1_u8..4, 0_u64..3).prop_map(data),
        1 => (1_u8..4).prop_map(|n| Head::Open { session: session(n), cipher: 2 }.into()),
        1 => (1_u8..4, 0_u64..3).prop_map(|(n, next)| Head::End { session: session(n), next, outcome: Outcome::Cut }.into()),
    ]
    .boxed()
}

/// Fates of everything that an uplink asks for; most WebSockets open.
pub(super) fn device_fates() -> BoxedStrategy<Fate<()>> {
    prop_oneof![3 => fates(Just(())), 3 => any::<u8>().prop_map(Fate::Connected), 1 => socket_fates()].boxed()
}
