//! How a command ends when it does not reach its goal: what happened, the reason code, the likely cause and what to type
//! next, all from the catalogue; and the exit code that goes with it.

use std::{borrow::Cow, fmt, io, io::Write as _, process::ExitCode};

use owo_colors::OwoColorize as _;
use proto_core::{Obstacle, Reason, api::Problem, device::control::ProxyRow};

use crate::{obstacle, plain::Lines};

/// The exit code of something the catalogue does not foresee.
const UNFORESEEN: u8 = 1;

/// A reason, with what is particular to this case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Why.
    pub reason: Reason,
    /// What exactly, in this case: a path, a URL, what the system said.
    pub detail: Option<String>,
    /// Lines that help to decide what to do next.
    pub notes: Vec<String>,
    /// What is likely behind it, where more is known than what the catalogue says of the reason.
    pub cause: Option<&'static str>,
    /// What to do next, where more is known than what the catalogue says of the reason.
    pub remedy: Option<Cow<'static, str>>,
}

impl Failure {
    /// `reason`, about `detail`.
    pub(crate) fn about(reason: Reason, detail: impl fmt::Display) -> Self {
        Self { detail: Some(detail.to_string()), ..Self::from(reason) }
    }

    /// `reason` at `url`, and what was met there or at the proxy on the way.
    pub(crate) fn at(reason: Reason, url: &str, obstacle: Option<Obstacle>, proxy: Option<&ProxyRow>) -> Self {
        let remedy = obstacle.and_then(|met| obstacle::remedy(met, proxy));
        Self { remedy, ..Self::about(reason, format_args!("{url}{}", obstacle::met(obstacle, proxy))) }
    }

    /// The same with lines to decide by.
    pub(crate) fn with_notes(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// The failure that a problem document tells of; a document without a reason is an invalid answer.
    pub(crate) fn from_problem(problem: Problem) -> Self {
        match problem.reason {
            Some(reason) => Self { detail: problem.detail, ..Self::from(reason) },
            None => Self::about(Reason::PeerError, format!("{} {}", problem.status, problem.title)),
        }
    }

    /// The same as a problem document, for a parent process to read.
    pub(crate) fn to_problem(&self) -> Problem {
        Problem { detail: self.detail.clone(), ..Problem::because(500, self.reason) }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: None, notes: Vec::new(), cause: None, remedy: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}: {}", self.reason, Lines(detail)),
            None => write!(f, "{}", self.reason),
        }
    }
}

impl std::error::Error for Failure {}

/// The failure inside an error, where it is one of the catalogue's.
fn find(error: &anyhow::Error) -> Option<Failure> {
    error.downcast_ref::<Failure>().cloned().or_else(|| error.downcast_ref::<Reason>().copied().map(Failure::from))
}

/// Prints an error on the standard error and gives the exit code that goes with it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let mut text = Vec::new();
    // Writing to a vector cannot fail.
    let code = if let Some(failure) = find(error) {
        let _ = write_failure(&mut text, &failure);
        failure.reason.family().exit_code()
    } else {
        let _ = writeln!(text, "{} {error:#}", "error:".red().bold());
        UNFORESEEN
    };
    // Where the standard error is closed the error cannot be told.
    let _ = anstream::stderr().write_all(&text);
    ExitCode::from(code)
}

fn write_failure(out: &mut Vec<u8>, failure: &Failure) -> io::Result<()> {
    let reason = failure.reason;
    writeln!(out, "{} {failure}", "error:".red().bold())?;
    for note in &failure.notes {
        writeln!(out, "    {note}")?;
    }
    writeln!(out, "  {} {}", "reason:".bold(), reason.code())?;
    writeln!(out, "  {}  {}", "cause:".bold(), failure.cause.unwrap_or(reason.cause()))?;
    writeln!(out, "  {}   {}", "next:".bold(), failure.remedy.as_deref().unwrap_or(reason.next()).cyan())
}

/// `vpd logs | head` is no failure: the reader has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    /// D12: the reason survives whatever context is added on its way up.
    #[test]
    fn a_reason_is_found_below_its_context() {
        let error = Err::<(), _>(Reason::NotPaired).context("binding ~/work").unwrap_err();
        assert_eq!(find(&error), Some(Failure::from(Reason::NotPaired)));
        let failure = Failure::about(Reason::DirectoryMissing, "/nowhere");
        assert_eq!(find(&anyhow::Error::from(failure.clone()).context("x")), Some(failure));
        assert_eq!(find(&anyhow::anyhow!("disk on fire")), None);
    }

    /// D12: every error a person sees names what happened, the code, the cause and the next command.
    #[test]
    fn every_reason_prints_all_its_parts() {
        for reason in Reason::ALL {
            let mut text = Vec::new();
            write_failure(&mut text, &Failure::about(*reason, "detail").with_notes(vec!["a note".into()])).unwrap();
            let text = anstream::adapter::strip_bytes(&text).into_vec();
            let text = String::from_utf8(text).unwrap();
            for part in [reason.summary(), "detail", "a note", reason.code(), reason.cause(), reason.next()] {
                assert!(text.contains(part), "{part:?} in {text}");
            }
        }
    }

    #[test]
    fn a_problem_survives_the_way_through_a_parent() {
        let failure = Failure::about(Reason::HomeInUse, "pid 7");
        assert_eq!(Failure::from_problem(failure.to_problem()), failure);
    }
}
