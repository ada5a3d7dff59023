//! 32 secret bytes sealed to a public key: HPKE (RFC 9180), base mode, X-Wing, HKDF-SHA256, ChaCha20-Poly1305.

use alloc::{boxed::Box, format};
use core::{convert::Infallible, fmt};

use hpke::{
    Deserializable as _, OpModeR, OpModeS, Serializable as _, aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::XWing,
    single_shot_open, single_shot_seal_with_rng,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Fixed;
use crate::{Entropy, secret::Secret, wire::Malformed};

type Public = <XWing as hpke::Kem>::PublicKey;
type Private = <XWing as hpke::Kem>::PrivateKey;
type Encapsulated = <XWing as hpke::Kem>::EncappedKey;

/// An X-Wing public key: it seals and does not open. On the wire it is 1,216 bytes.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealingKey(Box<Fixed<1216>>);

impl SealingKey {
    /// Takes 1,216 bytes.
    ///
    /// # Errors
    /// They are no public key.
    pub fn new(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes: [u8; 1216] = bytes.try_into().map_err(|_| Malformed("sealing key"))?;
        Public::from_bytes(&bytes).map_err(|_| Malformed("sealing key"))?;
        Ok(Self(Box::new(Fixed(bytes))))
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 1216] {
        &self.0.0
    }

    /// Seals `secret`; it opens only with the same `info`.
    ///
    /// # Errors
    /// The bytes are no public key, which is possible only in what was read and not [checked](Self::new).
    pub(super) fn seal(&self, secret: &Secret, info: &[u8], entropy: &Entropy) -> Result<Sealed, Malformed> {
        let key = Public::from_bytes(self.bytes()).map_err(|_| Malformed("sealing key"))?;
        let mut randomness = Randomness { entropy, drawn: 0 };
        let sealed = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            &key,
            info,
            secret.expose(),
            &[],
            &mut randomness,
        );
        let (encapsulated, ciphertext) = sealed.map_err(|_| Malformed("sealing key"))?;
        let mut out = Sealed { encapsulated: Fixed([0; 1120]), ciphertext: Fixed([0; 48]) };
        encapsulated.write_exact(&mut out.encapsulated.0);
        out.ciphertext.0 = ciphertext.as_slice().try_into().map_err(|_| Malformed("sealed secret"))?;
        Ok(out)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

/// An X-Wing private key: 32 bytes, from which the rest follows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct OpeningKey(Secret);

impl OpeningKey {
    /// The key of these bytes; any 32 will do.
    pub const fn new(bytes: Secret) -> Self {
        Self(bytes)
    }

    /// Its public half.
    pub fn sealing_key(&self) -> SealingKey {
        let mut out = Box::new(Fixed([0; 1216]));
        if let Ok(private) = Private::from_bytes(self.0.expose()) {
            <XWing as hpke::Kem>::sk_to_pk(&private).write_exact(&mut out.0);
        }
        SealingKey(out)
    }

    /// Opens what was sealed to it with this `info`. `None`: it was not.
    pub(super) fn open(&self, sealed: &Sealed, info: &[u8]) -> Option<Secret> {
        let private = Private::from_bytes(self.0.expose()).ok()?;
        let encapsulated = Encapsulated::from_bytes(&sealed.encapsulated.0).ok()?;
        let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &private,
            &encapsulated,
            info,
            &sealed.ciphertext.0,
            &[],
        );
        let opened = Zeroizing::new(opened.ok()?);
        let bytes = Zeroizing::new(<[u8; 32]>::try_from(opened.as_slice()).ok()?);
        Some(Secret::new(*bytes))
    }
}

/// A sealed secret: 1,168 bytes.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sealed {
    encapsulated: Fixed<1120>,
    ciphertext: Fixed<48>,
}

impl Sealed {
    /// Both parts, one after the other: what is signed.
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        [&self.encapsulated.0, &self.ciphertext.0]
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

/// Entropy that was handed in, as a generator: block n is what the label says for n.
struct Randomness<'a> {
    entropy: &'a Entropy,
    drawn: u32,
}

impl rand_core::TryRng for Randomness<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(32) {
            let block = self.entropy.derive(&format!("sealing {}", self.drawn));
            self.drawn = self.drawn.saturating_add(1);
            chunk.iter_mut().zip(block.expose()).for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Randomness<'_> {}
