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

/// One key of an authenticated cipher. Allocates nothing.
///
/// A library that can takes a text from one buffer into another in one pass; by default it is copied, and then it is as in place.
pub trait AeadKey: Send + Sync {
    /// Encrypts `buffer`, up to 64 GiB, and gives the tag for it and for `associated`.
    fn seal(&self, nonce: &Nonce, associated: &[u8], buffer: &mut [u8]) -> Tag;

    /// Decrypts `buffer` if `tag` fits.
    ///
    /// # Errors
    /// [`Forged`]: it does not; what is in `buffer` then must not be used.
    fn open(&self, nonce: &Nonce, associated: &[u8], buffer: &mut [u8], tag: &Tag) -> Result<(), Forged>;

    /// Encrypts both parts of `plaintext`, one behind the other, into `message`, which is as long as they and the tag are. If it
    /// is not, it is filled with zeros.
    fn seal_to(&self, nonce: &Nonce, associated: &[u8], plaintext: [&[u8]; 2], message: &mut [u8]) {
        copy_and_seal(self, nonce, associated, plaintext, message);
    }

    /// Decrypts `ciphertext` into `plaintext`, which is as long, if `tag` fits.
    ///
    /// # Errors
    /// [`Forged`]: it does not, or the lengths differ; what is in `plaintext` then must not be used.
    fn open_to(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        ciphertext: &[u8],
        tag: &Tag,
        plaintext: &mut [u8],
    ) -> Result<(), Forged> {
        if plaintext.len() != ciphertext.len() {
            return Err(Forged);
        }
        plaintext.copy_from_slice(ciphertext);
        self.open(nonce, associated, plaintext, tag)
    }
}

/// [`AeadKey::seal_to`] in two passes.
pub fn copy_and_seal<K>(key: &K, nonce: &Nonce, associated: &[u8], plaintext: [&[u8]; 2], message: &mut [u8])
where
    K: AeadKey + ?Sized,
{
    match put_together(plaintext, message) {
        Some((text, tag)) => *tag = key.seal(nonce, associated, text),
        None => message.fill(0),
    }
}

/// Copies both parts to their places in `message`: the whole plaintext, and the place of the tag. `None` when that is not what
/// `message` has room for.
pub(crate) fn put_together<'a>(parts: [&[u8]; 2], message: &'a mut [u8]) -> Option<(&'a mut [u8], &'a mut Tag)> {
    let (text, tag) = message.split_last_chunk_mut()?;
    let (first, second) = text.split_at_mut_checked(parts[0].len()).filter(|(_, second)| second.len() == parts[1].len())?;
    first.copy_from_slice(parts[0]);
    second.copy_from_slice(parts[1]);
    Some((text, tag))
}

/// The tag does not fit: another key, nonce, context, or changed bytes. The receiver cannot tell which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("does not open")]
pub struct Forged;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::crypto::PureRust;

    /// NOI-1: from one buffer into another it is the same bytes as in place, wherever the plaintext is cut.
    #[test]
    fn a_text_in_two_parts_is_sealed_as_in_one() {
        for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
            let key = PureRust.aead(cipher, &Secret::new([1; 32]));
            let text = *b"one text, wherever it is cut";
            let mut sealed = text;
            let tag = key.seal(&[2; NONCE_LEN], b"here", &mut sealed);
            for cut in 0..=text.len() {
                let mut message = [7; 28 + TAG_LEN];
                let (start, rest) = text.split_at(cut);
                key.seal_to(&[2; NONCE_LEN], b"here", [start, rest], &mut message);
                assert_eq!(message, *[&sealed[..], &tag].concat());
            }
            let mut opened = [7; 28];
            assert_eq!(key.open_to(&[2; NONCE_LEN], b"there", &sealed, &tag, &mut opened), Err(Forged));
            assert_eq!(key.open_to(&[2; NONCE_LEN], b"here", &sealed, &tag, &mut opened), Ok(()));
            assert_eq!(opened, text);
        }
    }

    /// What does not fit is not sealed, and nothing of it leaves in the clear.
    #[test]
    fn a_buffer_of_another_length_is_refused() {
        let key = PureRust.aead(Cipher::Aes256Gcm, &Secret::new([1; 32]));
        for len in [0, 15, 20, 22, 40] {
            let mut message = vec![7; len];
            key.seal_to(&[2; NONCE_LEN], &[], [b"he", b"llo"], &mut message);
            assert_eq!(message, vec![0; len]);
        }
        let mut sealed = *b"hello";
        let tag = key.seal(&[2; NONCE_LEN], &[], &mut sealed);
        for len in [4, 6] {
            assert_eq!(key.open_to(&[2; NONCE_LEN], &[], &sealed, &tag, &mut vec![0; len]), Err(Forged));
        }
    }

    /// WIRE section 7: each cipher has its number, and no other number names one.
    #[test]
    fn a_number_names_its_cipher() {
        for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
            assert_eq!(Cipher::from_byte(cipher as u8), Some(cipher));
        }
        assert_eq!([0, 1, 2, 3, 255].map(Cipher::from_byte).iter().flatten().count(), 2);
    }
}
