//! Randomness of the operating system.

use proto_core::{Entropy, JitterRng};
use zeroize::Zeroizing;

/// 32 fresh bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give, which Linux and macOS exclude once they are up. Nothing secure can be
/// done then, and no caller could do anything about it.
pub fn fresh_entropy() -> Entropy {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(&mut *bytes);
    Entropy::new(*bytes)
}

/// A generator for jitter with a seed that no other process has.
///
/// # Panics
/// As [`fresh_entropy`].
pub fn fresh_jitter() -> JitterRng {
    let mut seed = [0; 8];
    fill(&mut seed);
    JitterRng::new(u64::from_ne_bytes(seed))
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system's random number generator works");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ISO-4: no two attempts get equal entropy.
    #[test]
    fn no_two_draws_are_equal() {
        assert_ne!(fresh_entropy(), fresh_entropy());
        assert_ne!(fresh_jitter(), fresh_jitter());
    }
}
