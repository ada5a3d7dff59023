//! Chance, from one seed: every part has its own, so that leaving one part out changes nothing for the others.

use std::time::Duration;

use proto_core::{Entropy, JitterRng};

/// A generator for one part of the simulation.
#[derive(Clone, Debug)]
pub struct Dice(JitterRng);

impl Dice {
    /// The generator of the part `label` with the number `number`.
    pub fn of(seed: u64, label: &str, number: u64) -> Self {
        let name: Vec<u8> = label.bytes().chain(number.to_be_bytes()).collect();
        Self(JitterRng::new(seed).derive(&name))
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0.next() % limit
    }

    /// A number in a range that includes both ends.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// A place in a list of that length.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.index(of.len())]
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A time in a range.
    pub fn time(&mut self, least: Duration, most: Duration) -> Duration {
        least + self.0.up_to(most.saturating_sub(least))
    }

    /// A number.
    pub const fn next(&mut self) -> u64 {
        self.0.next()
    }

    /// 32 fresh bytes.
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.0.next().to_be_bytes()));
        bytes
    }

    /// The same, for a machine.
    pub fn entropy(&mut self) -> Entropy {
        Entropy::new(self.bytes())
    }

    /// A generator for something else, which grows from this one.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self(self.0.split())
    }

    /// The same as jitter for a machine.
    pub fn jitter(&mut self) -> JitterRng {
        self.0.split()
    }
}
