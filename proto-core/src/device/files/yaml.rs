//! The YAML of `.viewport/*.yaml`: a flat mapping of scalars, and nothing else of YAML.
//!
//! ```text
//! file    = lines; each is empty, a comment (`# …`), `---` (only before the first entry), or an entry
//! entry   = key `:` [spaces value] [spaces comment]     at column 1
//! key     = [A-Za-z_][A-Za-z0-9_-]*
//! value   = plain | 'single quoted', '' for ' | "double quoted", \" and \\ as the only escapes
//! plain   = does not start with one of YAML's indicators, holds neither `: ` nor ` #`
//! comment = # to the end of the line
//! ```
//!
//! All of it means the same to any YAML 1.2 reader. What else YAML has (nesting, lists, anchors, tags, block scalars, several
//! documents) is refused, and so is a key that stands twice: a file that decides what leaves the machine has one meaning.

use alloc::{borrow::ToOwned, collections::BTreeMap, string::String};

/// The longest file that is read, in bytes.
const MAX_LEN: usize = 65_536;

/// Reads the entries; `None` when the file is not of the form above.
pub(super) fn parse(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    if bytes.len() > MAX_LEN {
        return None;
    }
    let text = core::str::from_utf8(bytes).ok()?;
    let mut entries = BTreeMap::new();
    let mut may_start = true;
    for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines() {
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return None;
        }
        if is_blank(line) {
            continue;
        }
        let is_start = line.trim_end() == "---";
        if is_start && !may_start {
            return None;
        }
        may_start = false;
        if is_start {
            continue;
        }
        let (key, value) = entry(line)?;
        if entries.insert(key.to_owned(), value).is_some() {
            return None;
        }
    }
    Some(entries)
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\t']);
    line.is_empty() || line.starts_with('#')
}

fn entry(line: &str) -> Option<(&str, String)> {
    let (key, rest) = line.split_once(':')?;
    let mut letters = key.chars();
    let is_key = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let is_separated = rest.is_empty() || rest.starts_with([' ', '\t']);
    (is_key && is_separated).then_some(())?;
    Some((key, value(rest)?))
}

/// `rest` is what follows the colon: empty, or it starts with white space.
fn value(rest: &str) -> Option<String> {
    let trimmed = rest.trim_start_matches([' ', '\t']);
    let (value, after) = match trimmed.chars().next() {
        None | Some('#') => (String::new(), ""),
        Some('\'') => single_quoted(trimmed.get(1..)?)?,
        Some('"') => double_quoted(trimmed.get(1..)?)?,
        Some(_) => (plain(trimmed)?, ""),
    };
    let is_end = after.is_empty() || (after.starts_with([' ', '\t']) && is_blank(after));
    is_end.then_some(value)
}

fn plain(text: &str) -> Option<String> {
    let comment = text.find(" #").or_else(|| text.find("\t#")).unwrap_or(text.len());
    let value = text.get(..comment)?.trim_end();
    let starts_well = !value.starts_with(['[', ']', '{', '}', ',', '&', '*', '!', '|', '>', '%', '@', '`', '#', '-', '?', ':']);
    let is_scalar = !value.contains(": ") && !value.contains(":\t") && !value.ends_with(':');
    (starts_well && is_scalar).then(|| value.to_owned())
}

/// The text up to the closing quote, and what follows it.
fn single_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('\'')?;
        value.push_str(part);
        let Some(again) = after.strip_prefix('\'') else { return Some((value, after)) };
        value.push('\'');
        rest = again;
    }
}

/// The text up to the closing quote, and what follows it.
fn double_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.chars();
    loop {
        match letters.next()? {
            '"' => return Some((value, letters.as_str())),
            '\\' => value.push(letters.next().filter(|c| matches!(c, '"' | '\\'))?),
            letter => value.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        parse(text.as_bytes())?.remove("a")
    }

    #[test]
    fn scalars_are_read_as_yaml_has_them() {
        for (text, value) in [
            ("a: b", "b"),
            ("a: b # c", "b"),
            ("a: b#c", "b#c"),
            ("# x\n\n---\na:  b c  \n", "b c"),
            ("a: 2026-05-11T14:42:00Z", "2026-05-11T14:42:00Z"),
            ("a: \"b: # \\\" \\\\\" # c", "b: # \" \\"),
            ("a: 'it''s'\r\n", "it's"),
            ("a: ''", ""),
            ("a:", ""),
            ("a: # c", ""),
            ("\u{feff}a: b", "b"),
        ] {
            assert_eq!(read(text).as_deref(), Some(value), "{text:?}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "a: b\na: c",
            " a: b",
            "\ta: b",
            "a:b",
            "a : b",
            "- a",
            "a: [b]",
            "a: {b: c}",
            "a: &x b",
            "a: *x",
            "a: !!str b",
            "a: |\n  b",
            "a: >\n  b",
            "a: - b",
            "a: b: c",
            "a: b:",
            "a: 'b",
            "a: \"b",
            "a: \"\\n\"",
            "a: 'b'c",
            "a: b\n---\n",
            "a: b\n...",
            "{a: b}",
            "? a",
            "a: @b",
            "a: %b",
            "1a: b",
            "a: \"b\" c",
            "a: b\u{7}",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse(b"a: \xff"), None);
        assert_eq!(parse(b""), Some(BTreeMap::new()));
    }

    /// L8: a file of 65,536 bytes is read, a longer one is not.
    #[test]
    fn a_file_is_read_up_to_its_longest() {
        assert_eq!(parse(&alloc::vec![b'#'; 65_536]), Some(BTreeMap::new()));
        assert_eq!(parse(&alloc::vec![b'#'; 65_537]), None);
    }
}
