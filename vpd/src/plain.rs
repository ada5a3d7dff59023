//! Names and words of others on this terminal: nothing in them may move the cursor, colour, retitle, or turn the line around.

use std::fmt;

/// Text of others, on one line: what is invisible or steers is shown as it would be written in a program.
pub(crate) struct Line<'a>(pub &'a str);

/// The same where line feeds and tabs keep their meaning.
pub(crate) struct Lines<'a>(pub &'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, "")
    }
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, "\n\t")
    }
}

fn write(f: &mut fmt::Formatter<'_>, text: &str, kept: &str) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        _ if is_unsafe_for_terminal(c) && !kept.contains(c) => write!(f, "{}", c.escape_default()),
        _ => write!(f, "{c}"),
    })
}

/// Controls, and the format characters of Unicode that hide, break or reverse text (UAX #9, UTS #55).
pub(crate) fn is_unsafe_for_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        let name = "esc\u{1b}]0;owned\u{7}\u{9b}2J\nü 漢 \u{202e}evil";
        assert_eq!(Line(name).to_string(), r"esc\u{1b}]0;owned\u{7}\u{9b}2J\nü 漢 \u{202e}evil");
        assert_eq!(Lines("a\n\tb\u{1b}").to_string(), "a\n\tb\\u{1b}");
    }
}
