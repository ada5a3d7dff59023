//! The terminal in front of the person: what of it is a terminal at all, its size, raw mode, what is typed.

use std::{
    fs,
    io::{self, IsTerminal as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt as _,
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{self, OptionalActions, Termios, Winsize},
};
use tokio::io::{Interest, unix::AsyncFd};

/// Columns and rows where nothing tells.
const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// Which of the three standard streams are a terminal. A command under `vpd run` gets a terminal for those, and a pipe or the
/// stream itself for the others, so that it behaves as it would without us.
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

    pub(super) const fn any(self) -> bool {
        self.stdin || self.stdout || self.stderr
    }
}

/// Whether standard output and standard error lead to one and the same place, so that their order counts.
pub(super) fn outputs_are_one() -> bool {
    let identity = |fd: BorrowedFd<'_>| {
        let metadata = fs::File::from(fd.try_clone_to_owned()?).metadata()?;
        io::Result::Ok((metadata.dev(), metadata.ino(), metadata.rdev()))
    };
    matches!((identity(io::stdout().as_fd()), identity(io::stderr().as_fd())), (Ok(out), Ok(err)) if out == err)
}

/// Columns and rows of the first stream that is a terminal.
pub(super) fn size() -> (u16, u16) {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    [stdout.as_fd(), stderr.as_fd(), stdin.as_fd()]
        .into_iter()
        .filter_map(|fd| termios::tcgetwinsize(fd).ok())
        .find(|size| size.ws_col > 0 && size.ws_row > 0)
        .map_or(DEFAULT_SIZE, |Winsize { ws_col, ws_row, .. }| (ws_col, ws_row))
}

/// Raw mode on the standard input: every key goes to the command as it is. Ends when dropped.
pub(super) struct RawMode(Termios);

impl RawMode {
    pub(super) fn enter() -> io::Result<Self> {
        let saved = termios::tcgetattr(io::stdin())?;
        let mut raw = saved.clone();
        raw.make_raw();
        termios::tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self(saved))
    }

    /// The terminal's settings as they were: special characters, echo, flow control.
    pub(super) const fn before(&self) -> &Termios {
        &self.0
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone already.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// What is typed on the standard input, without ever blocking a thread and without making the terminal, which others share,
/// non-blocking.
pub(super) struct Keyboard(AsyncFd<OwnedFd>);

impl Keyboard {
    #[expect(deprecated, reason = "the newer constructor is unsafe because it takes any type; an OwnedFd keeps what it asks for")]
    pub(super) fn open() -> io::Result<Self> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        AsyncFd::with_interest(stdin, Interest::READABLE).map(Self)
    }

    /// What was typed; 0 when the terminal hung up.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            if has_input(self.0.get_ref().as_fd())? {
                return Ok(rustix::io::read(self.0.get_ref(), buffer)?);
            }
            ready.clear_ready();
        }
    }
}

fn has_input(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0)
}
