//! `docs/REASONS.md`, made from the catalogue.

use std::{fmt::Write as _, io::Write as _};

use proto_core::{Reason, reason::Family};

use super::explain::FAMILIES;

const HEAD: &str = "\
# Reasons

Why something was refused or failed. One catalogue serves the relay's log, its metrics, the WebSocket's close frame, `vpd status`,
the error that a person sees, the exit code of `vpd` and `vpd explain CODE`. Codes are stable: never renamed, never reused.

This page is made from the catalogue: `vpd reasons-page > docs/REASONS.md`.

The close code of a reason is 4000 and its number. Other exit codes of `vpd`: 0 done, 1 something unforeseen, 2 wrong usage;
`vpd run` ends with the exit status of its command, `vpd watch` with 130 when it is
interrupted, or with 4 while it waits for an approval.
";

/// Writes the page to the standard output.
pub(crate) fn write() -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(page().as_bytes())?)
}

/// The whole page.
fn page() -> String {
    let mut page = HEAD.to_owned();
    for family in FAMILIES {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {}: exit code {}\n", family.title(), family.exit_code());
        page.extend(Reason::ALL.iter().filter(|reason| reason.family() == family).map(|reason| section(*reason)));
    }
    page
}

fn section(reason: Reason) -> String {
    let mut notes = String::new();
    if reason.is_temporary() && reason.family() != Family::Network {
        notes.push_str(" Trying again can help.");
    }
    if reason.ends_binding() {
        notes.push_str(" When the relay says it under its pinned key, the daemon deletes the binding.");
    }
    let (code, number) = (reason.code(), reason.close_code() - 4000);
    let (summary, cause, next) = (reason.summary(), reason.cause(), reason.next());
    let stop = if summary.ends_with('?') { "" } else { "." };
    format!("\n### `{code}` ({number})\n\n{}{stop} {cause}{notes}\n\nNext: `{next}`\n", capitalised(summary))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D12: the page that is committed is the catalogue, word for word.
    #[test]
    fn the_committed_page_is_the_catalogue() {
        let committed = include_str!("../../../docs/REASONS.md");
        assert!(committed == page(), "run: vpd reasons-page > docs/REASONS.md");
    }
}
