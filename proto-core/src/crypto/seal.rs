//! Sealing what a session says, from the device that runs it to the devices that watch it (WIRE section 7).
//!
//! ```text
//! secret of epoch 0 ── next epoch ──► secret of epoch 1 ── next epoch ──► …      only forwards
//!        │ record key                        │ record key
//!        ▼                                   ▼
//!   records 0 … n                       records n+1 … m        nonce: the record's sequence
//! ```
//!
//! The secret of an epoch opens that epoch and all later ones, and none before it. [`Sealer`] and [`Opener`] are codecs: they
//! allocate only when an epoch begins.

use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt,
    hash::{Hash, Hasher},
};

use serde::{Deserialize, Serialize};

use super::{
    kdf::hkdf,
    primitives::{AeadKey, Cipher, Nonce, Primitives, TAG_LEN},
};
use crate::{
    id::{OrgId, SessionId},
    machine::entropy::Entropy,
    secret::Secret,
};

/// The most records that one epoch seals.
pub const MAX_EPOCH_RECORDS: u64 = 1 << 20;
/// The most bytes of plaintext that one epoch seals.
pub const MAX_EPOCH_BYTES: u64 = 1 << 30;
/// The most epochs that an [`Opener`] leaps over at once: bounds the work that a forged epoch number causes.
pub const MAX_EPOCH_LEAP: u32 = 4096;

/// The secret of one epoch of one session: opens its records and leads to all later epochs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EpochSecret(Secret);

impl EpochSecret {
    /// A fresh one, for a session's epoch 0.
    pub fn generate(entropy: &Entropy) -> Self {
        Self(entropy.derive("epoch secret"))
    }

    /// One that was handed over or kept.
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The bytes, for the viewer who may have them and for the session's own file.
    pub const fn secret(&self) -> &Secret {
        &self.0
    }

    fn next(&self, session: SessionId) -> Self {
        Self(hkdf(&session.0, &self.0, b"viewport/1 next epoch"))
    }

    fn record_key(&self, session: SessionId) -> Secret {
        hkdf(&session.0, &self.0, b"viewport/1 record key")
    }
}

/// What records are sealed for: they fit nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The organization that the session streams to.
    pub org: OrgId,
    /// The session.
    pub session: SessionId,
    /// How its records are sealed, for the whole session.
    pub cipher: Cipher,
}

/// Why a record was not sealed. Nothing was written and nothing counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SealError {
    /// This sequence, or a later one, was sealed before: the same nonce would serve two contents.
    #[error("the sequence {0} was sealed before")]
    SequenceUsed(u64),
    /// The epoch is at its limit: [`Sealer::advance`] first.
    #[error("the epoch has sealed all it may")]
    EpochSpent,
}

/// Why a record was not opened. The opener stands where it stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OpenError {
    /// It was not sealed with this secret, for this scope, under this epoch and sequence.
    #[error("the record does not open")]
    Forged,
    /// It is of an epoch whose secret is gone, or was never given.
    #[error("the record is of epoch {0}, which cannot be opened any more")]
    EpochGone(u32),
    /// Its epoch is more than [`MAX_EPOCH_LEAP`] ahead.
    #[error("the record is of epoch {0}, too far ahead")]
    EpochTooFar(u32),
}

/// Seals the records of one session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sealer {
    epoch: Epoch,
    next_sequence: u64,
    records: u64,
    bytes: u64,
}

impl Sealer {
    /// A sealer that stands at the beginning of epoch `number` and has sealed nothing below `next_sequence`.
    pub fn new(primitives: &'static dyn Primitives, scope: Scope, number: u32, secret: EpochSecret, next_sequence: u64) -> Self {
        Self { epoch: Epoch::new(primitives, scope, number, secret), next_sequence, records: 0, bytes: 0 }
    }

    /// The epoch that the next record belongs to.
    pub const fn epoch(&self) -> u32 {
        self.epoch.number
    }

    /// Its secret: for viewers who may read from here on.
    pub const fn secret(&self) -> &EpochSecret {
        &self.epoch.secret
    }

    /// Whether the epoch should end: a record of `len` bytes may be refused.
    pub const fn is_spent(&self, len: usize) -> bool {
        self.records >= MAX_EPOCH_RECORDS || self.bytes.saturating_add(len as u64) > MAX_EPOCH_BYTES
    }

    /// Begins the next epoch; the secret of this one is wiped. `false` when there is none left, after 2^32.
    #[must_use]
    pub fn advance(&mut self) -> bool {
        let Some(number) = self.epoch.number.checked_add(1) else { return false };
        self.epoch = self.epoch.after(1, number);
        (self.records, self.bytes) = (0, 0);
        true
    }

    /// Appends the sealed record to `out`: as long as `plaintext`, and [`TAG_LEN`] more.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal(&mut self, sequence: u64, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        let start = out.len();
        out.resize(start.saturating_add(plaintext.len()).saturating_add(TAG_LEN), 0);
        self.seal_to(sequence, [plaintext, &[]], out.get_mut(start..).unwrap_or_default()).inspect_err(|_| out.truncate(start))
    }

    /// Fills `record` with the sealed record of both parts of `plaintext`, one behind the other: it is as long as they are, and
    /// [`TAG_LEN`] bytes more.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal_to(&mut self, sequence: u64, plaintext: [&[u8]; 2], record: &mut [u8]) -> Result<(), SealError> {
        let len = record.len().saturating_sub(TAG_LEN);
        if sequence < self.next_sequence {
            return Err(SealError::SequenceUsed(sequence));
        }
        if self.is_spent(len) {
            return Err(SealError::EpochSpent);
        }
        self.epoch.key.seal_to(&nonce(sequence), &self.epoch.associated, plaintext, record);
        self.next_sequence = sequence.saturating_add(1);
        self.records = self.records.saturating_add(1);
        self.bytes = self.bytes.saturating_add(len as u64);
        Ok(())
    }
}

/// Opens the records of one session, from the epoch on whose secret it was given. Epochs only rise.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Opener {
    epoch: Epoch,
}

impl Opener {
    /// An opener that can open epoch `number` and what follows.
    pub fn new(primitives: &'static dyn Primitives, scope: Scope, number: u32, secret: EpochSecret) -> Self {
        Self { epoch: Epoch::new(primitives, scope, number, secret) }
    }

    /// The epoch of the latest record opened; what came before it cannot be opened any more.
    pub const fn epoch(&self) -> u32 {
        self.epoch.number
    }

    /// Appends the record's plaintext to `out`: nothing when it does not open.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&mut self, epoch: u32, sequence: u64, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        let start = out.len();
        out.resize(start.saturating_add(sealed.len().saturating_sub(TAG_LEN)), 0);
        let plaintext = out.get_mut(start..).unwrap_or_default();
        self.open_to(epoch, sequence, sealed, plaintext).inspect_err(|_| out.truncate(start))
    }

    /// Opens the record; its plaintext fills `plaintext`, which is [`TAG_LEN`] bytes shorter.
    ///
    /// # Errors
    /// See [`OpenError`]. What is in `plaintext` then must not be used.
    pub fn open_to(&mut self, epoch: u32, sequence: u64, sealed: &[u8], plaintext: &mut [u8]) -> Result<(), OpenError> {
        match epoch.checked_sub(self.epoch.number) {
            None => Err(OpenError::EpochGone(epoch)),
            Some(0) => self.epoch.open_to(sequence, sealed, plaintext),
            Some(leap) if leap > MAX_EPOCH_LEAP => Err(OpenError::EpochTooFar(epoch)),
            Some(leap) => {
                let ahead = self.epoch.after(leap, epoch);
                ahead.open_to(sequence, sealed, plaintext)?;
                self.epoch = ahead;
                Ok(())
            }
        }
    }
}

/// One epoch, ready for use. Two are equal when scope, number and secret are: the rest follows from them.
#[derive(Clone)]
struct Epoch {
    primitives: &'static dyn Primitives,
    scope: Scope,
    number: u32,
    secret: EpochSecret,
    associated: Vec<u8>,
    key: Arc<dyn AeadKey>,
}

impl Epoch {
    fn new(primitives: &'static dyn Primitives, scope: Scope, number: u32, secret: EpochSecret) -> Self {
        let associated = associated_data(&scope, number);
        let key = primitives.aead(scope.cipher, &secret.record_key(scope.session));
        Self { primitives, scope, number, secret, associated, key }
    }

    fn after(&self, leap: u32, number: u32) -> Self {
        let session = self.scope.session;
        let secret = (1..leap).fold(self.secret.next(session), |secret, _| secret.next(session));
        Self::new(self.primitives, self.scope.clone(), number, secret)
    }

    fn open_to(&self, sequence: u64, sealed: &[u8], plaintext: &mut [u8]) -> Result<(), OpenError> {
        let (ciphertext, tag) = sealed.split_last_chunk().ok_or(OpenError::Forged)?;
        self.key.open_to(&nonce(sequence), &self.associated, ciphertext, tag, plaintext).map_err(|_| OpenError::Forged)
    }
}

impl PartialEq for Epoch {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number && self.scope == other.scope && self.secret == other.secret
    }
}

impl Eq for Epoch {}

impl Hash for Epoch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
        self.scope.hash(state);
        self.secret.hash(state);
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoch").field("scope", &self.scope).field("number", &self.number).finish_non_exhaustive()
    }
}

fn associated_data(scope: &Scope, epoch: u32) -> Vec<u8> {
    let org = scope.org.as_str().as_bytes();
    // An id has at most 128 bytes.
    let len = u8::try_from(org.len()).unwrap_or(u8::MAX);
    [b"viewport/1 record".as_slice(), &[len], org, &scope.session.0, &epoch.to_be_bytes()].concat()
}

fn nonce(sequence: u64) -> Nonce {
    let [_, _, _, _, nonce @ ..] = u128::from(sequence).to_be_bytes();
    nonce
}

#[cfg(test)]
mod tests;
