//! Proof of possession of an identity key for one HTTP request (RFC 9449).

use alloc::{borrow::ToOwned, string::String};

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    jwk::{Ed25519, Okp, Thumbprint},
    jws::{Algorithm, Compact, compact},
    strict,
};
use crate::{
    Entropy, Reason, crypto::Identity, key::IdentityKey, machine::time::UnixTime, secret::SecretText, wire::MAX_TOKEN_LEN,
};

/// How far a proof's `iat` may be from the verifier's clock, in seconds, before and after.
const WINDOW: u64 = 300;

/// The request that a proof is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProofTarget<'a> {
    /// The HTTP method, in capitals.
    pub method: &'a str,
    /// The absolute URL without query and fragment, byte for byte as both sides know it.
    pub url: &'a str,
    /// The token that goes with the request.
    pub token: &'a SecretText,
}

/// A proof that held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proof {
    /// The key that was proven.
    pub identity_key: IdentityKey,
    /// Unique to the proof; a server that refuses replays remembers it until [`Proof::forget_at`].
    pub id: String,
    /// From then on the proof is refused anyway.
    pub forget_at: UnixTime,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: Type,
    alg: Algorithm,
    #[serde(deserialize_with = "strict::member")]
    jwk: Okp<Ed25519, IdentityKey>,
}

#[derive(Serialize, Deserialize)]
enum Type {
    #[serde(rename = "dpop+jwt")]
    Proof,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    jti: String,
    htm: String,
    htu: String,
    iat: UnixTime,
    ath: String,
}

/// Makes the value of the `DPoP` header. `entropy` makes its `jti` unique.
pub fn prove(identity: &Identity, target: ProofTarget<'_>, now: UnixTime, entropy: &Entropy) -> SecretText {
    let header = Header { typ: Type::Proof, alg: Algorithm::EdDsa, jwk: identity.identity_key().into() };
    let payload = Payload {
        jti: BASE64URL_NOPAD.encode(entropy.derive("dpop jti").expose()),
        htm: target.method.to_owned(),
        htu: target.url.to_owned(),
        iat: now,
        ath: hash(target.token),
    };
    compact(&header, &payload, |message| identity.sign(message))
}

/// Checks the value of a `DPoP` header against the request it came with and the token's `cnf.jkt`.
///
/// # Errors
/// The first of these that holds: [`Reason::TokenMalformed`] (its shape), [`Reason::SignatureMismatch`],
/// [`Reason::TokenKeyMismatch`] (another key, request or token), [`Reason::TokenNotYetValid`] (the clocks are more than 300 s
/// apart, either way).
pub fn verify_proof(proof: &SecretText, target: ProofTarget<'_>, owner: Thumbprint, now: UnixTime) -> Result<Proof, Reason> {
    let (jws, identity_key, payload) = take_apart(proof.expose()).ok_or(Reason::TokenMalformed)?;
    if !jws.holds_under(identity_key) {
        return Err(Reason::SignatureMismatch);
    }
    let for_request = payload.htm == target.method && payload.htu == target.url && payload.ath == hash(target.token);
    if Thumbprint::of_identity_key(identity_key) != owner || !for_request {
        return Err(Reason::TokenKeyMismatch);
    }
    if payload.iat.since(now).max(now.since(payload.iat)) > WINDOW {
        return Err(Reason::TokenNotYetValid);
    }
    Ok(Proof { identity_key, id: payload.jti, forget_at: payload.iat.plus(WINDOW.saturating_add(1)) })
}

fn take_apart(proof: &str) -> Option<(Compact, IdentityKey, Payload)> {
    let jws = (proof.len() <= MAX_TOKEN_LEN).then(|| Compact::parse(proof))??;
    let header: Header = strict::object(&jws.header)?;
    let payload = strict::object(&jws.payload)?;
    Some((jws, header.jwk.x, payload))
}

fn hash(token: &SecretText) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(token.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const NOW: UnixTime = UnixTime(1_000_000);
    const URL: &str = "https://viewport.example/api/credentials/rotate";

    fn identity(seed: u8) -> Identity {
        Identity::from_seed(Secret::new([seed; 32]))
    }

    fn owner() -> Thumbprint {
        Thumbprint::of_identity_key(identity(1).identity_key())
    }

    #[test]
    fn a_proof_holds_for_its_request_key_and_time() {
        let token = SecretText::new("token");
        let target = ProofTarget { method: "POST", url: URL, token: &token };
        let proof = prove(&identity(1), target, NOW, &Entropy::new([2; 32]));
        let check = |target, owner, now| verify_proof(&proof, target, owner, now);
        let held = check(target, owner(), NOW).unwrap();
        assert_eq!(held.identity_key, identity(1).identity_key());
        assert_eq!(held.id.len(), 43);

        let another = SecretText::new("another");
        for wrong in [
            ProofTarget { method: "GET", ..target },
            ProofTarget { url: "https://viewport.example/", ..target },
            ProofTarget { token: &another, ..target },
        ] {
            assert_eq!(check(wrong, owner(), NOW), Err(Reason::TokenKeyMismatch));
        }
        let stranger = Thumbprint::of_identity_key(identity(2).identity_key());
        assert_eq!(check(target, stranger, NOW), Err(Reason::TokenKeyMismatch));
        assert!(check(target, owner(), NOW.plus(300)).is_ok());
        assert!(check(target, owner(), UnixTime(NOW.0 - 300)).is_ok());
        assert_eq!(check(target, owner(), NOW.plus(301)), Err(Reason::TokenNotYetValid));
        assert_eq!(check(target, owner(), UnixTime(NOW.0 - 301)), Err(Reason::TokenNotYetValid));
        assert_eq!(held.forget_at, NOW.plus(301));
    }

    /// JWT-2, for proofs.
    #[test]
    fn no_bit_of_a_proof_may_change() {
        let token = SecretText::new("token");
        let target = ProofTarget { method: "POST", url: URL, token: &token };
        let proof = prove(&identity(1), target, NOW, &Entropy::new([2; 32]));
        for at in 0..proof.expose().len() * 8 {
            let mut bytes = proof.expose().as_bytes().to_vec();
            bytes[at / 8] ^= 1 << (at % 8);
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert!(verify_proof(&SecretText::new(text), target, owner(), NOW).is_err(), "bit {at}");
        }
    }

    /// RFC 9449 section 4.3: a private key that is shown is private no more.
    #[test]
    fn a_proof_that_shows_a_private_key_is_refused() {
        let key = identity(1).identity_key().to_base64url();
        for d in [r#""AAAA""#, "null", "{}"] {
            let header =
                alloc::format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{{"d":{d},"kty":"OKP","crv":"Ed25519","x":"{key}"}}}}"#);
            assert!(strict::object::<Header>(header.as_bytes()).is_none(), "{d}");
            assert!(strict::object::<Header>(header.replace("\"d\"", "\"e\"").as_bytes()).is_some());
        }
    }

    #[test]
    fn every_proof_is_another() {
        let token = SecretText::new("token");
        let target = ProofTarget { method: "POST", url: URL, token: &token };
        let prove = |entropy| prove(&identity(1), target, NOW, &Entropy::new([entropy; 32]));
        assert_ne!(prove(1), prove(2));
    }
}
