//! The primitives in the shape that snow wants them.

use alloc::{boxed::Box, sync::Arc};

use ::snow::{
    Error,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::CryptoResolver,
    types,
};
use blake2::Blake2s256;
use sha2::{Digest, Sha256, digest::FixedOutputReset};

use super::transport::nonce;
use crate::{
    crypto::{AeadKey, Cipher, Primitives, StaticKeys, TAG_LEN},
    key::StaticKey,
    secret::Secret,
};

/// One handshake's primitives, with its own keys and the one ephemeral key that it may make.
pub(super) struct Resolver {
    pub(super) primitives: Arc<dyn Primitives>,
    pub(super) local: StaticKeys,
    pub(super) ephemeral: Secret,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn types::Random>> {
        Some(Box::new(SingleUse(Some(self.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn types::Dh>> {
        let (primitives, local) = (self.primitives.clone(), self.local.clone());
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(X25519::new(primitives, local)) as Box<dyn types::Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn types::Hash>> {
        match choice {
            HashChoice::SHA256 => Some(Box::new(Hasher { name: "SHA256", digest: Sha256::new() })),
            HashChoice::Blake2s => Some(Box::new(Hasher { name: "BLAKE2s", digest: Blake2s256::new() })),
            _ => None,
        }
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn types::Cipher>> {
        let cipher = match choice {
            CipherChoice::AESGCM => Cipher::Aes256Gcm,
            CipherChoice::ChaChaPoly => Cipher::ChaCha20Poly1305,
        };
        Some(Box::new(CipherState { primitives: self.primitives.clone(), cipher, key: None }))
    }
}

/// Randomness for one ephemeral key. Asking again is an error, never a repetition.
struct SingleUse(Option<Secret>);

impl types::Random for SingleUse {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        let secret = self.0.take().ok_or(Error::Rng)?;
        let dest: &mut [u8; 32] = dest.try_into().map_err(|_| Error::Rng)?;
        dest.copy_from_slice(secret.expose());
        Ok(())
    }
}

struct X25519 {
    primitives: Arc<dyn Primitives>,
    /// The keys of this side, whose public half need not be worked out again for each handshake.
    local: StaticKeys,
    private: Secret,
    public: StaticKey,
}

impl X25519 {
    const fn new(primitives: Arc<dyn Primitives>, local: StaticKeys) -> Self {
        Self { primitives, local, private: Secret::new([0; 32]), public: StaticKey([0; 32]) }
    }

    fn set_private(&mut self, private: Secret) {
        let is_local = private == *self.local.private();
        self.public = if is_local { self.local.public() } else { self.primitives.x25519_public(&private) };
        self.private = private;
    }
}

impl types::Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        // Only 32 bytes ever come here: see `Snow`.
        if let Ok(private) = private.try_into() {
            self.set_private(Secret::new(private));
        }
    }

    fn generate(&mut self, rng: &mut dyn types::Random) -> Result<(), Error> {
        let mut private = [0; 32];
        rng.try_fill_bytes(&mut private)?;
        self.set_private(Secret::new(private));
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public.0
    }

    fn privkey(&self) -> &[u8] {
        self.private.expose()
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public = public.first_chunk::<32>().ok_or(Error::Dh)?;
        let shared = self.primitives.x25519(&self.private, StaticKey(*public)).ok_or(Error::Dh)?;
        out.first_chunk_mut::<32>().ok_or(Error::Dh)?.copy_from_slice(shared.expose());
        Ok(())
    }
}

struct CipherState {
    primitives: Arc<dyn Primitives>,
    cipher: Cipher,
    key: Option<Arc<dyn AeadKey>>,
}

impl CipherState {
    fn try_encrypt(&self, counter: u64, associated: &[u8], plaintext: &[u8], out: &mut [u8]) -> Option<usize> {
        let (buffer, rest) = out.split_at_mut_checked(plaintext.len())?;
        let tag = rest.first_chunk_mut::<TAG_LEN>()?;
        buffer.copy_from_slice(plaintext);
        *tag = self.key.as_ref()?.seal(&nonce(self.cipher, counter), associated, buffer);
        plaintext.len().checked_add(TAG_LEN)
    }
}

impl types::Cipher for CipherState {
    fn name(&self) -> &'static str {
        match self.cipher {
            Cipher::Aes256Gcm => "AESGCM",
            Cipher::ChaCha20Poly1305 => "ChaChaPoly",
        }
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.key = Some(self.primitives.aead(self.cipher, &Secret::new(*key)));
    }

    fn encrypt(&self, counter: u64, associated: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        // snow checks the lengths and that there is a key; without them nothing is written.
        self.try_encrypt(counter, associated, plaintext, out).unwrap_or(0)
    }

    fn decrypt(&self, counter: u64, associated: &[u8], ciphertext: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let (ciphertext, tag) = ciphertext.split_last_chunk::<TAG_LEN>().ok_or(Error::Decrypt)?;
        let buffer = out.get_mut(..ciphertext.len()).ok_or(Error::Decrypt)?;
        buffer.copy_from_slice(ciphertext);
        let key = self.key.as_ref().ok_or(Error::Decrypt)?;
        key.open(&nonce(self.cipher, counter), associated, buffer, tag).map_err(|_| Error::Decrypt)?;
        Ok(ciphertext.len())
    }
}

struct Hasher<D> {
    name: &'static str,
    digest: D,
}

impl<D: Digest + FixedOutputReset + Send + Sync> types::Hash for Hasher<D> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.digest = D::new();
    }

    fn input(&mut self, data: &[u8]) {
        Digest::update(&mut self.digest, data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let hash = self.digest.finalize_fixed_reset();
        out.iter_mut().zip(hash).for_each(|(out, byte)| *out = byte);
    }
}
