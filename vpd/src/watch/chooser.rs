//! Asks a person at a terminal which of several sessions is meant.

use std::{
    io::{self, IsTerminal as _, Write as _},
    thread,
};

use proto_core::{
    Reason, SessionId, UnixTime,
    device::watcher::choice::{self, Entry},
};
use tokio::{signal::unix::SignalKind, sync::oneshot};

use super::list;

/// What a person answered.
pub(super) enum Answer {
    /// This one.
    This(SessionId),
    /// Nothing: the line is empty, or the terminal is gone.
    Nothing,
    /// Ctrl-C.
    Interrupted,
}

/// Whether a person can be asked.
pub(super) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Shows the sessions with numbers on the standard error, says that there are more where there are, and reads one line; again as
/// long as the line names none of them.
///
/// # Errors
/// The terminal cannot be written or read.
pub(super) async fn ask(entries: &[Entry], more: Option<String>, now: UnixTime) -> io::Result<Answer> {
    let mut interrupted = tokio::signal::unix::signal(SignalKind::interrupt())?;
    for line in list::numbered(entries, now).into_iter().chain(more) {
        anstream::eprintln!("{line}");
    }
    loop {
        anstream::eprint!("Which one? [1-{}, or the beginning of an id] ", entries.len());
        io::stderr().flush()?;
        let line = tokio::select! {
            line = read_line() => line?,
            _ = interrupted.recv() => {
                anstream::eprintln!();
                return Ok(Answer::Interrupted);
            }
        };
        if line.trim().is_empty() {
            return Ok(Answer::Nothing);
        }
        match choice::answer(&line, entries) {
            Ok(session) => return Ok(Answer::This(session)),
            Err(Reason::SessionAmbiguous) => anstream::eprintln!("Several of them begin so."),
            Err(_) => anstream::eprintln!("None of them."),
        }
    }
}

/// One line of the standard input. A thread of its own reads it, and nothing waits for that thread: Ctrl-C ends the program at
/// once.
async fn read_line() -> io::Result<String> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line).map(|_| line);
        // It is not awaited after Ctrl-C.
        let _ = sender.send(read);
    });
    receiver.await.unwrap_or_else(|_| Ok(String::new()))
}
