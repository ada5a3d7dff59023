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

/// What runs where.
pub(super) fn headline(title: &Title) -> String {
    format!("{} · {} · {}×{}", title.command, title.directory, title.columns, title.rows)
}
