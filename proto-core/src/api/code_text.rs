//! The code as people see and type it (RFC 8628 section 6.1).

use alloc::string::String;
use core::{fmt, str::FromStr};

use crate::machine::entropy::Entropy;

/// The characters of a code: no vowels, so that no words come out, and none that look alike.
pub const CODE_ALPHABET: &[u8; 24] = b"BCDFGHJKLMNPQRSTVWXZ2345";

/// How many characters a code has (S6). 24^8 codes are about 37 bits: enough against guessing only together with limits.
pub const CODE_LEN: usize = 8;

/// Bytes below this are spread evenly over the alphabet by a remainder: the largest multiple of 24 in a byte.
const FAIR: u8 = 240;

/// The eight characters of a pairing code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeText([u8; CODE_LEN]);

impl CodeText {
    /// A fresh code, uniform over all of them.
    pub fn generate(entropy: &Entropy) -> Self {
        let labels = ["pairing code 1", "pairing code 2", "pairing code 3", "pairing code 4"];
        let blocks = labels.map(|label| entropy.derive(label));
        let mut fair = blocks.iter().flat_map(|block| *block.expose()).filter(|byte| *byte < FAIR);
        // Of 128 bytes, fewer than 8 are fair about once in 10^130 draws; the first character stands in then.
        Self([(); CODE_LEN].map(|()| letter(fair.next().unwrap_or(0))))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// In two halves, `BCDF-GHJK`: easier to compare by eye.
    pub fn grouped(&self) -> String {
        let (left, right) = self.as_str().split_at(CODE_LEN / 2);
        alloc::format!("{left}-{right}")
    }
}

fn letter(byte: u8) -> u8 {
    let place = usize::from(byte) % CODE_ALPHABET.len();
    CODE_ALPHABET.get(place).copied().unwrap_or(b'B')
}

/// A text that is no pairing code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pairing code is 8 characters of BCDFGHJKLMNPQRSTVWXZ2345")]
pub struct InvalidCode;

/// The longest text in which a code is looked for, in bytes: a URL with a code in it.
const MAX_TYPED: usize = 512;

/// Reads what a person typed or pasted: lower case, full-width letters, whatever stands between the characters without being a letter or
/// a digit, and the whole URL that `vpd pair` shows.
impl FromStr for CodeText {
    type Err = InvalidCode;
    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        if text.len() > MAX_TYPED {
            return Err(InvalidCode);
        }
        let text = text.split_once("code=").map_or(text, |(_, rest)| rest.split(['&', '#']).next().unwrap_or(rest));
        let mut typed = text.chars().filter(|typed| typed.is_alphanumeric()).map(narrow);
        let mut code = [0; CODE_LEN];
        for place in &mut code {
            let letter = typed.next().and_then(|typed| u8::try_from(typed).ok()).map(|letter| letter.to_ascii_uppercase());
            *place = letter.filter(|letter| CODE_ALPHABET.contains(letter)).ok_or(InvalidCode)?;
        }
        if typed.next().is_some() { Err(InvalidCode) } else { Ok(Self(code)) }
    }
}

/// A full-width letter or digit (U+FF01 to U+FF5E) as the one of ASCII.
fn narrow(typed: char) -> char {
    match u32::from(typed) {
        wide @ 0xFF01..=0xFF5E => char::from_u32(wide.saturating_sub(0xFEE0)).unwrap_or(typed),
        _ => typed,
    }
}

impl fmt::Display for CodeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CodeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, string::ToString, vec, vec::Vec};

    use super::*;

    /// RFC 8628 section 6.1: codes use their alphabet evenly and can be typed carelessly.
    #[test]
    fn codes_are_drawn_evenly_and_read_leniently() {
        let codes: Vec<_> = (0..600_u16)
            .map(|n| {
                let mut seed = [0; 32];
                seed[..2].copy_from_slice(&n.to_be_bytes());
                CodeText::generate(&Entropy::new(seed))
            })
            .collect();
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        for letter in CODE_ALPHABET {
            let seen = codes.iter().flat_map(|c| c.as_str().bytes()).filter(|b| b == letter).count();
            assert!((120..=280).contains(&seen), "{} is drawn {seen} times of 4800", char::from(*letter));
        }
        let code = codes[0];
        let careless = vec![code.to_string(), code.grouped(), code.to_string().to_lowercase(), alloc::format!(" {code} ")];
        assert!(careless.iter().all(|typed| typed.parse() == Ok(code)), "{careless:?}");
        for bad in ["", "BCDFGHJ", "BCDFGHJKL", "ACDFGHJK", "BCDFGHJ\u{212a}", &"-".repeat(100), "BCDFGHJ\u{ff21}"] {
            assert_eq!(bad.parse::<CodeText>(), Err(InvalidCode));
        }
    }

    /// S6: a code in its two halves, and as it stands in a log.
    #[test]
    fn a_code_is_shown_in_two_halves() {
        let code: CodeText = "BCDFGHJK".parse().unwrap();
        assert_eq!(code.grouped(), "BCDF-GHJK");
        assert_eq!(alloc::format!("{code} {code:?}"), "BCDFGHJK BCDFGHJK");
    }

    /// S6: a code as mail and chat programs paste it.
    #[test]
    fn a_pasted_code_is_understood() {
        let code: CodeText = "BCDFGHJK".parse().unwrap();
        let url = "https://viewport.example/pair?code=BCDFGHJK";
        for pasted in ["BCDF\u{2013}GHJK", "BCDF\u{2011}GHJK", "BCDF\u{a0}GHJK", "BCDF\tGHJK\n", "BCDF\u{200b}GHJK", url] {
            assert_eq!(pasted.parse(), Ok(code), "{pasted}");
        }
        let wide: String = "bcdfghjk".chars().map(|c| char::from_u32(u32::from(c) + 0xFEE0).unwrap()).collect();
        assert_eq!(wide.parse(), Ok(code));
        assert_eq!((String::from(url) + "&next=/#top").parse(), Ok(code));
        assert_eq!("code=".parse::<CodeText>(), Err(InvalidCode));
    }

    /// S6: what was typed is not looked at beyond the length of a URL.
    #[test]
    fn a_typed_code_has_a_longest_form() {
        let code: CodeText = "BCDFGHJK".parse().unwrap();
        for blanks in [0, 4, 5, 504] {
            assert_eq!((code.to_string() + &" ".repeat(blanks)).parse(), Ok(code));
        }
        for blanks in [505, 1_000] {
            assert_eq!((code.to_string() + &" ".repeat(blanks)).parse::<CodeText>(), Err(InvalidCode));
        }
    }

    /// PAIR-12: bytes that would make some characters likelier than others are passed over.
    #[test]
    fn no_character_is_likelier_than_another() {
        let mut passed_over = BTreeSet::new();
        for n in 0..=255 {
            let entropy = Entropy::new([n; 32]);
            let drawn = *entropy.derive("pairing code 1").expose();
            let (whole, rest): (Vec<u8>, Vec<u8>) = drawn.into_iter().partition(|byte| byte / 24 < 10);
            let expected: Vec<_> = whole.iter().map(|byte| CODE_ALPHABET[usize::from(byte % 24)]).take(CODE_LEN).collect();
            assert_eq!(CodeText::generate(&entropy).as_str().as_bytes(), expected);
            passed_over.extend(rest);
        }
        assert!(passed_over.contains(&240) && passed_over.contains(&255));
    }
}
