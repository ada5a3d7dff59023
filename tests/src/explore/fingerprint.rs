//! Names for states: 128 bits of everything that a state hashes, with moments taken relative to now, and what is fresh by where it
//! stands.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use proto_core::Instant;

/// Odd, with a good spread of bits: the high half of the golden ratio's 128 bits.
const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// The fingerprint of `state` at `now`. Moments longer ago than `memory` count as equally long ago: nothing in the state
/// may look back farther than that.
pub fn fingerprint(state: &impl Hash, now: Instant, memory: Duration) -> u128 {
    let memory = i128::try_from(memory.as_nanos()).unwrap_or(i128::MAX);
    let mut hasher = Fingerprinter { now: now.as_nanos().into(), memory, names: Vec::new(), lane: FACTOR };
    state.hash(&mut hasher);
    hasher.lane
}

/// A hasher that knows moments, which [`Instant`] writes as `i128`, and what is fresh in
/// [`Symbolic`](proto_core::noise::Symbolic): a name, written as `u128`, counts as the place at which it comes up first;
/// behind it, as `i64`, how far one end has come under it, which counts relative to the end that comes up first.
struct Fingerprinter {
    now: i128,
    memory: i128,
    names: Vec<(u128, Option<i64>)>,
    lane: u128,
}

impl Fingerprinter {
    /// One to one in the word and in what was there before.
    const fn mix(&mut self, word: u128) {
        let product = (self.lane ^ word).wrapping_mul(FACTOR);
        self.lane = product ^ (product >> 67);
    }
}

impl Hasher for Fingerprinter {
    fn finish(&self) -> u64 {
        u64::try_from(self.lane >> 64).unwrap_or(0)
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(16);
        for chunk in chunks.by_ref() {
            let mut word = [0; 16];
            word.copy_from_slice(chunk);
            self.mix(u128::from_le_bytes(word));
        }
        let mut last = [0; 16];
        for (to, from) in last.iter_mut().zip(chunks.remainder()) {
            *to = *from;
        }
        self.mix(u128::from_le_bytes(last));
        self.mix(bytes.len() as u128);
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u128);
    }

    fn write_isize(&mut self, number: isize) {
        self.mix(number.unsigned_abs() as u128);
    }

    fn write_u128(&mut self, name: u128) {
        let place = self.names.iter().position(|(known, _)| *known == name);
        let (_, progress) = place.map_or((name, None), |place| self.names.remove(place));
        self.mix(place.map_or(u128::MAX, |place| place as u128));
        self.names.push((name, progress));
    }

    fn write_i64(&mut self, progress: i64) {
        let Some((_, first)) = self.names.last_mut() else { return };
        let ahead = progress.wrapping_sub(*first.get_or_insert(progress));
        self.mix(i128::from(ahead).cast_unsigned());
    }

    fn write_i128(&mut self, moment: i128) {
        let is_never = moment == i128::from(u64::MAX);
        let relative = if is_never { i128::MAX } else { (moment - self.now).max(-self.memory) };
        self.mix(relative.cast_unsigned());
    }
}

/// The hasher of a table of fingerprints: a part of the fingerprint itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |half| u64::from_le_bytes(*half));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(seconds: u64) -> Instant {
        Instant::ZERO.after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_shift_in_time_changes_nothing() {
        let (early, late) = ((at(10), Some(at(15)), "x"), (at(1_000), Some(at(1_005)), "x"));
        assert_eq!(fingerprint(&early, at(12), HOUR), fingerprint(&late, at(1_002), HOUR));
        assert_ne!(fingerprint(&early, at(12), HOUR), fingerprint(&early, at(13), HOUR));
    }

    #[test]
    fn the_end_of_time_stays_where_it_is_and_what_is_long_ago_is_forgotten() {
        assert_eq!(fingerprint(&Instant::MAX, at(1), HOUR), fingerprint(&Instant::MAX, at(2), HOUR));
        assert_eq!(fingerprint(&at(1), at(4_000), HOUR), fingerprint(&at(300), at(4_000), HOUR));
        assert_ne!(fingerprint(&at(1), at(400), HOUR), fingerprint(&at(300), at(400), HOUR));
    }

    #[test]
    fn numbers_texts_and_their_order_count() {
        let states = [(1_u64, 2_u64, "ab", "c"), (2, 1, "ab", "c"), (1, 2, "a", "bc"), (1, 2, "ab", ""), (0, 0, "", "")];
        let prints: std::collections::BTreeSet<_> = states.iter().map(|state| fingerprint(state, at(0), HOUR)).collect();
        assert_eq!(prints.len(), states.len());
    }
}
