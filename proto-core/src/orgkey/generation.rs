//! A generation's secret and what follows from it; and a viewing device's own key, for which generations are wrapped.

use alloc::vec::Vec;
use core::fmt;

use super::{Context, OpeningKey, SealingKey};
use crate::{
    Entropy,
    crypto::{Identity, SigningKeys, hkdf, verify},
    id::{OrgId, PlatformId},
    key::{IdentityKey, Signature},
    secret::Secret,
};

/// The secret of one generation of an organization's key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Generation(Secret);

/// What is public of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GenerationKey {
    /// Secrets are sealed to it.
    pub sealing: SealingKey,
    /// Signs the statement of the next generation.
    pub signing: IdentityKey,
}

impl Generation {
    /// A fresh one.
    pub fn generate(entropy: &Entropy) -> Self {
        Self(entropy.derive("generation"))
    }

    /// One that was kept or handed over.
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The bytes, for the device's own file and for other devices of members.
    pub const fn secret(&self) -> &Secret {
        &self.0
    }

    /// Its public halves.
    pub fn key(&self) -> GenerationKey {
        GenerationKey { sealing: self.opening_key().sealing_key(), signing: self.signing_keys().public() }
    }

    pub(super) fn opening_key(&self) -> OpeningKey {
        OpeningKey::new(hkdf(b"", &self.0, b"viewport/1 generation sealing"))
    }

    /// For the one seal that is made to this generation when it is made. Who could work it out can open that seal anyway.
    pub(super) fn link_entropy(&self) -> Entropy {
        Entropy::new(*hkdf(b"", &self.0, b"viewport/1 generation link").expose())
    }

    pub(super) fn signing_keys(&self) -> SigningKeys {
        SigningKeys::from_private(&hkdf(b"", &self.0, b"viewport/1 generation signing"))
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Generation(..)")
    }
}

/// The key of a viewing device for which generations are wrapped. It follows from the binding's seed, so nothing more is stored.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct WrappingKeys(OpeningKey);

impl WrappingKeys {
    /// Those of a binding.
    pub fn of(identity: &Identity) -> Self {
        Self(OpeningKey::new(hkdf(b"", identity.seed(), b"viewport/1 wrapping key")))
    }

    /// The public half, to be registered.
    pub fn public(&self) -> SealingKey {
        self.0.sealing_key()
    }

    pub(super) const fn opening_key(&self) -> &OpeningKey {
        &self.0
    }

    /// The signature with which it is registered.
    pub fn registration(public: &SealingKey, identity: &Identity, org: &OrgId, target: &PlatformId) -> Signature {
        identity.sign(&message(public, org, target))
    }
}

/// Whether the device with this identity registered this wrapping key, as this target of this organization.
pub fn verify_wrapping_key(
    identity: IdentityKey,
    public: &SealingKey,
    org: &OrgId,
    target: &PlatformId,
    signature: &Signature,
) -> bool {
    verify(identity, &message(public, org, target), signature)
}

fn message(public: &SealingKey, org: &OrgId, target: &PlatformId) -> Vec<u8> {
    Context::new("viewport/1 wrapping key ").org(org).text(target.as_str()).bytes(public.bytes()).0
}
