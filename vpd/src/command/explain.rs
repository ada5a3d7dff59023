//! `vpd explain CODE`: a reason of the catalogue in full, or all that end with one exit code.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use owo_colors::OwoColorize as _;
use proto_core::{Reason, reason::Family};
use serde::Serialize;

use crate::cli::ExplainArgs;

/// What `vpd explain` is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// One reason.
    Reason(Reason),
    /// All reasons that end with one exit code.
    Family(Family),
}

/// Reads a reason code, a WebSocket close code, an exit code, or the words of a log line, such as `invalid psk`.
pub(crate) fn parse_subject(text: &str) -> Result<Subject, String> {
    if let Ok(number) = text.trim().parse() {
        return by_number(number).ok_or_else(|| "no reason has this exit code or close code".to_owned());
    }
    let words = words_of(text);
    let code = words.join("_");
    if let Ok(reason) = code.parse() {
        return Ok(Subject::Reason(reason));
    }
    if let [reason] = with_words(&words)[..] {
        return Ok(Subject::Reason(reason));
    }
    Err(match nearest(&code) {
        Some(reason) => format!("no such reason code; did you mean `{}`? `vpd explain` lists them all", reason.code()),
        None => "no such reason code; `vpd explain` lists them all".to_owned(),
    })
}

/// Exit codes are below 256, close codes from 4000 on.
fn by_number(number: u16) -> Option<Subject> {
    let family = FAMILIES.into_iter().find(|family| u16::from(family.exit_code()) == number);
    let reason = Reason::ALL.iter().find(|reason| reason.close_code() == number);
    family.map(Subject::Family).or(reason.copied().map(Subject::Reason))
}

/// The words of a text, in lower case.
fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

/// The reasons whose code or summary has all of `words`.
fn with_words(words: &[String]) -> Vec<Reason> {
    let has = |reason: &&Reason| {
        let known: BTreeSet<_> = words_of(reason.code()).into_iter().chain(words_of(reason.summary())).collect();
        !words.is_empty() && words.iter().all(|word| known.contains(word))
    };
    Reason::ALL.iter().filter(has).copied().collect()
}

/// Explains one reason, or lists all.
pub(crate) fn explain(args: &ExplainArgs) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match (args.code, args.json) {
        (Some(Subject::Reason(reason)), true) => write_json(&mut out, &Explanation::of(reason))?,
        (Some(Subject::Reason(reason)), false) => write_one(&mut out, reason)?,
        (Some(Subject::Family(family)), true) => write_json(&mut out, &explanations(|reason| reason.family() == family))?,
        (Some(Subject::Family(family)), false) => write_family(&mut out, family)?,
        (None, true) => write_json(&mut out, &explanations(|_| true))?,
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

fn explanations(wanted: impl Fn(Reason) -> bool) -> Vec<Explanation> {
    Reason::ALL.iter().copied().filter(|reason| wanted(*reason)).map(Explanation::of).collect()
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
    FAMILIES.into_iter().try_for_each(|family| write_family(out, family))
}

fn write_family(out: &mut impl Write, family: Family) -> io::Result<()> {
    let width = Reason::ALL.iter().map(|reason| reason.code().len()).max().unwrap_or(0);
    writeln!(out, "{} (exit code {})", family.title().bold(), family.exit_code())?;
    for reason in Reason::ALL.iter().filter(|reason| reason.family() == family) {
        writeln!(out, "  {:width$}  {}", reason.code(), reason.summary())?;
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
    let distance = |reason: &Reason| strsim::damerau_levenshtein(text, reason.code());
    let nearest = Reason::ALL.iter().copied().min_by_key(distance)?;
    (distance(&nearest) * 3 <= nearest.code().len()).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_close_codes_are_understood() {
        assert_eq!(parse_subject("token_expired"), Ok(Subject::Reason(Reason::TokenExpired)));
        assert_eq!(parse_subject(&Reason::RateLimited.close_code().to_string()), Ok(Subject::Reason(Reason::RateLimited)));
        assert!(parse_subject("999").is_err());
    }

    /// S221: what the relay's log and the pages call a reason is understood as well as its code.
    #[test]
    fn the_words_of_a_log_line_are_understood() {
        for (text, reason) in [
            ("invalid psk", Reason::NoisePskInvalid),
            ("Signature mismatch", Reason::SignatureMismatch),
            ("token expired", Reason::TokenExpired),
            ("JWKS unreachable", Reason::JwksUnreachable),
            ("workspace not found", Reason::WorkspaceNotFound),
            ("internal-key mismatch", Reason::InternalKeyMismatch),
            ("frame too large", Reason::FrameTooLarge),
        ] {
            assert_eq!(parse_subject(text), Ok(Subject::Reason(reason)), "{text}");
        }
        for unclear in ["", "the", "token"] {
            assert!(parse_subject(unclear).is_err(), "{unclear}");
        }
    }

    #[test]
    fn an_exit_code_stands_for_its_family() {
        for family in FAMILIES {
            assert_eq!(parse_subject(&family.exit_code().to_string()), Ok(Subject::Family(family)));
        }
        assert!(parse_subject("0").is_err() && parse_subject("2").is_err());
    }

    #[test]
    fn a_typo_is_answered_with_the_nearest_code() {
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
}
