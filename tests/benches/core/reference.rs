//! What a stranger would write: snow over the same primitives, and nothing else.

use std::sync::Arc;

use blake2::Blake2s256;
use proto_core::{
    crypto::{AeadKey, Cipher, NONCE_LEN, Primitives, TAG_LEN},
    key::StaticKey,
    secret::Secret,
};
use sha2::{Digest, Sha256, digest::FixedOutputReset};
use snow::{
    Error,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::CryptoResolver,
    types,
};

/// The primitives, and the ephemeral key instead of a random one.
pub(crate) struct Resolver {
    pub(crate) primitives: &'static dyn Primitives,
    pub(crate) ephemeral: [u8; 32],
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn types::Random>> {
        Some(Box::new(Fixed(self.ephemeral)))
    }

    fn resolve_dh(&self, _: &DHChoice) -> Option<Box<dyn types::Dh>> {
        Some(Box::new(X25519 { primitives: self.primitives, private: Secret::new([0; 32]), public: StaticKey([0; 32]) }))
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn types::Hash>> {
        match choice {
            HashChoice::SHA256 => Some(Box::new(Hasher("SHA256", Sha256::new()))),
            HashChoice::Blake2s => Some(Box::new(Hasher("BLAKE2s", Blake2s256::new()))),
            _ => None,
        }
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn types::Cipher>> {
        let cipher = match choice {
            CipherChoice::AESGCM => Cipher::Aes256Gcm,
            CipherChoice::ChaChaPoly => Cipher::ChaCha20Poly1305,
        };
        Some(Box::new(CipherState { primitives: self.primitives, cipher, key: None }))
    }
}

struct Fixed([u8; 32]);

impl types::Random for Fixed {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        dest.copy_from_slice(&self.0);
        Ok(())
    }
}

struct X25519 {
    primitives: &'static dyn Primitives,
    private: Secret,
    public: StaticKey,
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
        self.private = Secret::new(private.try_into().expect("32 bytes"));
        self.public = self.primitives.x25519_public(&self.private);
    }

    fn generate(&mut self, rng: &mut dyn types::Random) -> Result<(), Error> {
        let mut private = [0; 32];
        rng.try_fill_bytes(&mut private)?;
        self.set(&private);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public.0
    }

    fn privkey(&self) -> &[u8] {
        self.private.expose()
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public = public[..32].try_into().map(StaticKey).map_err(|_| Error::Dh)?;
        let shared = self.primitives.x25519(&self.private, public).ok_or(Error::Dh)?;
        out[..32].copy_from_slice(shared.expose());
        Ok(())
    }
}

struct CipherState {
    primitives: &'static dyn Primitives,
    cipher: Cipher,
    key: Option<Arc<dyn AeadKey>>,
}

impl CipherState {
    fn key(&self) -> &dyn AeadKey {
        self.key.as_deref().expect("a key")
    }

    fn nonce(&self, counter: u64) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        let low = if self.cipher == Cipher::Aes256Gcm { counter.to_be_bytes() } else { counter.to_le_bytes() };
        nonce[4..].copy_from_slice(&low);
        nonce
    }
}

impl types::Cipher for CipherState {
    fn name(&self) -> &'static str {
        if self.cipher == Cipher::Aes256Gcm { "AESGCM" } else { "ChaChaPoly" }
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.key = Some(self.primitives.aead(self.cipher, &Secret::new(*key)));
    }

    fn encrypt(&self, nonce: u64, associated: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (buffer, rest) = out.split_at_mut(plaintext.len());
        buffer.copy_from_slice(plaintext);
        let tag = self.key().seal(&self.nonce(nonce), associated, buffer);
        rest[..TAG_LEN].copy_from_slice(&tag);
        plaintext.len() + TAG_LEN
    }

    fn decrypt(&self, nonce: u64, associated: &[u8], ciphertext: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let (ciphertext, tag) = ciphertext.split_last_chunk::<TAG_LEN>().ok_or(Error::Decrypt)?;
        let buffer = &mut out[..ciphertext.len()];
        buffer.copy_from_slice(ciphertext);
        self.key().open(&self.nonce(nonce), associated, buffer, tag).map_err(|_| Error::Decrypt)?;
        Ok(ciphertext.len())
    }
}

struct Hasher<D>(&'static str, D);

impl<D: Digest + FixedOutputReset + Send + Sync> types::Hash for Hasher<D> {
    fn name(&self) -> &'static str {
        self.0
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.1 = D::new();
    }

    fn input(&mut self, data: &[u8]) {
        Digest::update(&mut self.1, data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..32].copy_from_slice(&self.1.finalize_fixed_reset());
    }
}
