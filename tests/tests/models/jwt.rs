//! Credentials, key sets and proofs: everything that must be refused, one by one and bit by bit.

use data_encoding::BASE64URL_NOPAD;
use proto_core::{
    Entropy, Reason, UnixTime,
    crypto::Identity,
    id::DeviceKind,
    jose::{
        self, Claims, Expectation, Expiry, JwkSet, ProofTarget, SKEW, SigningKey, Thumbprint, Unverified, prove, verify,
        verify_proof,
    },
    secret::SecretText,
};
use serde_json::{Value, json};
use verification::models::given::{self, ISSUER, UNIX, identity, platform_key, secret};

fn claims() -> Claims {
    given::claims(&identity(1), "A", "r", 1)
}

fn keys() -> JwkSet {
    JwkSet::from_iter([platform_key().public_key(), signer().identity_key()])
}

fn expected(expiry: Expiry) -> Expectation {
    Expectation { issuer: Some(ISSUER.into()), expiry }
}

fn check_at(token: &str, now: u64) -> Result<Claims, Reason> {
    verify(&SecretText::new(token), &keys(), UnixTime(now), &expected(Expiry::Connect))
}

fn check(token: &str) -> Result<Claims, Reason> {
    check_at(token, UNIX.0)
}

fn encoded(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// Signs anything, and is a key of the platform.
fn signer() -> Identity {
    identity(0x51)
}

fn signed_as_is(header: &str, payload: &str) -> String {
    let input = format!("{}.{}", encoded(header.as_bytes()), encoded(payload.as_bytes()));
    let signature = signer().sign(input.as_bytes());
    format!("{input}.{}", encoded(&signature.0))
}

fn header() -> Value {
    let kid = Thumbprint::of_identity_key(signer().identity_key());
    json!({ "alg": "EdDSA", "kid": kid.to_string(), "typ": "viewport+jwt" })
}

fn payload() -> Value {
    serde_json::to_value(claims()).unwrap()
}

fn good() -> String {
    jose::sign(&claims(), &platform_key()).expose().to_owned()
}

/// JWT-2, enumerated: a flipped bit anywhere in header, payload or signature refuses, and so does one in the text.
#[test]
fn every_flipped_bit_of_a_credential_is_refused() {
    let token = good();
    assert!(check(&token).is_ok());
    let parts: Vec<Vec<u8>> = token.split('.').map(|part| BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).collect();
    for part in 0..3 {
        for bit in 0..parts[part].len() * 8 {
            let mut changed = parts.clone();
            changed[part][bit / 8] ^= 1 << (bit % 8);
            let changed: Vec<_> = changed.iter().map(|part| encoded(part)).collect();
            assert!(check(&changed.join(".")).is_err(), "JWT-2: part {part}, bit {bit}");
        }
    }
    for bit in 0..token.len() * 8 {
        let mut bytes = token.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(text) = String::from_utf8(bytes) {
            assert!(check(&text).is_err(), "JWT-2: character {}, bit {}", bit / 8, bit % 8);
        }
    }
    for len in 0..token.len() {
        assert!(check(&token[..len]).is_err() && check(&token[len + 1..]).is_err(), "JWT-2: cut at {len}");
    }
}

/// JWT-2: no key set with a flipped bit lets the old credential in, unless it still names the old key, and none panics.
#[test]
fn every_flipped_bit_of_a_key_set_is_harmless() {
    let document = given::key_set().into_bytes();
    let token = SecretText::new(good());
    for bit in 0..document.len() * 8 {
        let mut changed = document.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let Ok(keys) = JwkSet::parse(&changed) else { continue };
        let names_it = keys.get(platform_key().kid()) == Some(platform_key().public_key());
        let verdict = verify(&token, &keys, UNIX, &expected(Expiry::Connect));
        assert_eq!(verdict.is_ok(), names_it, "JWT-2: bit {bit}");
    }
    let x = platform_key().public_key().0;
    for bit in 0..x.len() * 8 {
        let mut other = x;
        other[bit / 8] ^= 1 << (bit % 8);
        let kid = platform_key().kid().to_string();
        let key = |kid: &str| json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": encoded(&other)}]});
        let keys = JwkSet::parse(key(&kid).to_string().as_bytes());
        let verdict = keys.map(|keys| verify(&token, &keys, UNIX, &expected(Expiry::Connect)));
        assert!(!matches!(verdict, Ok(Ok(_))), "JWT-2: bit {bit} of the key");
    }
}

/// JWT-1, the header: what else it may say, or say otherwise.
#[test]
fn another_header_is_refused() {
    let with = |name: &str, value: Value| {
        let mut header = header();
        header[name] = value;
        header.to_string()
    };
    let without = |name: &str| {
        let mut header = header();
        header.as_object_mut().unwrap().remove(name);
        header.to_string()
    };
    let kid = header()["kid"].as_str().unwrap().to_owned();
    let cases = [
        ("alg none", with("alg", json!("none"))),
        ("alg None", with("alg", json!("None"))),
        ("alg HS256, the public key as its secret", with("alg", json!("HS256"))),
        ("alg ES256", with("alg", json!("ES256"))),
        ("alg Ed25519", with("alg", json!("Ed25519"))),
        ("alg eddsa", with("alg", json!("eddsa"))),
        ("no alg", without("alg")),
        ("typ JWT", with("typ", json!("JWT"))),
        ("typ dpop+jwt", with("typ", json!("dpop+jwt"))),
        ("no typ", without("typ")),
        ("no kid", without("kid")),
        ("a kid that is no thumbprint", with("kid", json!("1"))),
        ("a kid with padding", with("kid", json!(format!("{kid}=")))),
        ("a kid that is a path", with("kid", json!("../../etc/passwd"))),
        ("crit", with("crit", json!(["exp"]))),
        ("crit, empty", with("crit", json!([]))),
        ("b64", with("b64", json!(false))),
        (
            "jwk, a key of its own",
            with("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(&identity(9).identity_key().0)})),
        ),
        ("jku", with("jku", json!("https://evil.example/jwks.json"))),
        ("x5u", with("x5u", json!("https://evil.example"))),
        ("zip", with("zip", json!("DEF"))),
        ("a member twice", header().to_string().replace('{', r#"{"alg":"EdDSA","#)),
        ("a member twice, spelt in escapes", header().to_string().replace('{', r#"{"\u0061lg":"EdDSA","#)),
        ("an array", "[]".into()),
        ("something behind it", format!("{}x", header())),
    ];
    assert!(check(&signed_as_is(&header().to_string(), &payload().to_string())).is_ok());
    for (case, header) in cases {
        assert_eq!(check(&signed_as_is(&header, &payload().to_string())), Err(Reason::TokenMalformed), "JWT-1: {case}");
    }
}

/// JWT-1, the payload: every claim is required, once, of its type.
#[test]
fn another_payload_is_refused() {
    let header = header().to_string();
    let names: Vec<String> = payload().as_object().unwrap().keys().cloned().collect();
    assert_eq!(names.len(), 14, "WIRE 2.3: {names:?}");
    for name in &names {
        let mut without = payload();
        without.as_object_mut().unwrap().remove(name);
        assert_eq!(check(&signed_as_is(&header, &without.to_string())), Err(Reason::TokenMalformed), "JWT-1: no {name}");
        for odd in [json!(null), json!([]), json!({}), json!(true), json!(-1), json!(1.5)] {
            let mut other = payload();
            other[name] = odd.clone();
            assert_eq!(check(&signed_as_is(&header, &other.to_string())), Err(Reason::TokenMalformed), "JWT-1: {name} is {odd}");
        }
        let twice = payload().to_string().replacen('{', &format!("{{\"{name}\":{},", payload()[name]), 1);
        assert_eq!(check(&signed_as_is(&header, &twice)), Err(Reason::TokenMalformed), "JWT-1: {name} twice");
    }
    for member in ["jwk", "jkt"] {
        let mut without = payload();
        without["cnf"].as_object_mut().unwrap().remove(member);
        assert_eq!(check(&signed_as_is(&header, &without.to_string())), Err(Reason::TokenMalformed), "JWT-1: no cnf.{member}");
    }
    for (kty, crv) in [("EC", "X25519"), ("OKP", "Ed25519"), ("OKP", "X448"), ("oct", "X25519")] {
        let mut other = payload();
        (other["cnf"]["jwk"]["kty"], other["cnf"]["jwk"]["crv"]) = (json!(kty), json!(crv));
        assert_eq!(check(&signed_as_is(&header, &other.to_string())), Err(Reason::TokenMalformed), "JWT-1: cnf {kty} {crv}");
    }
    // Claims of a later version are passed over.
    let mut more = payload();
    more["later"] = json!({"a": 1});
    assert!(check(&signed_as_is(&header, &more.to_string())).is_ok());
}

/// JWT-1, the form: canonical base64url and nothing else.
#[test]
fn another_spelling_is_refused() {
    let token = good();
    let parts: Vec<&str> = token.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("{token}") };
    for place in 0..3 {
        let padded: Vec<_> =
            (0..3).map(|part| if part == place { format!("{}=", parts[part]) } else { parts[part].into() }).collect();
        assert_eq!(check(&padded.join(".")), Err(Reason::TokenMalformed), "JWT-1: padding at {place}");
    }
    // The last character of 64 bytes has four spare bits: the 15 other spellings of the same signature.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = signature.split_at(signature.len() - 1);
    let value = alphabet.find(last).unwrap();
    for spare in 1..16 {
        let other = alphabet.chars().nth(value ^ spare).unwrap();
        assert_eq!(check(&format!("{head}.{body}.{start}{other}")), Err(Reason::TokenMalformed), "JWT-1: spare bits {spare}");
    }
    for (case, text) in [
        ("nothing", String::new()),
        ("two parts", format!("{head}.{body}")),
        ("no signature", format!("{head}.{body}.")),
        ("four parts", format!("{token}.{signature}")),
        ("five parts, as JWE has", format!("{head}...{body}.{signature}")),
        ("a space in front", format!(" {token}")),
        ("a newline behind", format!("{token}\n")),
        ("the other alphabet", format!("{head}.{body}.{}", signature.replace('-', "+").replace('_', "/") + "+")),
        ("too long", format!("{head}.{}.{signature}", "A".repeat(4_096))),
        ("JSON serialisation", json!({"payload": body, "protected": head, "signature": signature}).to_string()),
    ] {
        assert_eq!(check(&text), Err(Reason::TokenMalformed), "JWT-1: {case}");
    }
}

/// JWT-1: the key decides. A signature of another key of the set, or a key under another's name, is a mismatch.
#[test]
fn only_the_named_key_counts() {
    let other = SigningKey::from_seed(&secret(9));
    let both = JwkSet::from_iter([platform_key().public_key(), other.public_key()]);
    let token = jose::sign(&claims(), &other);
    assert_eq!(verify(&token, &keys(), UNIX, &expected(Expiry::Connect)), Err(Reason::SignatureMismatch));
    assert!(verify(&token, &both, UNIX, &expected(Expiry::Connect)).is_ok());
    let parsed = Unverified::parse(&token).unwrap();
    let under = parsed.verify_under(platform_key().public_key(), UNIX, &expected(Expiry::Connect));
    assert_eq!(under, Err(Reason::SignatureMismatch));
    // A key that is none of ours in the set does not become one.
    for odd in [
        json!({"kty": "oct", "alg": "HS256", "kid": platform_key().kid().to_string(), "k": encoded(&platform_key().public_key().0)}),
        json!({"kty": "OKP", "crv": "X25519", "kid": platform_key().kid().to_string(), "x": encoded(&platform_key().public_key().0)}),
        json!({"kty": "OKP", "crv": "Ed25519", "use": "enc", "kid": platform_key().kid().to_string(), "x": encoded(&platform_key().public_key().0)}),
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "HS256", "kid": platform_key().kid().to_string(), "x": encoded(&platform_key().public_key().0)}),
    ] {
        let keys = JwkSet::parse(json!({"keys": [odd]}).to_string().as_bytes()).unwrap_or_default();
        let verdict = verify(&SecretText::new(good()), &keys, UNIX, &expected(Expiry::Connect));
        assert_eq!(verdict, Err(Reason::SignatureMismatch), "JWT-1: {odd}");
    }
}

/// JWT-1: the audience.
#[test]
fn another_audience_or_issuer_is_refused() {
    let with = |change: &dyn Fn(&mut Claims)| {
        let mut claims = claims();
        change(&mut claims);
        check(jose::sign(&claims, &platform_key()).expose())
    };
    for audience in ["", "Viewport-relay", "viewport-relay ", "viewport-platform"] {
        assert_eq!(with(&|claims| claims.audience = audience.into()), Err(Reason::TokenWrongAudience), "JWT-1: {audience:?}");
    }
    for issuer in ["", "https://api.example/", "http://api.example", "https://API.example"] {
        assert_eq!(with(&|claims| claims.issuer = issuer.into()), Err(Reason::TokenWrongAudience), "JWT-1: {issuer:?}");
    }
    assert!(with(&|claims| claims.role = DeviceKind::Viewer).is_ok(), "the role is for the next step");
}

/// JWT-1, JWT-3: a plain sum says when it holds; every second around every limit, and at the ends of time.
#[test]
fn times_hold_exactly_as_documented() {
    let times =
        [UNIX.0 - 3_600, UNIX.0 - 61, UNIX.0 - 60, UNIX.0 - 59, UNIX.0, UNIX.0 + 60, UNIX.0 + 61, UNIX.0 + 3_600, 0, u64::MAX];
    for not_before in times {
        for issued_at in times {
            for expires_at in times {
                let mut claims = claims();
                (claims.not_before.0, claims.issued_at.0, claims.expires_at.0) = (not_before, issued_at, expires_at);
                // Only what times say is asked here, so the signature is made once and the moment moves.
                let token = jose::sign(&claims, &platform_key());
                let early = u128::from(not_before.max(issued_at)) > u128::from(UNIX.0) + u128::from(SKEW);
                let late = u128::from(UNIX.0) >= u128::from(expires_at) + u128::from(SKEW);
                let model = if early {
                    Err(Reason::TokenNotYetValid)
                } else if late {
                    Err(Reason::TokenExpired)
                } else {
                    Ok(())
                };
                assert_eq!(check(token.expose()).map(|_| ()), model, "JWT-1: {not_before} {issued_at} {expires_at}");
            }
        }
    }
}

/// JWT-3: wherever a verifier's clock jumps, an expired credential stays refused beyond the skew, and once the clock is right
/// again a good one is taken: nothing is remembered.
#[test]
fn a_clock_that_jumps_decides_anew() {
    let token = good();
    let (from, until) = (UNIX.0 - SKEW, UNIX.0 + 3_600 + SKEW - 1);
    for now in [UNIX.0, 0, u64::MAX, from - 1, from, until, until + 1, UNIX.0 + 86_400, UNIX.0] {
        let holds = (from..=until).contains(&now);
        assert_eq!(check_at(&token, now).is_ok(), holds, "JWT-3: at {now}");
    }
    // What may be renewed ends with rexp, and what is only read never.
    let renew = |now: u64| verify(&SecretText::new(token.clone()), &keys(), UnixTime(now), &expected(Expiry::Renew)).map(|_| ());
    let rexp = UNIX.0 + 2_592_000;
    assert_eq!([renew(rexp + SKEW - 1), renew(rexp + SKEW)], [Ok(()), Err(Reason::TokenExpired)], "D8");
    let read = verify(&SecretText::new(token.clone()), &keys(), UnixTime(u64::MAX), &expected(Expiry::Ignored));
    assert!(read.is_ok());
}

/// JWT-4: a stolen credential without its keys is worthless at rotation: no proof of another key, for another request, for
/// another token or of another time, and none with a flipped bit, is taken.
#[test]
fn a_stolen_credential_cannot_be_renewed() {
    const URL: &str = "https://api.example/api/credentials/rotate";
    let (token, other) = (SecretText::new(good()), SecretText::new("other"));
    let owner = claims().confirmation.identity;
    let target = ProofTarget { method: "POST", url: URL, token: &token };
    let entropy = || Entropy::new([3; 32]);
    let judge = |proof: &SecretText| verify_proof(proof, target, owner, UNIX).map(|_| ());
    let genuine = prove(&identity(1), target, UNIX, &entropy());
    assert_eq!(judge(&genuine), Ok(()));
    let thief = identity(9);
    let cases = [
        ("another key", prove(&thief, target, UNIX, &entropy()), Reason::TokenKeyMismatch),
        (
            "another method",
            prove(&identity(1), ProofTarget { method: "GET", ..target }, UNIX, &entropy()),
            Reason::TokenKeyMismatch,
        ),
        (
            "another URL",
            prove(&identity(1), ProofTarget { url: "https://evil.example", ..target }, UNIX, &entropy()),
            Reason::TokenKeyMismatch,
        ),
        (
            "another token",
            prove(&identity(1), ProofTarget { token: &other, ..target }, UNIX, &entropy()),
            Reason::TokenKeyMismatch,
        ),
        ("too old", prove(&identity(1), target, UnixTime(UNIX.0 - 301), &entropy()), Reason::TokenNotYetValid),
        ("too new", prove(&identity(1), target, UNIX.plus(301), &entropy()), Reason::TokenNotYetValid),
        ("the credential itself", token.clone(), Reason::TokenMalformed),
    ];
    for (case, proof, reason) in cases {
        assert_eq!(judge(&proof), Err(reason), "JWT-4: {case}");
    }
    let parts: Vec<Vec<u8>> = genuine.expose().split('.').map(|part| BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).collect();
    for part in 0..3 {
        for bit in 0..parts[part].len() * 8 {
            let mut changed = parts.clone();
            changed[part][bit / 8] ^= 1 << (bit % 8);
            let changed: Vec<_> = changed.iter().map(|part| encoded(part)).collect();
            assert!(judge(&SecretText::new(changed.join("."))).is_err(), "JWT-2: part {part}, bit {bit}");
        }
    }
}
