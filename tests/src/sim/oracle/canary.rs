//! Finds values in bytes, in every spelling in which they could leak.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    iter::successors,
    ops::Range,
};

/// A spelling is found by its last eight bytes: thousands of ids begin alike.
const ANCHOR: usize = 8;
/// So many bits at the beginning, as a power of two, and so many at least for each anchor.
const BLOOM_BITS: u32 = 18;
const BITS_PER_ANCHOR: usize = 16;

/// Whose a value is.
pub(super) type Owner = u32;

/// The values that are looked for.
#[derive(Debug)]
pub(super) struct Canaries {
    /// Which anchors there may be: most windows of most messages are none, and are told apart by one bit.
    bloom: Vec<u64>,
    /// The latest spelling with each anchor.
    latest: HashMap<[u8; ANCHOR], usize>,
    spellings: Vec<Spelling>,
    /// The bytes of all of them, one after the other.
    text: Vec<u8>,
    /// What is watched already.
    watched: HashMap<Canary, HashSet<Vec<u8>>>,
}

/// One way in which a value could stand somewhere.
#[derive(Clone, Debug)]
struct Spelling {
    text: Range<usize>,
    canary: Canary,
    /// Another one with the same anchor.
    next: Option<usize>,
}

/// A value as it is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Canary {
    pub(super) owner: Owner,
    /// What it is, for people.
    pub(super) name: &'static str,
    /// No party may see it, not even its owner's relay.
    pub(super) is_secret: bool,
}

impl Default for Canaries {
    fn default() -> Self {
        Self {
            bloom: vec![0; 1 << (BLOOM_BITS - 6)],
            latest: HashMap::new(),
            spellings: Vec::new(),
            text: Vec::new(),
            watched: HashMap::new(),
        }
    }
}

impl Canaries {
    /// Looks for this value from now on.
    pub(super) fn watch(&mut self, value: &[u8], canary: Canary) {
        let watched = self.watched.entry(canary).or_default();
        if watched.contains(value) {
            return;
        }
        watched.insert(value.to_vec());
        for bytes in spellings(value) {
            self.add(&bytes, canary);
        }
        self.make_room();
    }

    fn add(&mut self, bytes: &[u8], canary: Canary) {
        let Some(anchor) = bytes.last_chunk::<ANCHOR>().copied() else { return };
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        let next = self.latest.insert(anchor, self.spellings.len());
        self.spellings.push(Spelling { text: start..self.text.len(), canary, next });
        self.mark(anchor);
    }

    fn mark(&mut self, anchor: [u8; ANCHOR]) {
        let bit = self.bit_of(anchor);
        self.bloom[bit >> 6] |= 1 << (bit & 63);
    }

    /// Few bits are set, however much is watched.
    fn make_room(&mut self) {
        if self.bloom.len() * 64 >= self.latest.len() * BITS_PER_ANCHOR {
            return;
        }
        self.bloom = vec![0; self.bloom.len() * 2];
        let anchors: Vec<_> = self.latest.keys().copied().collect();
        for anchor in anchors {
            self.mark(anchor);
        }
    }

    fn bit_of(&self, anchor: [u8; ANCHOR]) -> usize {
        let bits = self.bloom.len().trailing_zeros() + 6;
        usize::try_from(u64::from_le_bytes(anchor).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits)).unwrap_or(0)
    }

    /// The values that stand in these bytes, and where each begins.
    pub(super) fn find(&self, bytes: &[u8], mut is_found: impl FnMut(Canary, usize)) {
        for (at, window) in bytes.windows(ANCHOR).enumerate() {
            let Ok(anchor) = <[u8; ANCHOR]>::try_from(window) else { continue };
            let bit = self.bit_of(anchor);
            if self.bloom[bit >> 6] >> (bit & 63) & 1 == 0 {
                continue;
            }
            let before = &bytes[..at + ANCHOR];
            let candidates = self.with_anchor(anchor).filter(|spelling| before.ends_with(&self.text[spelling.text.clone()]));
            candidates.for_each(|spelling| is_found(spelling.canary, before.len() - spelling.text.len()));
        }
    }

    fn with_anchor(&self, anchor: [u8; ANCHOR]) -> impl Iterator<Item = &Spelling> {
        let first = self.latest.get(&anchor).map(|nth| &self.spellings[*nth]);
        successors(first, |spelling| spelling.next.map(|nth| &self.spellings[nth]))
    }
}

/// A value as it is, reversed, in hexadecimal of both cases, as `Debug` prints bytes, and in both alphabets of base64 at each
/// of the three offsets at which it can stand in a longer text (ISO-1).
fn spellings(value: &[u8]) -> Vec<Vec<u8>> {
    let hex = data_encoding::HEXLOWER.encode(value);
    let mut decimal = String::with_capacity(5 * value.len());
    for (nth, byte) in value.iter().enumerate() {
        let _ = write!(decimal, "{}{byte}", if nth == 0 { "" } else { ", " });
    }
    let mut all = vec![value.to_vec(), value.iter().rev().copied().collect(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    all.push(decimal.into_bytes());
    for offset in 0..3 {
        let whole = &value[offset.min(value.len())..];
        let whole = &whole[..whole.len() / 3 * 3];
        all.push(data_encoding::BASE64URL_NOPAD.encode(whole).into_bytes());
        all.push(data_encoding::BASE64_NOPAD.encode(whole).into_bytes());
    }
    all.retain(|spelling| spelling.len() > ANCHOR);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found_anywhere() {
        let value: Vec<u8> = (1..=32).map(|n: u8| n.wrapping_mul(37)).collect();
        let canary = Canary { owner: 7, name: "value", is_secret: true };
        let mut canaries = Canaries::default();
        canaries.watch(&value, canary);
        let texts = [
            value.clone(),
            value.iter().rev().copied().collect(),
            format!("{value:?}").into_bytes(),
            data_encoding::HEXLOWER.encode(&value).into_bytes(),
            data_encoding::BASE64.encode(&value).into_bytes(),
            data_encoding::BASE64URL_NOPAD.encode(&[b"x", value.as_slice()].concat()).into_bytes(),
            data_encoding::BASE64URL_NOPAD.encode(&[b"xy", value.as_slice()].concat()).into_bytes(),
        ];
        for text in texts {
            let mut found = Vec::new();
            canaries.find(&[b"before ", text.as_slice(), b" after"].concat(), |canary, _| found.push(canary));
            assert_eq!(found, [canary], "{}", String::from_utf8_lossy(&text));
        }
        canaries.find(b"nothing of that kind, and rather long", |_, _| panic!("found what is not there"));
    }

    #[test]
    fn each_of_many_values_is_found_once_by_its_own_owner() {
        let value = |owner: Owner| format!("jti-{:016x}", u64::from(owner).wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes();
        let mut canaries = Canaries::default();
        for owner in (0..9_000).chain(0..9_000) {
            canaries.watch(&value(owner), Canary { owner, name: "value", is_secret: false });
        }
        assert!(canaries.bloom.len() > Canaries::default().bloom.len(), "the filter has grown");
        for owner in 0..9_000 {
            let mut found = Vec::new();
            canaries.find(&[b"<", value(owner).as_slice(), b">"].concat(), |canary, at| found.push((canary.owner, at)));
            assert_eq!(found, [(owner, 1)]);
        }
    }
}
