//! Masking of a client's frames (RFC 6455 section 5.3).

use std::fmt;

use crate::entropy;

/// Unpredictable masking keys, fetched from the operating system 64 at a time.
pub(super) struct MaskKeys {
    pool: [[u8; 4]; 64],
    used: usize,
}

impl MaskKeys {
    pub(super) fn next(&mut self) -> [u8; 4] {
        if self.used == self.pool.len() {
            entropy::fill(self.pool.as_flattened_mut());
            self.used = 0;
        }
        let key = self.pool[self.used];
        self.used += 1;
        key
    }
}

impl Default for MaskKeys {
    fn default() -> Self {
        Self { pool: [[0; 4]; 64], used: 64 }
    }
}

impl fmt::Debug for MaskKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKeys(..)")
    }
}

/// Masks, and unmasks.
pub(super) fn apply(bytes: &mut [u8], key: [u8; 4]) {
    let wide: [u8; 32] = std::array::from_fn(|at| key[at % 4]);
    let (blocks, rest) = bytes.as_chunks_mut::<32>();
    for block in blocks {
        for (byte, mask) in block.iter_mut().zip(wide) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in rest.iter_mut().zip(wide) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_masked_byte_by_byte() {
        let key = [0x6d, 0xb6, 0xb2, 0x80];
        for len in 0..100_u8 {
            let mut bytes: Vec<u8> = (0..len).collect();
            apply(&mut bytes, key);
            let expected: Vec<u8> = (0..len).map(|at| at ^ key[usize::from(at % 4)]).collect();
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn keys_do_not_repeat_when_the_pool_is_refilled() {
        let mut keys = MaskKeys::default();
        let drawn: std::collections::BTreeSet<_> = (0..128).map(|_| keys.next()).collect();
        assert!(drawn.len() > 120);
    }
}
