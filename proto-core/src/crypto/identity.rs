//! The key pair of a binding: who a device is towards one org, and no other.

use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt,
    hash::{Hash, Hasher},
};

use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use super::kdf::hkdf;
use crate::{
    key::{IdentityKey, Signature, StaticKey},
    secret::Secret,
};

/// What the signature over a static key begins with, so that it can be nothing else (WIRE section 2.1).
const STATIC_KEY_CONTEXT: &[u8] = b"viewport/1 static key ";

/// An X25519 key pair: names an end of a Noise handshake. Two are equal when their private halves are.
#[derive(Clone)]
pub struct StaticKeys {
    private: Secret,
    public: StaticKey,
}

impl StaticKeys {
    /// The pair of a private key (RFC 7748 section 5: any 32 bytes, clamped in use).
    pub fn from_private(private: Secret) -> Self {
        let public = StaticKey(MontgomeryPoint::mul_base_clamped(*private.expose()).to_bytes());
        Self { private, public }
    }

    /// The private half, for a Noise handshake.
    pub const fn private(&self) -> &Secret {
        &self.private
    }

    /// The public half.
    pub const fn public(&self) -> StaticKey {
        self.public
    }
}

impl PartialEq for StaticKeys {
    fn eq(&self, other: &Self) -> bool {
        self.private == other.private
    }
}

impl Eq for StaticKeys {}

impl Hash for StaticKeys {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.private.hash(state);
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticKeys({})", self.public.to_base64url())
    }
}

/// An Ed25519 key pair that is not a device's identity.
#[derive(Clone)]
pub(crate) struct SigningKeys(SigningKey);

impl SigningKeys {
    /// The pair whose private half is `private`.
    pub(crate) fn from_private(private: &Secret) -> Self {
        Self(SigningKey::from_bytes(private.expose()))
    }

    /// The public half.
    pub(crate) fn public(&self) -> IdentityKey {
        IdentityKey(*AsRef::<VerifyingKey>::as_ref(&self.0).as_bytes())
    }

    /// Signs with the private half.
    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

/// Both key pairs of a binding, derived from its seed (WIRE section 1, "Keys of a binding").
///
/// ```text
/// seed ─┬─ HKDF "viewport/1 identity"     ─► Ed25519: signs for the binding
///       └─ HKDF "viewport/1 noise static" ─► X25519:  names the device in Noise
/// ```
///
/// The public halves are worked out once, here. Two identities are equal when their seeds are.
///
/// Clones share it: its secrets are in memory once, and wiped with the last clone.
#[derive(Clone)]
pub struct Identity(Arc<Pairs>);

struct Pairs {
    seed: Secret,
    signing: SigningKey,
    static_keys: StaticKeys,
}

impl Identity {
    /// The identity that grows from `seed`: 32 random bytes that serve this one binding and nothing else.
    pub fn from_seed(seed: Secret) -> Self {
        let signing = SigningKey::from_bytes(hkdf(b"", &seed, b"viewport/1 identity").expose());
        let static_keys = StaticKeys::from_private(hkdf(b"", &seed, b"viewport/1 noise static"));
        Self(Arc::new(Pairs { seed, signing, static_keys }))
    }

    /// What must be kept to have this identity again.
    pub fn seed(&self) -> &Secret {
        &self.0.seed
    }

    /// The Ed25519 public key.
    pub fn identity_key(&self) -> IdentityKey {
        IdentityKey(*AsRef::<VerifyingKey>::as_ref(&self.0.signing).as_bytes())
    }

    /// The X25519 key pair, for Noise.
    pub fn static_keys(&self) -> &StaticKeys {
        &self.0.static_keys
    }

    /// The X25519 public key.
    pub fn static_key(&self) -> StaticKey {
        self.0.static_keys.public
    }

    /// Signs with the identity key (RFC 8032 section 5.1.6, deterministic).
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.signing.sign(message).to_bytes())
    }

    /// Vouches for the static key; goes with it when a code is minted (WIRE section 2.1).
    pub fn static_key_signature(&self) -> Signature {
        self.sign(&static_key_message(self.static_key()))
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.seed == other.0.seed
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.seed.hash(state);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.identity_key().to_base64url())
    }
}

/// Whether `signature` over `message` was made with the private half of `key`.
///
/// Strict: canonical encodings only, and no key or commitment of small order (RFC 8032 section 5.1.7 and the checks of
/// "Taming the many EdDSAs" on top), so that everybody agrees about every signature.
pub fn verify(key: IdentityKey, message: &[u8], signature: &Signature) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    VerifyingKey::from_bytes(&key.0).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
}

/// Whether the holder of `identity` vouches for `static_key` (WIRE section 2.1).
pub fn verify_static_key(identity: IdentityKey, static_key: StaticKey, signature: &Signature) -> bool {
    verify(identity, &static_key_message(static_key), signature)
}

fn static_key_message(static_key: StaticKey) -> Vec<u8> {
    [STATIC_KEY_CONTEXT, &static_key.0].concat()
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::testing::fingerprint;

    fn identity(seed: u8) -> Identity {
        Identity::from_seed(Secret::new([seed; 32]))
    }

    /// Everybody who reads WIRE section 1 arrives at these keys; worked out with another implementation.
    #[test]
    fn keys_grow_from_the_seed_as_written() {
        let identity = identity(7);
        assert_eq!(identity.identity_key().to_base64url(), "QrTpTeD5-ELc20uuupBeCnlCOlXXN5DaUWJm1LA-yCA");
        assert_eq!(identity.static_key().to_base64url(), "jFR5HYPBumAjXe2fweusllNZ1pUy8fV9823-naCAKn8");
    }

    #[test]
    fn signatures_hold_for_their_key_and_message_only() {
        let (one, other) = (identity(1), identity(2));
        let signature = one.sign(b"message");
        assert!(verify(one.identity_key(), b"message", &signature));
        assert!(!verify(one.identity_key(), b"massage", &signature));
        assert!(!verify(other.identity_key(), b"message", &signature));
        for bit in 0..512 {
            let mut flipped = signature;
            flipped.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(one.identity_key(), b"message", &flipped), "bit {bit}");
        }
    }

    #[test]
    fn a_static_key_is_vouched_for_by_its_own_identity() {
        let (one, other) = (identity(1), identity(2));
        let signature = one.static_key_signature();
        assert!(verify_static_key(one.identity_key(), one.static_key(), &signature));
        assert!(!verify_static_key(one.identity_key(), other.static_key(), &signature));
        assert!(!verify_static_key(other.identity_key(), one.static_key(), &signature));
        assert!(!verify(one.identity_key(), &one.static_key().0, &signature));
    }

    /// A key of small order "signs" anything under lax rules: R = A, S = 0.
    #[test]
    fn weak_keys_sign_nothing() {
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!verify(IdentityKey(neutral), b"anything", &Signature(signature)));
    }

    /// Identities are told apart by their seeds, key pairs by their private halves.
    #[test]
    fn keys_are_compared_by_what_is_secret() {
        assert!(identity(1) == identity(1) && identity(1) != identity(2));
        assert_eq!(fingerprint(&identity(1)), fingerprint(&identity(1)));
        assert_ne!(fingerprint(&identity(1)), fingerprint(&identity(2)));
        let pair = |seed| identity(seed).static_keys().clone();
        assert!(pair(1) == pair(1) && pair(1) != pair(2));
        assert_eq!(fingerprint(&pair(1)), fingerprint(&pair(1)));
        assert_ne!(fingerprint(&pair(1)), fingerprint(&pair(2)));
    }

    #[test]
    fn clones_share_the_secrets() {
        let one = identity(1);
        assert!(core::ptr::eq(one.seed(), one.clone().seed()));
    }

    #[test]
    fn debug_shows_no_secret() {
        let pair = identity(1).static_keys().clone();
        assert_eq!(format!("{pair:?}"), format!("StaticKeys({})", identity(1).static_key().to_base64url()));
        let shown = format!("{:?}", identity(1));
        assert!(shown.contains(&identity(1).identity_key().to_base64url()));
        assert!(!shown.contains('['));
    }
}
