//! Public keys as JSON (RFC 7517, RFC 8037), sets of them, and their thumbprints (RFC 7638).

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};

use super::{jws::Algorithm, strict};
use crate::{
    key::{IdentityKey, StaticKey},
    wire::Malformed,
};

/// The most keys that are read from one set.
pub const MAX_KEYS: usize = 64;

/// The RFC 7638 thumbprint of a public key: its name everywhere. 43 characters of base64url as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    /// The thumbprint of an Ed25519 key (RFC 8037 section 2).
    pub fn of_identity_key(key: IdentityKey) -> Self {
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, key.to_base64url());
        Self(Sha256::digest(canonical).into())
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| D::Error::custom("expected a thumbprint: 32 bytes in base64url without padding"))
    }
}

/// `{"kty":"OKP","crv":…,"x":…}`, as it stands in a confirmation and in a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Okp<C, K> {
    kty: KeyType,
    crv: C,
    pub(super) x: K,
    #[serde(default, skip_serializing)]
    d: NoPrivateKey,
}

/// Stands where a private key would stand, and refuses it (RFC 9449 section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct NoPrivateKey;

impl<'de> Deserialize<'de> for NoPrivateKey {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("a private key"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum KeyType {
    #[serde(rename = "OKP")]
    Okp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Ed25519 {
    Ed25519,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum X25519 {
    X25519,
}

impl From<IdentityKey> for Okp<Ed25519, IdentityKey> {
    fn from(x: IdentityKey) -> Self {
        Self { kty: KeyType::Okp, crv: Ed25519::Ed25519, x, d: NoPrivateKey }
    }
}

impl From<StaticKey> for Okp<X25519, StaticKey> {
    fn from(x: StaticKey) -> Self {
        Self { kty: KeyType::Okp, crv: X25519::X25519, x, d: NoPrivateKey }
    }
}

/// The keys that credentials are verified with, by thumbprint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct JwkSet {
    keys: BTreeMap<Thumbprint, IdentityKey>,
}

impl JwkSet {
    /// Reads a JWK set document (RFC 7517 section 5).
    ///
    /// Keys that are not ours to use (another type, curve, algorithm or use, a `kid` that is not the key's thumbprint, bytes
    /// that are no key) are left out, as the RFC asks; so are those after the first [`MAX_KEYS`].
    ///
    /// # Errors
    /// [`Malformed`]: this is no key set at all.
    pub fn parse(document: &[u8]) -> Result<Self, Malformed> {
        let document: Document = strict::object(document).ok_or(Malformed("key set"))?;
        let keys = document.keys.into_iter().take(MAX_KEYS).filter_map(Foreign::usable);
        Ok(keys.collect())
    }

    /// The document that the platform publishes.
    pub fn to_json(&self) -> String {
        let keys: Vec<_> = self.keys.iter().map(|(kid, key)| Published::new(*kid, *key)).collect();
        serde_json::json!({ "keys": keys }).to_string()
    }

    /// The key of that name.
    pub fn get(&self, kid: Thumbprint) -> Option<IdentityKey> {
        self.keys.get(&kid).copied()
    }

    /// Whether there is no key in it.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys there are, at most [`MAX_KEYS`].
    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

impl FromIterator<IdentityKey> for JwkSet {
    fn from_iter<I: IntoIterator<Item = IdentityKey>>(keys: I) -> Self {
        Self { keys: keys.into_iter().map(|key| (Thumbprint::of_identity_key(key), key)).collect() }
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Foreign>,
}

/// A key as others may publish it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Foreign {
    Ours(Published),
    Other(serde::de::IgnoredAny),
}

impl Foreign {
    fn usable(self) -> Option<IdentityKey> {
        match self {
            Self::Ours(key) => (key.kid == Thumbprint::of_identity_key(key.public.x)).then_some(key.public.x),
            Self::Other(_) => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Published {
    #[serde(flatten)]
    public: Okp<Ed25519, IdentityKey>,
    kid: Thumbprint,
    #[serde(rename = "use", default)]
    purpose: Purpose,
    #[serde(default)]
    alg: Algorithm,
}

#[derive(Default, Serialize, Deserialize)]
enum Purpose {
    #[default]
    #[serde(rename = "sig")]
    Signature,
}

impl Published {
    fn new(kid: Thumbprint, key: IdentityKey) -> Self {
        Self { public: key.into(), kid, purpose: Purpose::Signature, alg: Algorithm::EdDsa }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const KID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    fn key() -> IdentityKey {
        IdentityKey::from_base64url(X).unwrap()
    }

    /// RFC 8037 appendix A.3.
    #[test]
    fn the_thumbprint_of_rfc_8037_comes_out() {
        assert_eq!(Thumbprint::of_identity_key(key()).to_string(), KID);
        assert_eq!(format!("{:?}", Thumbprint::of_identity_key(key())), format!("Thumbprint({KID})"));
    }

    #[test]
    fn a_set_survives_its_document() {
        let set: JwkSet = [key(), IdentityKey([3; 32])].into_iter().collect();
        let read = JwkSet::parse(set.to_json().as_bytes()).unwrap();
        assert_eq!(read, set);
        assert_eq!(read.get(Thumbprint::of_identity_key(key())), Some(key()));
        assert_eq!(read.get(Thumbprint([0; 32])), None);
        let one: JwkSet = [key()].into_iter().collect();
        let expected =
            alloc::format!(r#"{{"keys":[{{"alg":"EdDSA","crv":"Ed25519","kid":"{KID}","kty":"OKP","use":"sig","x":"{X}"}}]}}"#);
        assert_eq!(one.to_json(), expected);
    }

    #[test]
    fn foreign_keys_are_left_out_and_ours_kept() {
        let document = alloc::format!(
            r#"{{"extra":1,"keys":[
                {{"kty":"OKP","crv":"Ed25519","kid":"{KID}","x":"{X}","more":[1]}},
                {{"kty":"OKP","crv":"Ed25519","kid":"{KID}","x":"{X}","use":"sig","alg":"EdDSA"}},
                {{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"{KID}"}},
                {{"kty":"OKP","crv":"X25519","kid":"{KID}","x":"{X}"}},
                {{"kty":"OKP","crv":"Ed25519","kid":"{KID}","x":"{X}","use":"enc"}},
                {{"kty":"OKP","crv":"Ed25519","kid":"{KID}","x":"{X}","alg":"HS256"}},
                {{"kty":"OKP","crv":"Ed25519","kid":"other","x":"{X}"}},
                {{"kty":"OKP","crv":"Ed25519","x":"{X}"}},
                "text", 1, null, []
            ]}}"#
        );
        let set = JwkSet::parse(document.as_bytes()).unwrap();
        assert_eq!(set, [key()].into_iter().collect());
    }

    /// RFC 7517 section 9.2: a key whose private half is published proves nothing.
    #[test]
    fn a_key_that_shows_its_private_half_is_left_out() {
        for (member, kept) in [("d", 0), ("e", 1)] {
            for value in [r#""AAAA""#, "null", "{}"] {
                let document =
                    format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{KID}","x":"{X}","{member}":{value}}}]}}"#);
                assert_eq!(JwkSet::parse(document.as_bytes()).unwrap().len(), kept, "{member}: {value}");
            }
        }
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for bad in ["", "[]", "{}", "<html>", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "[[]]"] {
            assert!(JwkSet::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(JwkSet::parse(br#"{"keys":[]}"#).unwrap().is_empty());
    }

    #[test]
    fn a_set_is_bounded() {
        let many: Vec<_> = (0..=u8::MAX)
            .map(|n| Published::new(Thumbprint::of_identity_key(IdentityKey([n; 32])), IdentityKey([n; 32])))
            .collect();
        let document = serde_json::json!({ "keys": many }).to_string();
        assert_eq!(JwkSet::parse(document.as_bytes()).unwrap().len(), MAX_KEYS);
    }
}
