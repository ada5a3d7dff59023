//! `credentials.json`: the known ways to pass off a token as one that is believed, for EdDSA (WIRE section 2.3, RFC 8725), and the
//! same for proofs of possession (WIRE section 2.4, RFC 9449). Each is a whole token, with the reason that it is refused with.

mod proofs;
mod tokens;

use data_encoding::BASE64URL_NOPAD;
use proto_core::{
    Reason, UnixTime,
    crypto::Identity,
    jose::{Expectation, Expiry, JwkSet, ProofTarget, Thumbprint, verify, verify_proof},
    secret::{Secret, SecretText},
};
use serde::{Deserialize, Serialize};

use crate::{counted_distinct, file::committed};

#[derive(Serialize, Deserialize)]
struct Document {
    about: String,
    /// The document that the platform publishes.
    key_set: String,
    /// What `iss` has to be.
    issuer: String,
    tokens: Vec<Credential>,
    proofs: Vec<Possession>,
}

#[derive(Serialize, Deserialize)]
struct Credential {
    name: String,
    token: String,
    /// The verifier's clock, unix seconds.
    now: u64,
    /// Which end of validity counts: `exp`, `rexp` or `none`.
    expiry: String,
    /// `believed`, or the reason.
    expected: String,
}

#[derive(Serialize, Deserialize)]
struct Possession {
    name: String,
    proof: String,
    method: String,
    url: String,
    /// The credential that goes with the request.
    token: String,
    /// The thumbprint in the credential's `cnf.jkt`.
    owner: String,
    now: u64,
    expected: String,
}

const ISSUER: &str = "https://viewport.example";
const NOW: u64 = 1_700_000_000;

/// The platform's key, and one that it does not have.
fn signer(byte: u8) -> Identity {
    Identity::from_seed(Secret::new([byte; 32]))
}

fn platform() -> Identity {
    signer(0x71)
}

fn device() -> Identity {
    signer(0x33)
}

fn thumbprint(of: &Identity) -> String {
    Thumbprint::of_identity_key(of.identity_key()).to_string()
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

/// A compact JWS of any header and payload.
fn jws(header: &str, payload: &str, by: &Identity) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = by.sign(input.as_bytes());
    format!("{input}.{}", encode(signature.0))
}

#[test]
fn tokens_are_believed_and_refused_as_in_the_file() {
    let keys: JwkSet = [platform().identity_key()].into_iter().collect();
    let made = Document {
        about: "Credentials and proofs of possession that must be believed or refused: docs/WIRE.md section 2. See README.md."
            .into(),
        key_set: keys.to_json(),
        issuer: ISSUER.into(),
        tokens: tokens::all(),
        proofs: proofs::all(),
    };
    let file = committed("credentials.json", &made);
    let keys = JwkSet::parse(file.key_set.as_bytes()).unwrap();
    for vector in &file.tokens {
        let expiry = match vector.expiry.as_str() {
            "exp" => Expiry::Connect,
            "rexp" => Expiry::Renew,
            "none" => Expiry::Ignored,
            other => panic!("{other}"),
        };
        let expectation = Expectation { issuer: Some(file.issuer.clone()), expiry };
        let verified = verify(&SecretText::new(vector.token.as_str()), &keys, UnixTime(vector.now), &expectation);
        assert_eq!(verified.map_or_else(Reason::code, |_| "believed"), vector.expected, "{}", vector.name);
    }
    file.proofs.iter().for_each(check_proof);
    let tokens = file.tokens.iter().map(|v| format!("{} {} {}", v.token, v.now, v.expiry));
    let proofs = file.proofs.iter().map(|v| format!("{} {} {} {} {} {}", v.proof, v.method, v.url, v.token, v.owner, v.now));
    counted_distinct("credentials.json", tokens.chain(proofs));
}

fn check_proof(vector: &Possession) {
    let token = SecretText::new(vector.token.as_str());
    let target = ProofTarget { method: &vector.method, url: &vector.url, token: &token };
    let owner: Thumbprint = serde_json::from_value(vector.owner.clone().into()).unwrap();
    let verified = verify_proof(&SecretText::new(vector.proof.as_str()), target, owner, UnixTime(vector.now));
    assert_eq!(verified.map_or_else(Reason::code, |_| "believed"), vector.expected, "{}", vector.name);
}
