//! What the protocol needs from a cryptographic library, and no more.

use alloc::sync::Arc;
use core::fmt;

use crate::{key::StaticKey, secret::Secret};

/// Length of a nonce of both ciphers, in bytes.
pub const NONCE_LEN: usize = 12;
/// Length of a tag of both ciphers, in bytes.
pub const TAG_LEN: usize = 16;

/// A nonce: never used twice with one key.
pub type Nonce = [u8; NONCE_LEN];
/// An authentication tag.
pub type Tag = [u8; TAG_LEN];

/// Authenticated ciphers with 256-bit keys; the number is the one of WIRE section 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Cipher {
    /// AES-256-GCM (NIST SP 800-38D): where the CPU has AES instructions.
    Aes256Gcm = 1,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305 = 2,
}

impl Cipher {
    /// The cipher of that number.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Aes256Gcm),
            2 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }

    /// The better one on this hardware.
    pub const fn choose(aes_in_hardware: bool) -> Self {
        if aes_in_hardware { Self::Aes256Gcm } else { Self::ChaCha20Poly1305 }
    }
}

/// A library of primitives. All of them give the same bytes; they differ in speed and in where they run.
pub trait Primitives: fmt::Debug + Send + Sync {
    /// A cipher made ready with its key.
    fn aead(&self, cipher: Cipher, key: &Secret) -> Arc<dyn AeadKey>;

    /// The public key of an X25519 private key (RFC 7748 section 6.1).
    fn x25519_public(&self, private: &Secret) -> StaticKey;

    /// The X25519 shared secret. `None` when it is all zeros, which only a low-order public key brings about
    /// (RFC 7748 section 6.1; WIRE section 4: both sides refuse it).
    fn x25519(&self, private: &Secret, public: StaticKey) -> Option<Secret>;
}

/// One key of an authenticated cipher. Works in place, allocates nothing.
pub trait AeadKey: Send + Sync {
    /// Encrypts `buffer`, up to 64 GiB, and gives the tag for it and for `associated`.
    fn seal(&self, nonce: &Nonce, associated: &[u8], buffer: &mut [u8]) -> Tag;

    /// Decrypts `buffer` if `tag` fits.
    ///
    /// # Errors
    /// [`Forged`]: it does not; what stands in `buffer` then must not be used.
    fn open(&self, nonce: &Nonce, associated: &[u8], buffer: &mut [u8], tag: &Tag) -> Result<(), Forged>;
}

/// The tag does not fit: another key, nonce, context, or changed bytes. Nobody can tell which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("does not open")]
pub struct Forged;

#[cfg(test)]
mod tests {
    use super::*;

    /// WIRE section 7: each cipher has its number, and no other number names one.
    #[test]
    fn a_number_names_its_cipher() {
        for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
            assert_eq!(Cipher::from_byte(cipher as u8), Some(cipher));
        }
        assert_eq!([0, 1, 2, 3, 255].map(Cipher::from_byte).iter().flatten().count(), 2);
    }
}
