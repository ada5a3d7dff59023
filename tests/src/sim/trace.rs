//! A digest of everything that happened, to compare two runs by.

use proto_core::Instant;

/// FNV-1a over what happened when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace(u64);

impl Trace {
    pub(super) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) const fn digest(self) -> u64 {
        self.0
    }

    /// Something of the kind `kind` happened to `whom`, with these bytes.
    pub(super) fn note(&mut self, at: Instant, kind: u64, whom: u64, bytes: &[u8]) {
        self.mix(at.as_nanos());
        self.mix(kind << 48 ^ whom);
        self.mix(bytes.len() as u64);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.mix(u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
        }
        chunks.remainder().iter().for_each(|byte| self.mix((*byte).into()));
    }

    const fn mix(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
}
