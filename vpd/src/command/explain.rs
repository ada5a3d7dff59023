//! `vpd explain CODE`: a reason of the catalogue in full.

use std::io::{self, Write};

use owo_colors::OwoColorize as _;
use proto_core::{Reason, reason::Family};
use serde::Serialize;

use crate::cli::ExplainArgs;

/// What `vpd explain` is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject(Reason);

/// Reads a reason code or a WebSocket close code.
pub(crate) fn parse_subject(text: &str) -> Result<Subject, String> {
    if let Ok(reason) = text.parse() {
        return Ok(Subject(reason));
    }
    if let Ok(close_code) = text.parse::<u16>() {
        let reason = Reason::ALL.iter().find(|reason| reason.close_code() == close_code);
        return reason.copied().map(Subject).ok_or_else(|| "no reason has this close code".to_owned());
    }
    Err(match nearest(text) {
        Some(reason) => format!("no such reason code; did you mean `{}`? `vpd explain` lists them all", reason.code()),
        None => "no such reason code; `vpd explain` lists them all".to_owned(),
    })
}

/// Explains one reason, or lists all.
pub(crate) fn explain(args: &ExplainArgs) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match (args.code, args.json) {
        (Some(Subject(reason)), true) => write_json(&mut out, &Explanation::of(reason))?,
        (Some(Subject(reason)), false) => write_one(&mut out, reason)?,
        (None, true) => write_json(&mut out, &Reason::ALL.iter().copied().map(Explanation::of).collect::<Vec<_>>())?,
        (None, false) => write_all(&mut out)?,
    }
    Ok(())
}

/// A reason as `--json` prints it.
#[derive(Serialize)]
struct Explanation {
    code: &'static str,
    summary: &'static str,
    cause: &'static str,
    next: &'static str,
    family: &'static str,
    exit_code: u8,
    close_code: u16,
}

impl Explanation {
    fn of(reason: Reason) -> Self {
        Self {
            code: reason.code(),
            summary: reason.summary(),
            cause: reason.cause(),
            next: reason.next(),
            family: reason.family().title(),
            exit_code: reason.family().exit_code(),
            close_code: reason.close_code(),
        }
    }
}

fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    writeln!(out, "{}", serde_json::to_string_pretty(value)?)
}

fn write_one(out: &mut impl Write, reason: Reason) -> io::Result<()> {
    let family = reason.family();
    writeln!(out, "{}: {}", reason.code().bold(), reason.summary())?;
    writeln!(out, "  cause:  {}", reason.cause())?;
    writeln!(out, "  next:   {}", reason.next().cyan())?;
    writeln!(out, "  family: {}, exit code {}, close code {}", family.title(), family.exit_code(), reason.close_code())
}

fn write_all(out: &mut impl Write) -> io::Result<()> {
    let width = Reason::ALL.iter().map(|reason| reason.code().len()).max().unwrap_or(0);
    for family in FAMILIES {
        writeln!(out, "{} (exit code {})", family.title().bold(), family.exit_code())?;
        for reason in Reason::ALL.iter().filter(|reason| reason.family() == family) {
            writeln!(out, "  {:width$}  {}", reason.code(), reason.summary())?;
        }
    }
    Ok(())
}

/// The families in the order of their exit codes.
pub(crate) const FAMILIES: [Family; 8] = [
    Family::Request,
    Family::Pairing,
    Family::Network,
    Family::Credential,
    Family::Handshake,
    Family::Workspace,
    Family::Limit,
    Family::Local,
];

/// The code that was probably meant: the nearest one within a third of its length.
fn nearest(text: &str) -> Option<Reason> {
    let near = |reason: &&Reason| distance(text, reason.code());
    Reason::ALL.iter().min_by_key(near).copied().filter(|reason| distance(text, reason.code()) * 3 <= reason.code().len())
}

/// Levenshtein distance in bytes, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_and_close_codes_are_understood() {
        assert_eq!(parse_subject("token_expired"), Ok(Subject(Reason::TokenExpired)));
        assert_eq!(parse_subject(&Reason::RateLimited.close_code().to_string()), Ok(Subject(Reason::RateLimited)));
        assert!(parse_subject("999").is_err());
    }

    #[test]
    fn a_slip_of_the_finger_is_answered_with_the_nearest_code() {
        assert!(parse_subject("token_expird").unwrap_err().contains("`token_expired`"));
        assert!(!parse_subject("elephant").unwrap_err().contains("did you mean"));
    }

    #[test]
    fn every_reason_is_listed_once() {
        let mut text = Vec::new();
        write_all(&mut text).unwrap();
        let text = String::from_utf8(anstream::adapter::strip_bytes(&text).into_vec()).unwrap();
        let listed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
        assert_eq!(listed.len(), Reason::ALL.len());
        assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), Reason::ALL.len());
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (a, b, expected) in [("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3), ("flaw", "lawn", 2)] {
            assert_eq!(distance(a, b), expected);
        }
    }
}
