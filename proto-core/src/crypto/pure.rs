//! Primitives in plain Rust: constant-time, `no_std`, on every target.

use alloc::sync::Arc;

use aes_gcm::Aes256Gcm;
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{AeadInOut, inout::InOutBuf},
};
use curve25519_dalek::MontgomeryPoint;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::primitives::{AeadKey, Cipher, Forged, Nonce, Primitives, TAG_LEN, Tag};
use crate::{key::StaticKey, secret::Secret};

/// The default [`Primitives`]: RustCrypto's ciphers and curve25519-dalek.
#[derive(Clone, Copy, Debug, Default)]
pub struct PureRust;

impl Primitives for PureRust {
    fn aead(&self, cipher: Cipher, key: &Secret) -> Arc<dyn AeadKey> {
        match cipher {
            Cipher::Aes256Gcm => Arc::new(Key(Aes256Gcm::new(key.expose().into()))),
            Cipher::ChaCha20Poly1305 => Arc::new(Key(ChaCha20Poly1305::new(key.expose().into()))),
        }
    }

    fn x25519_public(&self, private: &Secret) -> StaticKey {
        StaticKey(MontgomeryPoint::mul_base_clamped(*private.expose()).to_bytes())
    }

    fn x25519(&self, private: &Secret, public: StaticKey) -> Option<Secret> {
        let shared = Zeroizing::new(MontgomeryPoint(public.0).mul_clamped(*private.expose()).to_bytes());
        let contributes = !bool::from(shared.ct_eq(&[0; 32]));
        contributes.then(|| Secret::new(*shared))
    }
}

struct Key<A>(A);

impl<A> AeadKey for Key<A>
where
    A: AeadInOut<NonceSize = chacha20poly1305::consts::U12, TagSize = chacha20poly1305::consts::U16> + Send + Sync,
{
    fn seal(&self, nonce: &Nonce, associated: &[u8], buffer: &mut [u8]) -> Tag {
        let sealed = self.0.encrypt_inout_detached(nonce.into(), associated, InOutBuf::from(&mut *buffer));
        sealed.map_or_else(
            |_| {
                // Only beyond 64 GiB. Nothing may leave in the clear even then.
                buffer.fill(0);
                [0; TAG_LEN]
            },
            Into::into,
        )
    }

    fn open(&self, nonce: &Nonce, associated: &[u8], buffer: &mut [u8], tag: &Tag) -> Result<(), Forged> {
        self.0.decrypt_inout_detached(nonce.into(), associated, InOutBuf::from(buffer), tag.into()).map_err(|_| Forged)
    }
}
