//! What tests of several modules share.

use core::hash::{Hash, Hasher};

/// What `value` hashes to. Equal values have one fingerprint; others differ, as far as tests of a few values go.
pub(crate) fn fingerprint(value: &impl Hash) -> u64 {
    let mut sum = Sum(0xcbf2_9ce4_8422_2325);
    value.hash(&mut sum);
    sum.finish()
}

struct Sum(u64);

impl Hasher for Sum {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(*byte)));
    }
}
