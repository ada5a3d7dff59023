//! What a session's records look like to whoever watches.

use std::io::{self, IsTerminal as _, Write};

use owo_colors::OwoColorize as _;
use proto_core::wire::{Content, Outcome, Record, Title};

/// Takes back what a session may have done to the terminal: colours, a hidden cursor, the other screen, reported mouse and paste.
const RESET: &str = "\x1b[0m\x1b[?25h\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\r\n";

/// The standard output, and lines about the session on the standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// Nothing but the bytes of the session on the standard output.
    raw: bool,
    /// Whether lines about the session are wanted.
    notes: bool,
    is_terminal: bool,
}

impl Screen {
    pub(super) fn new(raw: bool, verbose: bool) -> Self {
        Self { raw, notes: verbose || !raw, is_terminal: io::stdout().is_terminal() }
    }

    /// Shows one record.
    pub(super) fn show(self, record: &Record) -> io::Result<()> {
        match &record.content {
            Content::Output(bytes) => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Content::Title(title) => {
                self.note(&headline(title));
                Ok(())
            }
            Content::Exit { status } => {
                self.reset()?;
                self.note(&format!("exited with {status}"));
                Ok(())
            }
            Content::Input(_) | Content::Resize { .. } | Content::Event(_) => Ok(()),
        }
    }

    /// The session is over.
    pub(super) fn end(self, outcome: Outcome) -> io::Result<()> {
        if outcome == Outcome::Cut {
            self.reset()?;
            self.note("its streaming was cut here; the command itself went on");
        }
        Ok(())
    }

    /// A line about the session, where it is wanted.
    pub(super) fn note(self, text: &str) {
        if self.notes {
            anstream::eprintln!("{}", format_args!("── {text} ──").dimmed());
        }
    }

    fn reset(self) -> io::Result<()> {
        if self.raw || !self.is_terminal {
            return Ok(());
        }
        io::stdout().lock().write_all(RESET.as_bytes())
    }
}

/// The longest command or directory in a headline, in characters.
const HEADLINE_PART: usize = 60;

/// What runs where, on one line.
pub(super) fn headline(title: &Title) -> String {
    let (command, directory) = (one_line(&title.command), one_line(&title.directory));
    format!("{command} · {directory} · {}×{}", title.columns, title.rows)
}

/// Somebody else's text for this terminal: without line breaks and control characters, and not too long.
fn one_line(text: &str) -> String {
    let printable: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<_> = printable.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(HEADLINE_PART) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A title comes from somebody else's machine: nothing in it may move the cursor or fill the screen.
    #[test]
    fn a_headline_is_one_short_line_without_control_characters() {
        let title =
            |command: &str| Title { command: command.into(), directory: "~/api".into(), started: 0, columns: 80, rows: 24 };
        assert_eq!(headline(&title("sh -c '\n\u{1b}[2Jls\u{9b}1m'\n")), "sh -c ' [2Jls 1m' · ~/api · 80×24");
        let long = headline(&title(&"ä".repeat(100)));
        assert_eq!(long, format!("{}… · ~/api · 80×24", "ä".repeat(60)));
    }
}
