//! Compact JWS (RFC 7515 section 7.1) with EdDSA over Ed25519 (RFC 8037 section 3.1).

use alloc::{string::String, vec::Vec};
use core::{
    fmt,
    hash::{Hash, Hasher},
};

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::Signer;
use serde::{Deserialize, Serialize};

use super::jwk::Thumbprint;
use crate::{
    crypto,
    key::{IdentityKey, Signature},
    secret::{Secret, SecretText},
};

/// The one algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Algorithm {
    /// RFC 8037.
    #[default]
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// A key that signs credentials: the platform's. Equal when the seeds are.
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    kid: Thumbprint,
}

impl SigningKey {
    /// The key whose Ed25519 private key (RFC 8032 section 5.1.5) is `seed`.
    pub fn from_seed(seed: &Secret) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed.expose());
        let kid = Thumbprint::of_identity_key(IdentityKey(key.verifying_key().to_bytes()));
        Self { key, kid }
    }

    /// Its name in headers and key sets: the RFC 7638 thumbprint.
    pub const fn kid(&self) -> Thumbprint {
        self.kid
    }

    /// Its public half.
    pub fn public_key(&self) -> IdentityKey {
        IdentityKey(self.key.verifying_key().to_bytes())
    }

    pub(super) fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.key.sign(message).to_bytes())
    }
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.kid == other.kid
    }
}

impl Eq for SigningKey {}

impl Hash for SigningKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kid.hash(state);
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

/// The three parts of a compact JWS. Nothing in it is to be trusted before [`holds_under`](Self::holds_under).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Compact {
    pub(super) header: Vec<u8>,
    pub(super) payload: Vec<u8>,
    signing_input: String,
    signature: Signature,
}

impl Compact {
    /// Takes a token apart; `None` unless it is three parts of canonical base64url with a signature of 64 bytes.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let (signing_input, signature) = token.rsplit_once('.')?;
        let (header, payload) = signing_input.split_once('.')?;
        Some(Self {
            header: decode(header)?,
            payload: decode(payload)?,
            signature: Signature(decode(signature)?.try_into().ok()?),
            signing_input: signing_input.into(),
        })
    }

    pub(super) fn holds_under(&self, key: IdentityKey) -> bool {
        crypto::verify(key, self.signing_input.as_bytes(), &self.signature)
    }
}

/// Puts a token together.
pub(super) fn compact(header: &impl Serialize, payload: &impl Serialize, sign: impl FnOnce(&[u8]) -> Signature) -> SecretText {
    let mut token = encode_json(header);
    token.push('.');
    token.push_str(&encode_json(payload));
    let signature = sign(token.as_bytes());
    token.push('.');
    token.push_str(&BASE64URL_NOPAD.encode(&signature.0));
    SecretText::new(token)
}

fn encode_json(value: &impl Serialize) -> String {
    // Plain structs with text keys: there is nothing that JSON could not say.
    BASE64URL_NOPAD.encode(&serde_json::to_vec(value).unwrap_or_default())
}

fn decode(part: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(part.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fingerprint;

    /// RFC 8037 appendix A.4 and A.5.
    #[test]
    fn the_example_of_rfc_8037_is_made_and_holds() {
        let seed = BASE64URL_NOPAD.decode(b"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = SigningKey::from_seed(&Secret::new(seed.try_into().unwrap()));
        let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(BASE64URL_NOPAD.encode(&key.sign(input.as_bytes()).0), signature);
        let jws = Compact::parse(&alloc::format!("{input}.{signature}")).unwrap();
        assert!(jws.holds_under(key.public_key()));
        assert_eq!(jws.payload, b"Example of Ed25519 signing");
    }

    /// RFC 8032 section 7.1: the keys and the signatures, byte for byte, and that they verify.
    #[test]
    fn the_examples_of_rfc_8032_come_out() {
        let examples: serde_json::Value = serde_json::from_str(include_str!("rfc8032.json")).unwrap();
        let examples = examples.as_array().unwrap();
        for example in examples {
            let bytes = |name: &str| data_encoding::HEXLOWER.decode(example[name].as_str().unwrap().as_bytes()).unwrap();
            let key = SigningKey::from_seed(&Secret::new(bytes("private").try_into().unwrap()));
            assert_eq!(key.public_key().0.as_slice(), bytes("public"), "{}", example["name"]);
            let signature = key.sign(&bytes("message"));
            assert_eq!(signature.0.as_slice(), bytes("signature"), "{}", example["name"]);
            assert!(crypto::verify(key.public_key(), &bytes("message"), &signature));
        }
        assert_eq!(examples.len(), 5);
    }

    /// ADM-5: two keys are told apart by their name, and their name is all that a log shows.
    #[test]
    fn a_key_is_compared_and_shown_by_its_name() {
        let key = |seed: u8| SigningKey::from_seed(&Secret::new([seed; 32]));
        assert!(key(1) == key(1) && key(1) != key(2));
        assert_eq!(fingerprint(&key(1)), fingerprint(&key(1)));
        assert_ne!(fingerprint(&key(1)), fingerprint(&key(2)));
        assert_eq!(alloc::format!("{:?}", key(1)), alloc::format!("SigningKey({})", key(1).kid()));
    }

    #[test]
    fn only_canonical_compact_form_is_taken() {
        let signature = BASE64URL_NOPAD.encode(&[0; 64]);
        assert!(Compact::parse(&alloc::format!("e30.e30.{signature}")).is_some());
        for bad in [
            alloc::format!("e30.{signature}"),
            alloc::format!("e30.e30.e30.{signature}"),
            alloc::format!("e30=.e30.{signature}"),
            alloc::format!("e31.e30.{signature}"),
            alloc::format!("e3 0.e30.{signature}"),
            alloc::format!("e30.e+A.{signature}"),
            alloc::format!("e30.e30.{}", BASE64URL_NOPAD.encode(&[0; 63])),
            "e30.e30.".into(),
            "..".into(),
            String::new(),
        ] {
            assert!(Compact::parse(&bad).is_none(), "{bad}");
        }
    }
}
