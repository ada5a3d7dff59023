use alloc::{format, string::ToString, vec::Vec};

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::*;
use crate::{crypto::Identity, id::DeviceKind, jose::Confirmation, secret::Secret};

const NOW: UnixTime = UnixTime(1_700_000_000);
const CONNECT: Expectation = Expectation { issuer: None, expiry: Expiry::Connect };

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([seed; 32]))
}

fn keys() -> JwkSet {
    [key(1).public_key()].into_iter().collect()
}

fn claims() -> Claims {
    let identity = Identity::from_seed(Secret::new([3; 32]));
    Claims {
        issuer: "https://viewport.example".into(),
        audience: RELAY_AUDIENCE.into(),
        install: "install_1".parse().unwrap(),
        org: "org_1".parse().unwrap(),
        runtime_target: "rt_1".parse().unwrap(),
        machine: "m_1".parse().unwrap(),
        role: DeviceKind::Daemon,
        generation: 1,
        confirmation: Confirmation {
            static_key: identity.static_key(),
            identity: Thumbprint::of_identity_key(identity.identity_key()),
        },
        issued_at: NOW,
        not_before: NOW,
        expires_at: NOW.plus(3600),
        renewable_until: NOW.plus(30 * 86_400),
        id: "t_1".parse().unwrap(),
    }
}

/// Signs whatever header and payload with a good key: what is refused then is refused for what it says.
fn token(header: &str, payload: &str) -> SecretText {
    let input = format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(payload.as_bytes()));
    let signature = key(1).sign(input.as_bytes());
    SecretText::new(format!("{input}.{}", BASE64URL_NOPAD.encode(&signature.0)))
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "kid": key(1).kid(), "typ": "viewport+jwt" })
}

fn check(token: &SecretText) -> Result<Claims, Reason> {
    verify(token, &keys(), NOW, &CONNECT)
}

#[test]
fn a_signed_credential_is_believed() {
    let token = sign(&claims(), &key(1));
    assert_eq!(check(&token), Ok(claims()));
    let (header, _) = token.expose().split_once('.').unwrap();
    let header = BASE64URL_NOPAD.decode(header.as_bytes()).unwrap();
    assert_eq!(
        core::str::from_utf8(&header),
        Ok(&*format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"viewport+jwt"}}"#, key(1).kid()))
    );
}

/// The claims as WIRE section 2.3 spells them.
#[test]
fn claims_are_spelt_as_written() {
    let Confirmation { static_key, identity } = claims().confirmation;
    let expected = json!({
        "iss": "https://viewport.example", "aud": "viewport-relay", "sub": "install_1", "org": "org_1", "rtg": "rt_1", "mid": "m_1",
        "role": "daemon", "gen": 1,
        "cnf": { "jwk": { "kty": "OKP", "crv": "X25519", "x": static_key.to_base64url() }, "jkt": identity.to_string() },
        "iat": NOW.0, "nbf": NOW.0, "exp": NOW.0 + 3600, "rexp": NOW.0 + 2_592_000, "jti": "t_1",
    });
    assert_eq!(serde_json::to_value(claims()).unwrap(), expected);
}

#[test]
fn claims_of_a_later_version_are_ignored() {
    let mut payload = serde_json::to_value(claims()).unwrap();
    payload["new"] = json!({ "a": [1, 2] });
    assert_eq!(check(&token(&header().to_string(), &payload.to_string())), Ok(claims()));
}

/// JWT-1: every single thing that may be wrong with a header.
#[test]
fn another_header_is_refused() {
    let kid = key(1).kid();
    let payload = serde_json::to_string(&claims()).unwrap();
    assert!(check(&token(&header().to_string(), &payload)).is_ok());
    for bad in [
        format!(r#"{{"alg":"none","kid":"{kid}","typ":"viewport+jwt"}}"#),
        format!(r#"{{"alg":"HS256","kid":"{kid}","typ":"viewport+jwt"}}"#),
        format!(r#"{{"alg":"eddsa","kid":"{kid}","typ":"viewport+jwt"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"JWT"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
        r#"{"alg":"EdDSA","typ":"viewport+jwt"}"#.to_string(),
        r#"{"alg":"EdDSA","kid":"1","typ":"viewport+jwt"}"#.to_string(),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}=","typ":"viewport+jwt"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"viewport+jwt","crit":[]}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"viewport+jwt","b64":true}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"viewport+jwt","jwk":{{}}}}"#),
        format!(r#"{{"alg":"EdDSA","alg":"EdDSA","kid":"{kid}","typ":"viewport+jwt"}}"#),
        format!(r#"["EdDSA","{kid}","viewport+jwt"]"#),
    ] {
        assert_eq!(check(&token(&bad, &payload)), Err(Reason::TokenMalformed), "{bad}");
    }
}

/// JWT-1: every claim is required, of its type, and there once.
#[test]
fn other_claims_are_refused() {
    let good = serde_json::to_value(claims()).unwrap();
    let header = header().to_string();
    for name in good.as_object().unwrap().keys() {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(name);
        assert_eq!(check(&token(&header, &without.to_string())), Err(Reason::TokenMalformed), "without {name}");
        let mut wrong = good.clone();
        wrong[name] = json!([]);
        assert_eq!(check(&token(&header, &wrong.to_string())), Err(Reason::TokenMalformed), "wrong {name}");
        let twice = good.to_string().replacen('{', &format!("{{\"{name}\":{},", good[name]), 1);
        assert_eq!(check(&token(&header, &twice)), Err(Reason::TokenMalformed), "twice {name}");
    }
    for (name, value) in [
        ("exp", json!(1.5)),
        ("exp", json!(-1)),
        ("exp", json!("1")),
        ("role", json!("admin")),
        ("org", json!("a/b")),
        ("sub", json!("")),
        ("cnf", json!([{ "kty": "OKP", "crv": "X25519", "x": good["cnf"]["jwk"]["x"] }, good["cnf"]["jkt"]])),
        ("cnf", json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": good["cnf"]["jwk"]["x"] }, "jkt": good["cnf"]["jkt"] })),
        ("cnf", json!({ "jwk": { "kty": "EC", "crv": "X25519", "x": good["cnf"]["jwk"]["x"] }, "jkt": good["cnf"]["jkt"] })),
    ] {
        let mut wrong = good.clone();
        wrong[name] = value;
        assert_eq!(check(&token(&header, &wrong.to_string())), Err(Reason::TokenMalformed), "{name}");
    }
}

#[test]
fn a_token_has_a_longest_length() {
    let mut payload = serde_json::to_value(claims()).unwrap();
    payload["padding"] = json!("x".repeat(4096));
    assert_eq!(check(&token(&header().to_string(), &payload.to_string())), Err(Reason::TokenMalformed));
}

#[test]
fn only_a_key_of_the_set_is_believed() {
    assert_eq!(check(&sign(&claims(), &key(2))), Err(Reason::SignatureMismatch));
    let forged = sign(&claims(), &key(2));
    let (input, _) = forged.expose().rsplit_once('.').unwrap();
    let (_, payload) = input.split_once('.').unwrap();
    let named = format!("{}.{payload}", BASE64URL_NOPAD.encode(header().to_string().as_bytes()));
    let signature = key(2).sign(named.as_bytes());
    let token = SecretText::new(format!("{named}.{}", BASE64URL_NOPAD.encode(&signature.0)));
    assert_eq!(check(&token), Err(Reason::SignatureMismatch));
    assert_eq!(verify(&sign(&claims(), &key(1)), &JwkSet::default(), NOW, &CONNECT), Err(Reason::SignatureMismatch));
}

/// JWT-2.
#[test]
fn no_bit_of_a_credential_may_change() {
    let token = sign(&claims(), &key(1));
    for bit in 0..token.expose().len() * 8 {
        let mut bytes: Vec<u8> = token.expose().into();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(text) = alloc::string::String::from_utf8(bytes) else { continue };
        assert!(check(&SecretText::new(text)).is_err(), "bit {bit}");
    }
}

#[test]
fn audience_and_issuer_are_checked() {
    let elsewhere = Claims { audience: "other".into(), ..claims() };
    assert_eq!(check(&sign(&elsewhere, &key(1))), Err(Reason::TokenWrongAudience));
    let expect = |issuer: &str| Expectation { issuer: Some(issuer.into()), expiry: Expiry::Connect };
    let good = sign(&claims(), &key(1));
    assert!(verify(&good, &keys(), NOW, &expect("https://viewport.example")).is_ok());
    assert_eq!(verify(&good, &keys(), NOW, &expect("https://viewport.example/")), Err(Reason::TokenWrongAudience));
}

/// JWT-1 and JWT-3: the edges of time, to the second.
#[test]
fn validity_ends_where_it_says() {
    let good = sign(&claims(), &key(1));
    let at = |now: u64, expiry| verify(&good, &keys(), UnixTime(now), &Expectation { issuer: None, expiry }).err();
    let (begin, end, renew) = (NOW.0, NOW.0 + 3600, NOW.0 + 2_592_000);
    for (now, connect, renewal, ignored) in [
        (begin - 61, Some(Reason::TokenNotYetValid), Some(Reason::TokenNotYetValid), Some(Reason::TokenNotYetValid)),
        (begin - 60, None, None, None),
        (end + 59, None, None, None),
        (end + 60, Some(Reason::TokenExpired), None, None),
        (renew + 59, Some(Reason::TokenExpired), None, None),
        (renew + 60, Some(Reason::TokenExpired), Some(Reason::TokenExpired), None),
        (u64::MAX, Some(Reason::TokenExpired), Some(Reason::TokenExpired), None),
    ] {
        assert_eq!(
            [at(now, Expiry::Connect), at(now, Expiry::Renew), at(now, Expiry::Ignored)],
            [connect, renewal, ignored],
            "{now}"
        );
    }
    let late = Claims { issued_at: NOW.plus(61), ..claims() };
    assert_eq!(check(&sign(&late, &key(1))), Err(Reason::TokenNotYetValid));
}

/// ADM-2: with several things wrong, the first in the documented order is named.
#[test]
fn the_first_failure_is_named() {
    let all_wrong = Claims { audience: "other".into(), not_before: NOW.plus(1000), expires_at: UnixTime(0), ..claims() };
    assert_eq!(check(&sign(&all_wrong, &key(2))), Err(Reason::SignatureMismatch));
    assert_eq!(check(&sign(&all_wrong, &key(1))), Err(Reason::TokenWrongAudience));
    let timing = Claims { audience: RELAY_AUDIENCE.into(), ..all_wrong };
    assert_eq!(check(&sign(&timing, &key(1))), Err(Reason::TokenNotYetValid));
}
