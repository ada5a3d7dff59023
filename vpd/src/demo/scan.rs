//! Looks for what must not be there: plaintext in everything that relay and platform received, sent and stored (ADM-5).

use std::{fs, io, path::Path};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

/// The shortest text that is looked for: shorter ones are found by chance.
const MIN_NEEDLE: usize = 12;
/// The most lines of an output that are looked for.
const MAX_LINES: usize = 64;

/// Texts in every encoding in which they might slip through.
#[derive(Clone, Debug)]
pub(super) struct Needles(Vec<Vec<u8>>);

impl Needles {
    /// The lines of what a command showed that are long enough to be told from noise, and `marks`, as they are, in hex, in
    /// base64 at each of its three offsets, and backwards.
    pub(super) fn of(marks: &[&str], shown: &[u8]) -> Self {
        let lines = shown.split(u8::is_ascii_control).map(<[u8]>::trim_ascii).take(MAX_LINES);
        let texts = marks.iter().map(|mark| mark.as_bytes()).chain(lines).filter(|text| text.len() >= MIN_NEEDLE);
        Self(texts.flat_map(guises).collect())
    }

    /// Whether there is anything to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is in `bytes`.
    pub(super) fn found_in(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|needle| contains(bytes, needle))
    }

    /// Whether one of them is in a file below `folder`.
    pub(super) fn found_below(&self, folder: &Path) -> io::Result<bool> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let found = match (kind.is_dir(), kind.is_file()) {
                (true, _) => self.found_below(&entry.path())?,
                (_, true) => self.found_in(&fs::read(entry.path())?),
                _ => false,
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn guises(text: &[u8]) -> Vec<Vec<u8>> {
    let mut guises =
        vec![text.to_vec(), HEXLOWER.encode(text).into(), HEXUPPER.encode(text).into(), text.iter().rev().copied().collect()];
    for offset in 0..3 {
        // Whole groups of three bytes look the same whatever stands before and after them.
        let whole = &text[offset..];
        let whole = &whole[..whole.len() - whole.len() % 3];
        guises.push(BASE64_NOPAD.encode(whole).into());
        guises.push(BASE64URL_NOPAD.encode(whole).into());
    }
    guises
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return false };
    let mut haystack = haystack;
    while let Some(at) = haystack.iter().position(|byte| byte == first) {
        haystack = &haystack[at + 1..];
        if haystack.starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-4f1d2c3b5a69";

    /// META-1: planted in any encoding, at any offset, it is found.
    #[test]
    fn a_canary_is_found_in_every_encoding() {
        let needles = Needles::of(&[CANARY], b"");
        for padding in 0..3 {
            let text = [&b"xyz"[..padding], CANARY.as_bytes(), b"and more"].concat();
            assert!(needles.found_in(&text));
            assert!(needles.found_in(HEXLOWER.encode(&text).as_bytes()));
            assert!(needles.found_in(HEXUPPER.encode(&text).as_bytes()));
            assert!(needles.found_in(BASE64_NOPAD.encode(&text).as_bytes()));
            assert!(needles.found_in(BASE64URL_NOPAD.encode(&text).as_bytes()));
            let backwards: Vec<u8> = text.iter().rev().copied().collect();
            assert!(needles.found_in(&backwards));
        }
        assert!(!needles.found_in(b"no bird at all, canary-4f1d2c3b5a6"));
        assert!(!needles.found_in(b""));
    }

    #[test]
    fn long_lines_of_an_output_are_looked_for() {
        let needles = Needles::of(&[], b"short\r\n\x1b[31mfourteen chars\x1b[0m\r\n");
        assert!(needles.found_in(b"...[31mfourteen chars..."));
        assert!(!needles.found_in(b"short"));
        assert!(Needles::of(&["tiny"], b"tiny\r\n").is_empty());
    }

    #[test]
    fn files_are_searched_at_any_depth() {
        let place = tempfile::tempdir().unwrap();
        let needles = Needles::of(&[CANARY], b"");
        fs::create_dir_all(place.path().join("a/b")).unwrap();
        fs::write(place.path().join("a/b/c"), "nothing").unwrap();
        assert!(!needles.found_below(place.path()).unwrap());
        fs::write(place.path().join("a/b/d"), format!("x{CANARY}y")).unwrap();
        assert!(needles.found_below(place.path()).unwrap());
    }
}
