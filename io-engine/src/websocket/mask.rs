//! Masking of a client's frames (RFC 6455 section 5.3).

use std::fmt;

use proto_core::{Entropy, EntropyChain};

/// A key that changes nothing.
pub(super) const ZERO: [u8; 4] = [0; 4];

/// How one end masks its frames.
#[derive(Debug)]
pub(super) enum Masking {
    /// A server's end: not at all (RFC 6455 section 5.1).
    None,
    /// A client's end of a stream that no intermediary handles. Masks keep a proxy from taking chosen bytes for a request of their own
    /// (RFC 6455 section 10.3); where there is none, a key of zeros saves the copy.
    Zero,
    /// A client's end.
    Fresh(Box<MaskKeys>),
}

impl Masking {
    pub(super) fn next_key(&mut self) -> Option<[u8; 4]> {
        match self {
            Self::None => None,
            Self::Zero => Some(ZERO),
            Self::Fresh(keys) => Some(keys.next()),
        }
    }
}

/// Unpredictable keys, eight from each block of a chain that grows from the connection's entropy.
pub(super) struct MaskKeys {
    chain: EntropyChain,
    block: [[u8; 4]; 8],
    used: usize,
}

impl MaskKeys {
    pub(super) fn new(entropy: &Entropy) -> Self {
        Self { chain: EntropyChain::new(entropy), block: [ZERO; 8], used: 8 }
    }

    fn next(&mut self) -> [u8; 4] {
        if self.used == self.block.len() {
            self.block.as_flattened_mut().copy_from_slice(self.chain.draw().derive("masks").expose());
            self.used = 0;
        }
        let key = self.block[self.used];
        self.used += 1;
        key
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
    fn keys_do_not_repeat_from_block_to_block() {
        let mut keys = MaskKeys::new(&Entropy::new([7; 32]));
        let drawn: std::collections::BTreeSet<_> = (0..128).map(|_| keys.next()).collect();
        assert!(drawn.len() > 120);
    }
}
