//! One Noise session as one value: from message 1 to the last transport message (Noise revision 34; WIRE sections 4 and 5).
//!
//! ```text
//! initiator                                   responder
//! initiate() ─────── preamble ‖ message 1 ──────► respond()        the peer's static key is known and proven from here on,
//!                                                    │              and only now a PSK can be looked up by it
//! read_answer() ◄─────────── message 2 ────────── answer(psk)
//! seal(), open() ◄──────── transport ───────────► seal(), open()
//! ```
//!
//! [`Snow`] is the real one. `Symbolic`, behind the feature `symbolic`, can be cloned, compared and hashed, does no key exchange
//! at all, and succeeds and fails exactly where the real one does: it is for exploration and simulation, and in no product. Both
//! make messages of the same length.

pub mod channel;
pub mod handshake;
mod resolver;
mod snow;
#[cfg(any(test, feature = "symbolic"))]
mod symbolic;
mod transport;

use alloc::vec::Vec;
use core::fmt;

pub use self::snow::Snow;
#[cfg(any(test, feature = "symbolic"))]
pub use self::symbolic::Symbolic;
use crate::{
    crypto::{StaticKeys, TAG_LEN, Tag},
    key::StaticKey,
    machine::entropy::Entropy,
    secret::Secret,
    wire::{InvalidPreamble, Preamble},
};

/// The longest Noise message (Noise section 3).
pub const MAX_MESSAGE: usize = 65_535;
/// What message 1 adds to its payload: ephemeral key, sealed static key, tag.
pub const MESSAGE_1_OVERHEAD: usize = 32 + 48 + 16;
/// What message 2 adds to its payload: ephemeral key, tag.
pub const MESSAGE_2_OVERHEAD: usize = 32 + 16;

/// A session of Noise IK or IKpsk2.
///
/// A call that fails changes nothing: the session stands where it stood, its nonces too (NOI-6).
pub trait Noise: Sized + fmt::Debug {
    /// Makes the first message: the preamble and Noise message 1 around `payload`. `entropy` makes the ephemeral key.
    ///
    /// # Errors
    /// [`NoiseError::Failed`] when the responder's key is of low order, [`NoiseError::PskPolicy`], [`NoiseError::TooLong`].
    fn initiate(keys: InitiatorKeys<'_>, entropy: Entropy, payload: &[u8]) -> Result<(Self, Vec<u8>), NoiseError>;

    /// Reads message 2 and gives its payload. From then on transport messages go both ways. Another message may be tried
    /// after one that does not open.
    ///
    /// # Errors
    /// [`NoiseError::Failed`], [`NoiseError::OutOfTurn`].
    fn read_answer(&mut self, message: &[u8]) -> Result<Vec<u8>, NoiseError>;

    /// Reads a first message. `entropy` makes the ephemeral key of the answer.
    ///
    /// # Errors
    /// [`NoiseError::Unsupported`], [`NoiseError::Malformed`], [`NoiseError::Failed`].
    fn respond(local: &StaticKeys, entropy: Entropy, first_message: &[u8]) -> Result<(Self, FirstMessage), NoiseError>;

    /// Makes message 2 around `payload`; with the PSK under IKpsk2, without one under IK. From then on transport messages go
    /// both ways, although only the first one that opens proves that the initiator is there now.
    ///
    /// # Errors
    /// [`NoiseError::PskPolicy`], [`NoiseError::TooLong`], [`NoiseError::OutOfTurn`].
    fn answer(&mut self, psk: Option<&Secret>, payload: &[u8]) -> Result<Vec<u8>, NoiseError>;

    /// Makes a transport message of both parts of `plaintext`, one behind the other, and 16 bytes more: it fills `message`.
    ///
    /// # Errors
    /// [`NoiseError::TooLong`], also when `message` is not as long as that; [`NoiseError::Exhausted`], [`NoiseError::OutOfTurn`].
    /// What is in `message` then must not be used.
    fn seal_to(&mut self, plaintext: [&[u8]; 2], message: &mut [u8]) -> Result<(), NoiseError>;

    /// Appends a transport message to `out`: `plaintext` and 16 bytes more.
    ///
    /// # Errors
    /// As [`seal_to`](Self::seal_to).
    fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), NoiseError> {
        let start = out.len();
        out.resize(start.saturating_add(plaintext.len()).saturating_add(TAG_LEN), 0);
        self.seal_to([plaintext, &[]], out.get_mut(start..).unwrap_or_default()).inspect_err(|_| out.truncate(start))
    }

    /// Opens the next transport message; its plaintext fills `plaintext`.
    ///
    /// # Errors
    /// [`NoiseError::Failed`], also when `plaintext` is not 16 bytes shorter; [`NoiseError::Exhausted`], [`NoiseError::OutOfTurn`].
    /// What is in `plaintext` then must not be used.
    fn open_to(&mut self, ciphertext: &[u8], plaintext: &mut [u8]) -> Result<(), NoiseError>;

    /// Opens the next transport message and appends its plaintext to `out`.
    ///
    /// # Errors
    /// As [`open_to`](Self::open_to).
    fn open(&mut self, ciphertext: &[u8], out: &mut Vec<u8>) -> Result<(), NoiseError> {
        let start = out.len();
        out.resize(start.saturating_add(ciphertext.len().saturating_sub(TAG_LEN)), 0);
        self.open_to(ciphertext, out.get_mut(start..).unwrap_or_default()).inspect_err(|_| out.truncate(start))
    }

    /// Messages sealed from now on use the next key (Noise section 11.3); the nonce goes on. Nothing before the transport phase.
    fn rekey_sending(&mut self);

    /// Messages opened from now on use the next key. Nothing before the transport phase.
    fn rekey_receiving(&mut self);

    /// The handshake hash (Noise section 11.2): the same on both ends, unique to the session; `None` before its end.
    fn handshake_hash(&self) -> Option<[u8; 32]>;
}

/// What an initiator begins with.
#[derive(Clone, Copy, Debug)]
pub struct InitiatorKeys<'a> {
    /// Suite and role.
    pub preamble: Preamble,
    /// The initiator's own keys.
    pub local: &'a StaticKeys,
    /// The responder's key, known beforehand.
    pub responder: StaticKey,
    /// The PSK: there with IKpsk2 and only then.
    pub psk: Option<&'a Secret>,
}

/// What a responder reads in a first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstMessage {
    /// Suite and role.
    pub preamble: Preamble,
    /// The initiator's static key. The sender of the message holds its private half; when it was made is not known yet.
    pub static_key: StaticKey,
    /// The payload of Noise message 1.
    pub payload: Vec<u8>,
}

/// Why a Noise session refused. Says nothing about keys, and none of it goes to the peer as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NoiseError {
    /// The first message asks for a version or suite that is not known.
    #[error("unsupported protocol version or suite")]
    Unsupported,
    /// The first message has no preamble.
    #[error("malformed first message")]
    Malformed,
    /// It does not open: other keys, another order, changed bytes, or a key of low order.
    #[error("does not open")]
    Failed,
    /// A payload that fits no Noise message.
    #[error("longer than a Noise message")]
    TooLong,
    /// A PSK without IKpsk2, or IKpsk2 without a PSK.
    #[error("the pattern and the presence of a PSK do not fit")]
    PskPolicy,
    /// The session is not there yet, or already further.
    #[error("not now")]
    OutOfTurn,
    /// 2^64 - 1 messages in one direction.
    #[error("out of nonces")]
    Exhausted,
}

impl From<InvalidPreamble> for NoiseError {
    fn from(invalid: InvalidPreamble) -> Self {
        match invalid {
            InvalidPreamble::Unsupported => Self::Unsupported,
            InvalidPreamble::Malformed => Self::Malformed,
        }
    }
}

/// The ephemeral private key: all randomness that a handshake takes.
fn ephemeral(entropy: &Entropy) -> Secret {
    entropy.derive("noise ephemeral")
}

/// The length of the Noise message around `payload`.
fn message_len(payload: &[u8], overhead: usize) -> Result<usize, NoiseError> {
    payload.len().checked_add(overhead).filter(|len| *len <= MAX_MESSAGE).ok_or(NoiseError::TooLong)
}

/// The ciphertext and the tag of a message that is not too long.
fn split_tag(message: &[u8]) -> Result<(&[u8], &Tag), NoiseError> {
    message.split_last_chunk().filter(|_| message.len() <= MAX_MESSAGE).ok_or(NoiseError::Failed)
}

#[cfg(test)]
pub(crate) mod pair;
#[cfg(test)]
mod tests;
