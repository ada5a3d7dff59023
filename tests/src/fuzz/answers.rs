//! What the platform answers (WIRE sections 2 and 3): anything may come instead.

use proto_core::{
    Entropy, Instant, UnixTime, WallClock,
    api::{
        Approval, CODE_ALPHABET, MintAnswer, PairingMode, PolicyMode, PollAnswer, Problem, Renewed, Revocations, ValidateAnswer,
    },
    device::pairing::{EffectId, Input, Output, Pairing, Settings},
    effect::{Effect, HttpAnswer, IoEvent},
    id::DeviceKind,
    secret::SecretBytes,
};
use serde::{Serialize, de::DeserializeOwned};

use super::driven::Driven;

const API: &str = "https://api.example/";

/// An answer that is understood is written back to one that means the same; and a device shows a person, and keeps, only what
/// WIRE section 2 allows: a code of its alphabet, a web address without anything that could move a cursor, a time that ends.
/// The first byte says which question was asked.
pub fn answers(data: &[u8]) {
    let Some((which, body)) = data.split_first() else { return };
    match which % 7 {
        0 => minted(body),
        1 => drop(written_back::<PollAnswer>(body)),
        2 => drop(written_back::<Approval>(body)),
        3 => drop(written_back::<Renewed>(body)),
        4 => validated(body),
        5 => drop(written_back::<Revocations>(body)),
        _ => drop(written_back::<Problem>(body)),
    }
}

fn written_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(body: &[u8]) -> Option<T> {
    let answer: T = serde_json::from_slice(body).ok()?;
    let written = serde_json::to_vec(&answer).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&written).ok().as_ref(), Some(&answer), "written as something else");
    Some(answer)
}

/// A PSK is 32 bytes or none, whatever the answer says.
fn validated(body: &[u8]) {
    let Some(answer) = written_back::<ValidateAnswer>(body) else { return };
    // A member that is not read may be no UTF-8, and then there is no document to compare with.
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    if let Some(psk) = answer.psk {
        let stated = document["psk"].as_str().expect("a PSK as text");
        assert_eq!(data_encoding::BASE64URL_NOPAD.encode(psk.expose()), stated, "a PSK that was not sent");
    }
    assert!(answer.policy_mode != Some(PolicyMode::CryptoPairing) || document["policy_mode"] == "crypto_pairing");
}

fn minted(body: &[u8]) {
    drop(written_back::<MintAnswer>(body));
    let now = Instant::from_nanos(1);
    let settings = Settings {
        api_endpoint: API.into(),
        kind: DeviceKind::Daemon,
        mode: PairingMode::New,
        org: None,
        name: "laptop".into(),
        software: "vpd 0.1.0".into(),
    };
    let clock = WallClock::new(now, UnixTime(1_800_000_000));
    let mut pairing = Driven::new(Pairing::start(now, clock, settings, &Entropy::new([7; 32])), now);
    let asked = pairing.drain().into_iter().find_map(|output| match output {
        Output::Effect(Effect::Http(effect_id @ EffectId::Mint(_), _)) => Some(effect_id),
        _ => None,
    });
    let answer = HttpAnswer { status: 201, retry_after: None, date: None, body: SecretBytes::new(body) };
    let outputs = pairing.input(Input::Io(IoEvent::Answered(asked.expect("a request for a code"), answer)));
    let keep = outputs.into_iter().flatten().find_map(|output| match output {
        Output::Effect(Effect::Store(effect_id, ..)) => Some(effect_id),
        Output::ShowCode(_) => panic!("PAIR-5: shown before it is durable"),
        _ => None,
    });
    let Some(keep) = keep else { return };
    let outputs = pairing.input(Input::Io(IoEvent::Stored(keep))).expect("room");
    let shown = outputs.into_iter().find_map(|output| if let Output::ShowCode(shown) = output { Some(shown) } else { None });
    let shown = shown.expect("a code that is durable is shown");
    assert!(shown.code.len() == 8 && shown.code.bytes().all(|byte| CODE_ALPHABET.contains(&byte)), "{:?}", shown.code);
    let is_web = shown.url.starts_with("https://") || shown.url.starts_with("http://");
    assert!(is_web && shown.url.bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", shown.url);
    assert!(shown.expires_at < Instant::MAX, "a code for ever");
}
