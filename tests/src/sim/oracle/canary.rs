//! Finds values in bytes, in every spelling in which they could leak.

use std::{collections::HashMap, ops::BitOr};

/// A spelling is found by its first eight bytes.
const PREFIX: usize = 8;
const BLOOM_BITS: u32 = 18;

/// Whose a value is.
pub(super) type Owner = u32;

/// The values that are looked for.
#[derive(Debug)]
pub(super) struct Canaries {
    /// Which prefixes there may be: most windows of most messages are none, and are told apart by one bit.
    bloom: Vec<u64>,
    spellings: HashMap<[u8; PREFIX], Vec<Spelling>>,
}

#[derive(Debug)]
struct Spelling {
    bytes: Vec<u8>,
    canary: Canary,
}

/// A value as it is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Canary {
    pub(super) owner: Owner,
    /// What it is, for people.
    pub(super) name: &'static str,
    /// It may be seen by nobody, not even its owner's relay.
    pub(super) is_secret: bool,
}

impl Default for Canaries {
    fn default() -> Self {
        Self { bloom: vec![0; 1 << (BLOOM_BITS - 6)], spellings: HashMap::new() }
    }
}

impl Canaries {
    /// Looks for this value from now on.
    pub(super) fn watch(&mut self, value: &[u8], canary: Canary) {
        for bytes in spellings(value) {
            let Some(prefix) = bytes.first_chunk::<PREFIX>().copied() else { continue };
            let known = self.spellings.entry(prefix).or_default();
            if known.iter().any(|spelling| spelling.bytes == bytes && spelling.canary == canary) {
                continue;
            }
            known.push(Spelling { bytes, canary });
            let bit = bit_of(u64::from_le_bytes(prefix));
            self.bloom[bit >> 6] |= 1 << (bit & 63);
        }
    }

    /// The values that stand in these bytes.
    pub(super) fn find(&self, bytes: &[u8], mut is_found: impl FnMut(Canary, usize)) {
        for (at, window) in bytes.windows(PREFIX).enumerate() {
            let Ok(prefix) = <[u8; PREFIX]>::try_from(window) else { continue };
            let bit = bit_of(u64::from_le_bytes(prefix));
            if self.bloom[bit >> 6] >> (bit & 63) & 1 == 0 {
                continue;
            }
            let candidates = self.spellings.get(&prefix).into_iter().flatten();
            candidates.filter(|spelling| bytes[at..].starts_with(&spelling.bytes)).for_each(|s| is_found(s.canary, at));
        }
    }
}

fn bit_of(prefix: u64) -> usize {
    usize::try_from(prefix.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BLOOM_BITS)).unwrap_or(0)
}

/// A value as it is, reversed, in hexadecimal of both cases, as `Debug` prints bytes, and in both alphabets of base64 at each
/// of the three offsets at which it can stand in a longer text (ISO-1).
fn spellings(value: &[u8]) -> Vec<Vec<u8>> {
    let hex = data_encoding::HEXLOWER.encode(value);
    let decimal = value.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let mut all = vec![value.to_vec(), value.iter().rev().copied().collect(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    all.push(decimal.into_bytes());
    for offset in 0..3 {
        let whole = &value[offset.min(value.len())..];
        let whole = &whole[..whole.len() / 3 * 3];
        all.push(data_encoding::BASE64URL_NOPAD.encode(whole).into_bytes());
        all.push(data_encoding::BASE64_NOPAD.encode(whole).into_bytes());
    }
    all.retain(|spelling| spelling.len() >= PREFIX.bitor(1));
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
}
