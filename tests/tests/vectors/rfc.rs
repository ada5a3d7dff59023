//! Examples that stand in RFCs (`tests/vectors/rfc.json`). Those for HKDF, and for making signatures, run in `proto-core`.

use proto_core::{
    crypto::verify,
    jose::{JwkSet, SigningKey, Thumbprint},
    key::{IdentityKey, Signature, StaticKey},
};
use serde_json::{Value, json};

use crate::{
    LIBRARIES, counted,
    file::{array, secret, unhex},
};

fn text<'a>(vector: &'a Value, member: &str) -> &'a str {
    vector[member].as_str().unwrap_or_else(|| panic!("no {member}: {vector}"))
}

#[test]
fn the_examples_of_the_rfcs_come_out() {
    let document: Value = serde_json::from_str(include_str!("../../vectors/rfc.json")).unwrap();
    let mut run = 0;
    for (family, check) in [("eddsa", eddsa as fn(&Value)), ("jws", jws), ("jwk", jwk), ("x25519", x25519)] {
        for vector in document[family].as_array().unwrap() {
            check(vector);
            run += 1;
        }
    }
    counted("RFC 8032, 8037, 7638, 7748", run);
}

/// The core's own tests run the same examples, from files inside their crate.
#[test]
fn the_core_has_the_same_examples() {
    let document: Value = serde_json::from_str(include_str!("../../vectors/rfc.json")).unwrap();
    let core = |text| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(document["hkdf_sha256"], core(include_str!("../../../proto-core/src/crypto/rfc5869.json")));
    assert_eq!(document["eddsa"], core(include_str!("../../../proto-core/src/jose/rfc8032.json")));
}

/// RFC 8032: what was signed verifies, and nothing else does.
fn eddsa(vector: &Value) {
    let key = SigningKey::from_seed(&secret(text(vector, "private"))).public_key();
    assert_eq!(key, IdentityKey(array(text(vector, "public"))), "{}", vector["name"]);
    let (mut message, mut signature) = (unhex(text(vector, "message")), Signature(array(text(vector, "signature"))));
    assert!(verify(key, &message, &signature), "{}", vector["name"]);
    message.push(0);
    assert!(!verify(key, &message, &signature));
    message.pop();
    signature.0[63] ^= 1;
    assert!(!verify(key, &message, &signature));
}

/// RFC 8037 appendix A.4 and A.5.
fn jws(vector: &Value) {
    let key = SigningKey::from_seed(&secret(text(vector, "private"))).public_key();
    assert_eq!(key, IdentityKey(array(text(vector, "public"))));
    let signature: Signature = serde_json::from_value(vector["signature"].clone()).unwrap();
    assert!(verify(key, text(vector, "signing_input").as_bytes(), &signature));
}

/// RFC 7638 and RFC 8037 appendix A.3: a key of ours is found under its thumbprint, and others are left out of a set.
fn jwk(vector: &Value) {
    let mut key: Value = serde_json::from_str(text(vector, "jwk")).unwrap();
    let is_ours = vector["is_ours"].as_bool().unwrap();
    if is_ours {
        key["kid"] = vector["thumbprint"].clone();
    }
    let set = JwkSet::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
    let kid: Thumbprint = serde_json::from_value(vector["thumbprint"].clone()).unwrap();
    let found = set.get(kid);
    assert_eq!(found.map(Thumbprint::of_identity_key), is_ours.then_some(kid), "{}", vector["name"]);
    assert_eq!(set.len(), usize::from(is_ours));
}

/// RFC 7748 and RFC 8037 appendix A.6.
fn x25519(vector: &Value) {
    for (library, primitives) in LIBRARIES {
        let shared = primitives.x25519(&secret(text(vector, "private")), StaticKey(array(text(vector, "public"))));
        assert_eq!(shared, Some(secret(text(vector, "shared"))), "{} on {library}", vector["name"]);
    }
}
