//! The organization's key as data (D15; WIRE section 12): what devices, the platform and the relay say about it, byte for byte.
//!
//! ```text
//!   Generation (32 secret bytes) ──► sealing key (X-Wing), signing key (Ed25519)
//!        │ sealed for a device: Wrapped         │ published: Statement 1 ◄── 2 ◄── 3 …   each signed by the one before: Lineage
//!        ▼                                      ▼
//!   members' viewing devices              daemons: a session's secret sealed to the newest: Envelope
//! ```
//!
//! Codecs and keys only. Who makes a generation, hands it over and seals to it, `device::orgkey` decides; what is published, the
//! platform.

mod envelope;
mod fixed;
mod generation;
mod lineage;
mod sealed;
mod statement;
mod wrapped;

#[cfg(test)]
mod tests;

use alloc::{string::String, vec::Vec};

pub use envelope::{Envelope, MAX_ENVELOPE};
pub use fixed::Fixed;
pub use generation::{Generation, GenerationKey, WrappingKeys, verify_wrapping_key};
pub use lineage::Lineage;
pub use sealed::{OpeningKey, Sealed, SealingKey};
pub use statement::{Digest, Link, Statement, fingerprint};
pub use wrapped::Wrapped;

use crate::{SessionId, id::OrgId};

/// The most generations that an organization's key has.
pub const MAX_GENERATIONS: u32 = 1_024;

/// What a signature or a seal is made for: a label, then fields, so that it fits nowhere else.
struct Context(Vec<u8>);

impl Context {
    fn new(label: &str) -> Self {
        Self(label.as_bytes().to_vec())
    }

    /// An identifier: at most 128 bytes, so its length is one byte.
    fn text(mut self, text: &str) -> Self {
        self.0.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn org(self, org: &OrgId) -> Self {
        self.text(org.as_str())
    }

    fn session(self, session: SessionId) -> Self {
        self.bytes(&session.0)
    }

    fn number(self, number: u32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// Base32 in groups of four, for people who compare.
fn grouped(bytes: &[u8]) -> String {
    let text = data_encoding::BASE32_NOPAD.encode(bytes);
    let mut out = String::with_capacity(text.len().saturating_add(text.len() / 4));
    for (place, character) in text.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            out.push('-');
        }
        out.push(character);
    }
    out
}
