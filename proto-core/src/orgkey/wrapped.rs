//! A generation's secret, handed from one viewing device to another.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Context, Fixed, Generation, Sealed, SealingKey, WrappingKeys};
use crate::{
    Entropy,
    crypto::{Identity, verify},
    id::{OrgId, PlatformId},
    key::{IdentityKey, Signature},
    wire::Malformed,
};

/// A generation's secret for one device, signed by the device that handed it over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wrapped {
    generation: u32,
    sealed: Sealed,
    giver: Fixed<32>,
    signature: Fixed<64>,
}

impl Wrapped {
    /// The longest one, in bytes.
    pub const MAX: usize = 1_536;

    /// Wraps `secret`, that of `generation`, for the device with the wrapping key `key`.
    ///
    /// # Errors
    /// `key` is no public key.
    pub fn wrap(
        org: &OrgId,
        target: &PlatformId,
        key: &SealingKey,
        generation: u32,
        secret: &Generation,
        giver: &Identity,
        entropy: &Entropy,
    ) -> Result<Self, Malformed> {
        let context = context(org, target, generation);
        let sealed = key.seal(secret.secret(), &context, entropy)?;
        let signature = Fixed(giver.sign(&signed(context, &sealed)).0);
        Ok(Self { generation, sealed, giver: Fixed(giver.identity_key().0), signature })
    }

    /// Opens it with the device's own key. `None`: it is not for this device, or not from the device that it names.
    pub fn open(&self, org: &OrgId, target: &PlatformId, keys: &WrappingKeys) -> Option<Generation> {
        let context = context(org, target, self.generation);
        let opened = keys.opening_key().open(&self.sealed, &context)?;
        let is_signed = verify(self.giver(), &signed(context, &self.sealed), &Signature(self.signature.0));
        is_signed.then(|| Generation::new(opened))
    }

    /// Whether the device that it names handed it to that one.
    pub fn is_by_its_giver(&self, org: &OrgId, target: &PlatformId) -> bool {
        verify(self.giver(), &signed(context(org, target, self.generation), &self.sealed), &Signature(self.signature.0))
    }

    /// Of which generation.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The identity key of the device that handed it over.
    pub const fn giver(&self) -> IdentityKey {
        IdentityKey(self.giver.0)
    }

    /// Postcard bytes.
    pub fn encode(&self) -> Vec<u8> {
        // Growing a vector is the only thing that could fail, and that aborts.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Reads postcard bytes; nothing may follow.
    ///
    /// # Errors
    /// They are no such thing. The signature is not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        match postcard::take_from_bytes::<Self>(bytes) {
            Ok((wrapped, [])) if bytes.len() <= Self::MAX && wrapped.encode() == bytes => Ok(wrapped),
            _ => Err(Malformed("wrapped generation")),
        }
    }
}

fn context(org: &OrgId, target: &PlatformId, generation: u32) -> Vec<u8> {
    Context::new("viewport/1 handover ").org(org).text(target.as_str()).number(generation).0
}

fn signed(context: Vec<u8>, sealed: &Sealed) -> Vec<u8> {
    let [encapsulated, ciphertext] = sealed.parts();
    Context(context).bytes(encapsulated).bytes(ciphertext).0
}
