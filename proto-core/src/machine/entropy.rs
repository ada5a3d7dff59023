//! Randomness as data: single-use secret entropy, and a seeded generator for jitter.

use core::time::Duration;

use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// 32 bytes from the operating system's generator, handed in with the input that starts an attempt.
///
/// It is consumed by that attempt (ISO-4): there is no `Clone`, deriving takes it apart by label, and it is wiped on drop.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Entropy(Secret);

impl Entropy {
    /// Takes over 32 fresh bytes. Using the same bytes twice breaks every promise made with them.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Takes 32 bytes for the purpose `label`; different labels give independent bytes.
    pub fn derive(&self, label: &str) -> Secret {
        let mut out = Zeroizing::new([0; 32]);
        // HKDF-SHA256 refuses only lengths over 8,160 bytes, so 32 always succeeds.
        let _ =
            Hkdf::<Sha256>::new(None, self.0.expose()).expand_multi_info(&[b"viewport/1 entropy ", label.as_bytes()], &mut *out);
        Secret::new(*out)
    }
}

/// A row of entropy blocks grown from one: for a machine that starts attempts by itself while its driver is not asked.
///
/// Each step wipes what came before it, so a block that was handed out cannot be made again. Copies give the same blocks:
/// `Clone` is for exploring a machine, where nothing is secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntropyChain(Secret);

impl EntropyChain {
    /// A chain that grows from `entropy`.
    pub fn new(entropy: &Entropy) -> Self {
        Self(entropy.derive("chain"))
    }

    /// The next block.
    pub fn draw(&mut self) -> Entropy {
        let link = Entropy(self.0.clone());
        self.0 = link.derive("next link");
        Entropy(link.derive("block"))
    }
}

/// A seeded generator for jitter and nothing else: SplitMix64, predictable from its seed by design.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JitterRng(Source);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Source {
    Seeded(u64),
    Constant(u64),
}

impl JitterRng {
    /// A generator that always gives the same sequence for the same `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(Source::Seeded(seed))
    }

    /// A generator that always gives `number`, also to its parts: for exploring a machine at an end of its range, where there is
    /// nothing to spread.
    pub const fn constant(number: u64) -> Self {
        Self(Source::Constant(number))
    }

    /// The next number, uniform over all of `u64`.
    pub const fn next(&mut self) -> u64 {
        let seed = match &mut self.0 {
            Source::Seeded(seed) => seed,
            Source::Constant(number) => return *number,
        };
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A duration uniform over `0..=cap`, to the nanosecond ("full jitter").
    pub fn up_to(&mut self, cap: Duration) -> Duration {
        let cap = u64::try_from(cap.as_nanos()).unwrap_or(u64::MAX);
        let scaled = (u128::from(self.next()) * (u128::from(cap) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(cap))
    }

    /// A generator for the part named `label`: the same, whatever was or will be derived or drawn for other parts (ISO-2).
    #[must_use]
    pub fn derive(&self, label: &[u8]) -> Self {
        let Source::Seeded(seed) = self.0 else { return self.clone() };
        let digest = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(label).finalize();
        Self::new(digest.first_chunk().copied().map_or(0, u64::from_be_bytes))
    }

    /// A generator for a part of the whole, independent of how often this one is used afterwards (ISO-2).
    #[must_use]
    pub const fn split(&mut self) -> Self {
        match self.0 {
            Source::Seeded(_) => Self::new(self.next()),
            Source::Constant(number) => Self::constant(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_give_independent_bytes() {
        let entropy = Entropy::new([1; 32]);
        assert_ne!(entropy.derive("a"), entropy.derive("b"));
        assert_eq!(entropy.derive("a"), Entropy::new([1; 32]).derive("a"));
    }

    /// ISO-4: no two blocks of a chain are equal.
    #[test]
    fn a_chain_never_repeats_a_block() {
        let mut chain = EntropyChain::new(&Entropy::new([1; 32]));
        let blocks: alloc::vec::Vec<_> = (0..100).map(|_| chain.draw().derive("x")).collect();
        assert!(blocks.iter().enumerate().all(|(i, block)| !blocks.iter().skip(i + 1).any(|other| other == block)));
    }

    #[test]
    fn jitter_stays_in_range_and_reaches_both_halves() {
        let mut jitter = JitterRng::new(1);
        let cap = Duration::from_millis(100);
        let draws: alloc::vec::Vec<_> = (0..200).map(|_| jitter.up_to(cap)).collect();
        assert!(draws.iter().all(|d| *d <= cap));
        assert!(draws.iter().any(|d| *d < cap / 4));
        assert!(draws.iter().any(|d| *d > cap * 3 / 4));
        assert_eq!(jitter.up_to(Duration::ZERO), Duration::ZERO);
    }

    /// SplitMix64, as its authors published it: the first numbers from 0.
    #[test]
    fn jitter_is_splitmix64() {
        let mut jitter = JitterRng::new(0);
        let numbers = [(); 4].map(|()| jitter.next());
        assert_eq!(numbers, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f, 0xf88b_b8a8_724c_81ec]);
    }

    #[test]
    fn a_constant_jitter_stays_at_an_end_of_its_range() {
        let cap = Duration::from_secs(9);
        for (number, expected) in [(0, Duration::ZERO), (u64::MAX, cap)] {
            let mut jitter = JitterRng::constant(number);
            let mut parts = [jitter.derive(b"part"), jitter.split(), jitter];
            assert!(parts.iter_mut().all(|part| [part.up_to(cap), part.up_to(cap)] == [expected; 2]));
        }
    }
}
