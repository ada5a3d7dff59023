//! The terminal in front of the person: which streams it is, its size, raw mode, whose turn it is.

use std::{
    fs,
    io::{self, IsTerminal as _},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt as _,
    },
};

use rustix::{
    process::getpgrp,
    termios::{self, OptionalActions, Termios, Winsize},
};

/// Columns and rows where nothing tells.
const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// Which of the three standard streams are a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terminals {
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
}

impl Terminals {
    pub(super) fn of_this_process() -> Self {
        Self { stdin: io::stdin().is_terminal(), stdout: io::stdout().is_terminal(), stderr: io::stderr().is_terminal() }
    }

    /// Whether the command has the terminal to itself: keys come from it and the picture goes to it. Where one of the two is
    /// redirected, other programs of the same job use the terminal as well: pipes lead to them.
    pub(super) fn are_whole(self) -> bool {
        self.stdin && self.stdout && are_one(io::stdin().as_fd(), io::stdout().as_fd())
    }
}

/// Whether standard output and standard error lead to one and the same place, so that their order counts.
pub(super) fn outputs_are_one() -> bool {
    are_one(io::stdout().as_fd(), io::stderr().as_fd())
}

fn are_one(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let identity = |fd: BorrowedFd<'_>| {
        let metadata = fs::File::from(fd.try_clone_to_owned()?).metadata()?;
        io::Result::Ok((metadata.dev(), metadata.ino(), metadata.rdev()))
    };
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// The size of the first stream that is a terminal, as the terminal tells it.
pub(super) fn window() -> Option<Winsize> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    [stdout.as_fd(), stderr.as_fd(), stdin.as_fd()].into_iter().find_map(|fd| termios::tcgetwinsize(fd).ok())
}

/// Columns and rows, for the record.
pub(super) fn size() -> (u16, u16) {
    let known = window().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    known.map_or(DEFAULT_SIZE, |size| (size.ws_col, size.ws_row))
}

/// The settings of the first stream that is a terminal.
pub(super) fn settings() -> Option<Termios> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()].into_iter().find_map(|fd| termios::tcgetattr(fd).ok())
}

/// Whether we may use the terminal of the standard input: our job is the one in its foreground, or it knows no jobs of ours.
pub(crate) fn is_ours_now() -> bool {
    termios::tcgetpgrp(io::stdin()).map_or(true, |foreground| foreground == getpgrp())
}

/// Raw mode on the standard input: every key goes to the command as it is. Ends when dropped.
pub(super) struct RawMode(Termios);

impl RawMode {
    /// Begins at once: nothing that was typed is lost, and nothing that is stuck on its way to the screen is waited for.
    pub(super) fn enter() -> io::Result<Self> {
        let saved = termios::tcgetattr(io::stdin())?;
        let mut raw = saved.clone();
        raw.make_raw();
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(saved))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone already, or another job's; that one's settings are not ours to change.
        if is_ours_now() {
            let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
        }
    }
}
