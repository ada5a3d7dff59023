//! Credentials, key sets and proofs of possession (JWT-1, JWT-2, JWT-3).
//!
//! The fuzzer cannot forge signatures, so the targets sign whatever it wants to have signed: what is accepted must then be what an
//! independent reading of its JSON allows.

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use data_encoding::BASE64URL_NOPAD;
use proto_core::{
    Entropy, Reason, UnixTime,
    crypto::Identity,
    id::DeviceKind,
    jose::{
        Claims, Confirmation, Expectation, Expiry, JwkSet, MAX_KEYS, ProofTarget, RELAY_AUDIENCE, SKEW, Thumbprint, prove,
        verify, verify_proof,
    },
    secret::{Secret, SecretText},
};
use serde_json::Value;

const ISSUER: &str = "https://api.example";
const NOW: UnixTime = UnixTime(1_800_000_000);

/// A token to show.
#[derive(Arbitrary, Debug)]
enum Shown<'a> {
    /// Any text.
    Text(&'a str),
    /// Any header and payload, signed by the right key.
    Signed { header: Option<&'a str>, payload: &'a str },
    /// A good one with changed bytes.
    Changed(Vec<(u16, u8)>),
    /// A good one of any times.
    Times { not_before: u64, issued_at: u64, expires_at: u64, renewable_until: u64, now: u64 },
}

/// Making keys takes longer than everything else here.
static ISSUER_KEY: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(Secret::new([9; 32])));
static DEVICE: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(Secret::new([1; 32])));

fn good_header() -> String {
    let kid = Thumbprint::of_identity_key(ISSUER_KEY.identity_key());
    format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"viewport+jwt"}}"#)
}

fn claims() -> Claims {
    Claims {
        issuer: ISSUER.into(),
        audience: RELAY_AUDIENCE.into(),
        install: "i".parse().expect("an id"),
        org: "ORG".parse().expect("an id"),
        runtime_target: "r".parse().expect("an id"),
        machine: "m".parse().expect("an id"),
        role: DeviceKind::Daemon,
        generation: 1,
        confirmation: Confirmation {
            static_key: DEVICE.static_key(),
            identity: Thumbprint::of_identity_key(DEVICE.identity_key()),
        },
        issued_at: NOW,
        not_before: NOW,
        expires_at: NOW.plus(3_600),
        renewable_until: NOW.plus(2_592_000),
        id: "t".parse().expect("an id"),
    }
}

fn sign(header: &str, payload: &str) -> String {
    let input = format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(payload.as_bytes()));
    let signature = ISSUER_KEY.sign(input.as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(&signature.0))
}

fn sign_claims(claims: &Claims) -> String {
    sign(&good_header(), &serde_json::to_string(claims).expect("JSON"))
}

fn believe(token: &str, now: UnixTime, expiry: Expiry) -> Result<Claims, Reason> {
    let keys = [ISSUER_KEY.identity_key()].into_iter().collect();
    verify(&SecretText::new(token), &keys, now, &Expectation { issuer: Some(ISSUER.into()), expiry })
}

/// A credential is accepted only if the issuer signed exactly that, and only if it says what is demanded (JWT-1); no change of a
/// good one is (JWT-2); and by its times exactly while the documented rule says so.
pub fn credential(data: &[u8]) {
    match Unstructured::new(data).arbitrary::<Shown<'_>>() {
        Ok(Shown::Text(token)) => {
            assert!(believe(token, NOW, Expiry::Ignored).is_err() || token == sign_claims(&claims()), "not signed");
        }
        Ok(Shown::Signed { header, payload }) => signed(header.unwrap_or(&good_header()), payload),
        Ok(Shown::Changed(places)) => {
            let good = sign_claims(&claims());
            let shown = change(&good, &places);
            assert_eq!(believe(&shown, NOW, Expiry::Connect).is_ok(), shown == good, "JWT-2");
        }
        Ok(Shown::Times { not_before, issued_at, expires_at, renewable_until, now }) => {
            let times = [not_before, issued_at, expires_at, renewable_until].map(|unix| UnixTime(unix % (1 << 53)));
            check_times(times, UnixTime(now % (1 << 53)));
        }
        Err(_) => {}
    }
}

fn change(good: &str, places: &[(u16, u8)]) -> String {
    let mut shown = good.as_bytes().to_vec();
    for (at, mask) in places {
        let at = usize::from(*at) % shown.len();
        shown[at] ^= mask & 0x7f;
    }
    String::from_utf8(shown).expect("ASCII")
}

fn signed(header: &str, payload: &str) {
    let Ok(claims) = believe(&sign(header, payload), NOW, Expiry::Connect) else { return };
    let header: Value = serde_json::from_str(header).expect("a JSON header");
    let expected: Value = serde_json::from_str(&good_header()).expect("JSON");
    assert_eq!(header, expected, "JWT-1: another header was accepted");
    let payload: Value = serde_json::from_str(payload).expect("a JSON payload");
    let number = |name: &str| payload[name].as_u64().expect("a time");
    assert_eq!((payload["iss"].as_str(), payload["aud"].as_str()), (Some(ISSUER), Some(RELAY_AUDIENCE)));
    assert!(number("nbf").max(number("iat")) <= NOW.0 + SKEW && NOW.0 < number("exp").saturating_add(SKEW));
    assert_eq!(payload["org"].as_str(), Some(claims.org.as_str()));
    assert_eq!(payload["cnf"]["jwk"]["x"].as_str(), Some(claims.confirmation.static_key.to_base64url().as_str()));
    assert_eq!(payload["cnf"]["jkt"].as_str(), Some(claims.confirmation.identity.to_string().as_str()));
}

fn check_times([not_before, issued_at, expires_at, renewable_until]: [UnixTime; 4], now: UnixTime) {
    let token = sign_claims(&Claims { not_before, issued_at, expires_at, renewable_until, ..claims() });
    for (expiry, end) in [(Expiry::Connect, Some(expires_at)), (Expiry::Renew, Some(renewable_until)), (Expiry::Ignored, None)] {
        let is_early = not_before.max(issued_at).0 > now.0 + SKEW;
        let is_late = end.is_some_and(|end| now.0 >= end.0 + SKEW);
        let expected = match (is_early, is_late) {
            (true, _) => Err(Reason::TokenNotYetValid),
            (false, true) => Err(Reason::TokenExpired),
            (false, false) => Ok(()),
        };
        assert_eq!(believe(&token, now, expiry).map(drop), expected, "JWT-3");
    }
}

/// Keys that were read are named by their own thumbprints, are few, and stand in the document; the set survives being
/// published.
pub fn key_set(data: &[u8]) {
    let Ok(set) = JwkSet::parse(data) else { return };
    assert!(set.len() <= MAX_KEYS, "L8");
    assert_eq!(JwkSet::parse(set.to_json().as_bytes()).as_ref(), Ok(&set));
    let document: Value = serde_json::from_slice(data).expect("JSON");
    let stated = document["keys"].as_array().expect("keys");
    let known = stated.iter().filter_map(|key| {
        let kid: Thumbprint = serde_json::from_value(key.get("kid")?.clone()).ok()?;
        set.get(kid).filter(|found| Thumbprint::of_identity_key(*found) == kid).map(|_| kid)
    });
    assert_eq!(known.collect::<std::collections::BTreeSet<_>>().len(), set.len(), "a key from nowhere");
}

/// A proof of possession holds for the very request, token and key it was made for, within its window, and no other text does.
pub fn proof(data: &[u8]) {
    let Ok((places, text, skew, method, url, token)) =
        Unstructured::new(data).arbitrary::<(Vec<(u16, u8)>, Option<&str>, i32, bool, &str, &str)>()
    else {
        return;
    };
    let (own, other) = (SecretText::new("token"), SecretText::new(token));
    let made_for = ProofTarget { method: "POST", url: "https://api.example/api/credentials/rotate", token: &own };
    let genuine = prove(&DEVICE, made_for, NOW, &Entropy::new([2; 32]));
    let shown = text.map_or_else(|| change(genuine.expose(), &places), Into::into);
    let shown_for = ProofTarget {
        method: if method { "GET" } else { "POST" },
        url: if url.is_empty() { made_for.url } else { url },
        token: if token.is_empty() { &own } else { &other },
    };
    let now = UnixTime(NOW.0.saturating_add_signed(i64::from(skew % 1_000)));
    let owner = Thumbprint::of_identity_key(DEVICE.identity_key());
    let held = verify_proof(&SecretText::new(shown.clone()), shown_for, owner, now);
    let is_right = shown == genuine.expose() && shown_for == made_for && now.0.abs_diff(NOW.0) <= 300;
    assert_eq!(held.is_ok(), is_right, "{held:?}");
    if let Ok(held) = held {
        assert!(held.forget_at > now, "forgotten while it holds");
    }
}
