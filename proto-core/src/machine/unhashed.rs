//! Numbers beside the state: what is only counted, or only tells one request from another.

use core::hash::{Hash, Hasher};

/// A value on which nothing depends that a machine does: a count of what was ignored, or the number of a request, which is only
/// ever compared with the number in an answer.
///
/// [`Hash`] leaves it out, so machines that differ only in such values have one fingerprint, and an explorer comes to an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unhashed<T>(pub T);

impl<T> Hash for Unhashed<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Unhashed<u64> {
    /// Counts one more.
    pub const fn count(&mut self) {
        self.0 = self.0.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Written(usize);

    impl Hasher for Written {
        fn finish(&self) -> u64 {
            0
        }

        fn write(&mut self, bytes: &[u8]) {
            self.0 += bytes.len();
        }
    }

    #[test]
    fn what_is_beside_the_state_is_compared_but_not_hashed() {
        let mut counted = Unhashed(u64::MAX - 1);
        let before = counted;
        counted.count();
        assert_ne!(before, counted);
        counted.count();
        assert_eq!(counted, Unhashed(u64::MAX));
        let mut written = Written::default();
        counted.hash(&mut written);
        assert_eq!(written.0, 0);
    }
}
