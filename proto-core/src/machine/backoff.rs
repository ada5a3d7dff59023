//! Exponential backoff with full jitter, in integers.

use core::time::Duration;

use crate::machine::entropy::JitterRng;

/// How long to wait before attempt `n`: uniform over `0..=min(cap, base * 2^(n-1))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// The upper bound of the first wait.
    pub base: Duration,
    /// The upper bound of every wait.
    pub cap: Duration,
}

impl Backoff {
    /// The wait before the `attempt`-th try, counted from 1.
    pub fn wait(&self, attempt: u32, jitter: &mut JitterRng) -> Duration {
        jitter.up_to(self.ceiling(attempt))
    }

    /// The upper bound of the wait before the `attempt`-th try.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1_u32 << doublings).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_the_cap_and_never_overflow() {
        let backoff = Backoff { base: Duration::from_millis(250), cap: Duration::from_secs(3) };
        let millis = |n| backoff.ceiling(n).as_millis();
        assert_eq!([millis(0), millis(1), millis(2), millis(3), millis(5), millis(u32::MAX)], [250, 250, 500, 1000, 3000, 3000]);
    }
}
