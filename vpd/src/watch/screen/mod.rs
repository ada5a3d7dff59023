//! How a session's records are shown on the viewer's terminal.
//!
//! Where the standard output is a terminal, only drawing reaches it ([`allowed`]), what is typed meanwhile is swallowed
//! ([`keys`]), and every way out takes back what was changed: the end of the session, an error, and the signals, which have a
//! thread of their own here, so that Ctrl-C works whatever the rest of the program waits for.

mod allowed;
mod keys;

use std::{
    io::{self, IsTerminal as _, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use owo_colors::OwoColorize as _;
use proto_core::wire::{Content, Outcome, Record, Title};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use crate::{plain, run::ignored};
use allowed::Allowed;
use keys::Swallowed;

/// The standard output, and lines about the session on the standard error.
pub(super) struct Screen {
    /// Whether lines about the session are wanted.
    notes: bool,
    /// The terminal, where the standard output is one. Else the session's bytes are written as they are.
    terminal: Option<Arc<Mutex<Terminal>>>,
}

impl Screen {
    /// A screen on which nothing is shown yet; `raw`: without lines about the session, unless they are asked for.
    pub(super) fn new(raw: bool, verbose: bool) -> Self {
        let terminal = io::stdout().is_terminal().then(|| Arc::new(Mutex::new(Terminal::default())));
        Self { notes: verbose || !raw, terminal }
    }

    /// Shows one record.
    pub(super) fn show(&self, record: &Record) -> io::Result<()> {
        match &record.content {
            Content::Output(bytes) => match &self.terminal {
                Some(terminal) => {
                    let mut shown = lock(terminal);
                    if shown.signals.is_none() {
                        shown.signals = restore_on_signals(terminal);
                    }
                    shown.show(bytes)
                }
                None => write_out(bytes),
            },
            Content::Title(title) => {
                self.note(&headline(title));
                Ok(())
            }
            Content::Exit { status } => {
                self.leave()?;
                self.note(&format!("exited with {status}"));
                Ok(())
            }
            Content::Input(_) | Content::Resize { .. } | Content::Event(_) => Ok(()),
        }
    }

    /// The session is over.
    pub(super) fn end(&self, outcome: Outcome) -> io::Result<()> {
        self.leave()?;
        if outcome == Outcome::Cut {
            self.note("its streaming was cut here; the command itself went on");
        }
        Ok(())
    }

    /// A line about the session, where it is wanted.
    pub(super) fn note(&self, text: &str) {
        if self.notes {
            // While a session is shown, a line feed alone does not return.
            let end = if self.terminal.as_ref().is_some_and(|terminal| lock(terminal).keys.is_some()) { "\r\n" } else { "\n" };
            anstream::eprint!("{}{end}", format_args!("── {text} ──").dimmed());
        }
    }

    fn leave(&self) -> io::Result<()> {
        self.terminal.as_ref().map_or(Ok(()), |terminal| lock(terminal).leave())
    }
}

/// The viewer's terminal while a session is on it.
#[derive(Default)]
struct Terminal {
    allowed: Allowed,
    /// From the first bytes of a session until it is left.
    keys: Option<Swallowed>,
    /// Whether what was shown last ended in the middle of a line.
    in_line: bool,
    /// What restores it when a signal comes; from the first bytes on.
    signals: Option<JoinHandle<()>>,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.leave();
    }
}

impl Terminal {
    fn show(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.keys.is_none() {
            self.keys = Swallowed::begin();
        }
        let passed = self.allowed.filter(bytes);
        self.in_line = passed.last().map_or(self.in_line, |last| *last != b'\n');
        write_out(&passed)
    }

    /// Takes back what the session changed, and gives the keys back.
    fn leave(&mut self) -> io::Result<()> {
        let mut restored = self.allowed.restore();
        if std::mem::take(&mut self.in_line) {
            restored.extend_from_slice(b"\r\n");
        }
        let written = if restored.is_empty() { Ok(()) } else { write_out(&restored) };
        self.keys = None;
        written
    }
}

fn lock(terminal: &Mutex<Terminal>) -> MutexGuard<'_, Terminal> {
    // A panic elsewhere is no reason to leave the terminal as it is.
    terminal.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// From here on the signals that end or stop this process restore the terminal first. Those that are ignored stay so, and
/// without a thread a signal does what it always does.
fn restore_on_signals(terminal: &Arc<Mutex<Terminal>>) -> Option<JoinHandle<()>> {
    let ignored = ignored::signals();
    let wanted = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP].into_iter().filter(|signal| !ignored.contains(*signal));
    let mut signals = Signals::new(wanted).ok()?;
    let terminal = Arc::downgrade(terminal);
    let restore = move || {
        for signal in signals.forever() {
            let Some(terminal) = terminal.upgrade() else {
                let _ = emulate_default_handler(signal);
                continue;
            };
            let mut terminal = lock(&terminal);
            let was_shown = terminal.keys.is_some();
            let _ = terminal.leave();
            // Comes back from a stop only; the session goes on where it is.
            let _ = emulate_default_handler(signal);
            if was_shown {
                terminal.keys = Swallowed::begin();
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(restore).ok()
}

/// The longest command or directory in a headline, in characters.
const HEADLINE_PART: usize = 60;

/// What runs where, on one line.
fn headline(title: &Title) -> String {
    let (command, directory) = (one_line(&title.command), one_line(&title.directory));
    format!("{command} · {directory} · {}×{}", title.columns, title.rows)
}

/// Text of another machine for this terminal: without line breaks and control characters, and not too long.
fn one_line(text: &str) -> String {
    let printable: String = text.chars().map(|c| if plain::is_unsafe_for_terminal(c) { ' ' } else { c }).collect();
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

    /// A title comes from another machine: nothing in it may move the cursor or fill the screen.
    #[test]
    fn a_headline_is_one_short_line_without_control_characters() {
        let title =
            |command: &str| Title { command: command.into(), directory: "~/api".into(), started: 0, columns: 80, rows: 24 };
        assert_eq!(headline(&title("sh -c '\n\u{1b}[2Jls\u{9b}1m'\n")), "sh -c ' [2Jls 1m' · ~/api · 80×24");
        assert_eq!(headline(&title("a\u{202e}b")), "a b · ~/api · 80×24");
        let long = headline(&title(&"ä".repeat(100)));
        assert_eq!(long, format!("{}… · ~/api · 80×24", "ä".repeat(60)));
    }
}
