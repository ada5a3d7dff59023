//! The three bytes in front of Noise message 1.

use alloc::vec::Vec;

use crate::crypto::Cipher;

/// Version, suite and role of a handshake: sent in the clear, and bound into it through the prologue, so that changing a bit
/// of it fails the handshake (no downgrade).
///
/// ```text
/// byte 0   version   0x01
/// byte 1   suite     0x01 … 0x04, see Suite
/// byte 2   role      0x01 … 0x03, see Role
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Preamble {
    /// Pattern and primitives.
    pub suite: Suite,
    /// The roles of the two ends.
    pub role: Role,
}

impl Preamble {
    /// Its length in bytes.
    pub const LEN: usize = 3;
    /// The protocol version of this library.
    pub const VERSION: u8 = 1;

    /// The three bytes.
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        [Self::VERSION, self.suite as u8, self.role as u8]
    }

    /// Splits a first message into its preamble and Noise message 1.
    pub fn split(message: &[u8]) -> Result<(Self, &[u8]), InvalidPreamble> {
        let (head, noise) = message.split_first_chunk::<{ Self::LEN }>().ok_or(InvalidPreamble::Malformed)?;
        let [version, suite, role] = *head;
        if version != Self::VERSION {
            return Err(InvalidPreamble::Unsupported);
        }
        let suite = Suite::from_byte(suite).ok_or(InvalidPreamble::Unsupported)?;
        let role = Role::from_byte(role).ok_or(InvalidPreamble::Malformed)?;
        Ok((Self { suite, role }, noise))
    }

    /// The Noise prologue (Noise section 6): `viewport` and the three bytes.
    pub fn prologue(self) -> Vec<u8> {
        [b"viewport".as_slice(), &self.to_bytes()].concat()
    }
}

/// Why a first message does not begin with a preamble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidPreamble {
    /// A version or suite that this library does not have.
    #[error("unsupported protocol version or suite")]
    Unsupported,
    /// Too short, or a role that does not exist.
    #[error("malformed preamble")]
    Malformed,
}

/// A Noise protocol name, as one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Suite {
    /// `Noise_IK_25519_AESGCM_SHA256`: the default where the CPU has AES instructions.
    IkAesGcm = 1,
    /// `Noise_IK_25519_ChaChaPoly_BLAKE2s`.
    IkChaChaPoly = 2,
    /// `Noise_IKpsk2_25519_AESGCM_SHA256`.
    IkPsk2AesGcm = 3,
    /// `Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s`.
    IkPsk2ChaChaPoly = 4,
}

impl Suite {
    /// Every suite.
    pub const ALL: [Self; 4] = [Self::IkAesGcm, Self::IkChaChaPoly, Self::IkPsk2AesGcm, Self::IkPsk2ChaChaPoly];

    /// The suite for a pattern and the hardware at hand.
    pub const fn choose(pattern: Pattern, aes_in_hardware: bool) -> Self {
        match (pattern, aes_in_hardware) {
            (Pattern::Ik, true) => Self::IkAesGcm,
            (Pattern::Ik, false) => Self::IkChaChaPoly,
            (Pattern::IkPsk2, true) => Self::IkPsk2AesGcm,
            (Pattern::IkPsk2, false) => Self::IkPsk2ChaChaPoly,
        }
    }

    /// The handshake pattern of this suite.
    pub const fn pattern(self) -> Pattern {
        match self {
            Self::IkAesGcm | Self::IkChaChaPoly => Pattern::Ik,
            Self::IkPsk2AesGcm | Self::IkPsk2ChaChaPoly => Pattern::IkPsk2,
        }
    }

    /// The cipher of this suite, in the handshake and after it.
    pub const fn cipher(self) -> Cipher {
        match self {
            Self::IkAesGcm | Self::IkPsk2AesGcm => Cipher::Aes256Gcm,
            Self::IkChaChaPoly | Self::IkPsk2ChaChaPoly => Cipher::ChaCha20Poly1305,
        }
    }

    /// The name in the Noise specification's form (Noise section 8).
    pub const fn noise_name(self) -> &'static str {
        match self {
            Self::IkAesGcm => "Noise_IK_25519_AESGCM_SHA256",
            Self::IkChaChaPoly => "Noise_IK_25519_ChaChaPoly_BLAKE2s",
            Self::IkPsk2AesGcm => "Noise_IKpsk2_25519_AESGCM_SHA256",
            Self::IkPsk2ChaChaPoly => "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s",
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| *suite as u8 == byte)
    }
}

/// The handshake pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// The initiator knows the responder's static key.
    Ik,
    /// And both hold a pre-shared key, mixed in at the end of message 2.
    IkPsk2,
}

/// Which party opens the handshake with which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// A daemon with its relay.
    Daemon = 1,
    /// A viewer with its relay.
    Viewer = 2,
    /// A viewer with a daemon, through the relay's `Peer` frames.
    Peer = 3,
}

impl Role {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Daemon, Self::Viewer, Self::Peer].into_iter().find(|role| *role as u8 == byte)
    }
}
