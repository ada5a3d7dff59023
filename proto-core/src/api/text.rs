//! What a server says becomes part of URLs, header lines and terminals: only visible text does.

/// The longest URL that is shown or dialled.
const MAX_URL_LEN: usize = 2_048;

/// An absolute URL of one of these schemes (`https://`, …), with something after it.
pub(crate) fn is_url(text: &str, schemes: &[&str]) -> bool {
    let is_of_scheme = schemes.iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    is_of_scheme && is_visible(text, MAX_URL_LEN)
}

/// Visible ASCII only: it can neither end a header line nor move a terminal's cursor.
pub(crate) fn is_visible(text: &str, max_len: usize) -> bool {
    (1..=max_len).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether people can read `text` as what it is, so that it may name a device, a program, a person or an organization: 1 to
/// `max_chars` characters, at least one of them visible, and none that is a control, invisible, or turns text around.
pub fn is_name(text: &str, max_chars: usize) -> bool {
    let fits = (1..=max_chars).contains(&text.chars().count());
    fits && !text.trim().is_empty() && !text.chars().any(hides)
}

/// Controls (Unicode category Cc), format characters (Cf, among them all of UAX 9), line and paragraph separators, variation
/// selectors, fillers and other letters without a picture, and white space that is not a plain space.
const fn hides(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{1680}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{2800}'
        | '\u{3000}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F32, S75: what a page or a terminal shows is all that a person decides by.
    #[test]
    fn names_show_as_what_they_are() {
        for name in ["ann's laptop", "Ünïcode", "日本", "שלום", "a", "vpd 0.1.0", "laptop (2)", "🦀"] {
            assert!(is_name(name, 20), "{name}");
        }
        for (hidden, what) in [
            ('\0', "NUL"),
            ('\x1b', "escape"),
            ('\x7f', "delete"),
            ('\u{9b}', "CSI"),
            ('\n', "line feed"),
            ('\t', "tab"),
            ('\u{a0}', "no-break space"),
            ('\u{ad}', "soft hyphen"),
            ('\u{34f}', "grapheme joiner"),
            ('\u{61c}', "Arabic mark"),
            ('\u{115f}', "filler"),
            ('\u{180e}', "vowel separator"),
            ('\u{200b}', "zero width space"),
            ('\u{200d}', "joiner"),
            ('\u{200f}', "right-to-left mark"),
            ('\u{2028}', "line separator"),
            ('\u{202e}', "override"),
            ('\u{2066}', "isolate"),
            ('\u{206f}', "deprecated format"),
            ('\u{2800}', "blank braille"),
            ('\u{3000}', "wide space"),
            ('\u{3164}', "filler"),
            ('\u{fe0f}', "variation selector"),
            ('\u{feff}', "byte order mark"),
            ('\u{ffa0}', "filler"),
            ('\u{fff9}', "annotation"),
            ('\u{e0041}', "tag"),
            ('\u{e0100}', "variation selector"),
        ] {
            assert!(!is_name(&alloc::format!("a{hidden}b"), 20), "{what}");
        }
        assert!(!is_name("", 20) && !is_name("   ", 20));
        assert!(is_name(&"ü".repeat(20), 20) && !is_name(&"ü".repeat(21), 20));
    }
}
