//! The signals that this process gets, in the order of a queue that can be polled.

use std::{
    io::{self, Read as _},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::net::UnixStream,
    },
};

use signal_hook::{
    consts::{SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
    iterator::{backend::SignalDelivery, exfiltrator::WithOrigin},
    low_level::siginfo::Cause,
};

use super::ignored;

/// Those that are meant for the command.
const MEANT_FOR_COMMAND: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM];

/// A queue of signals.
pub(super) struct Signals(SignalDelivery<UnixStream, WithOrigin>);

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// A child changed its state.
    Child,
    /// This process goes on after a stop.
    Continued,
    /// The terminal has another size.
    Resized,
    /// One for the command, by its number.
    ForCommand {
        /// Its number.
        signal: i32,
        /// The kernel sent it, because of a key or a hang-up: to all of the job, and so to a command in it.
        by_kernel: bool,
    },
}

impl Signals {
    /// Listens from now on; those that are ignored stay so.
    pub(super) fn listen() -> io::Result<Self> {
        let ignored = ignored::signals();
        let meant = MEANT_FOR_COMMAND.into_iter().filter(|signal| !ignored.contains(*signal));
        Self::listen_for(meant.chain([SIGCHLD, SIGCONT, SIGWINCH]))
    }

    /// Listens for children only.
    pub(super) fn of_children() -> io::Result<Self> {
        Self::listen_for([SIGCHLD])
    }

    fn listen_for(signals: impl IntoIterator<Item = i32>) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        SignalDelivery::with_pipe(read, write, WithOrigin::default(), signals).map(Self)
    }

    /// What is readable when a signal has come.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.get_read().as_fd()
    }

    /// What has come, without waiting.
    pub(super) fn take(&mut self) -> Vec<Came> {
        let mut rest = [0; 256];
        while matches!(self.0.get_read_mut().read(&mut rest), Ok(1..)) {}
        let came = self.0.pending().map(|origin| match origin.signal {
            SIGCHLD => Came::Child,
            SIGCONT => Came::Continued,
            SIGWINCH => Came::Resized,
            signal => Came::ForCommand { signal, by_kernel: matches!(origin.cause, Cause::Kernel) },
        });
        came.collect()
    }
}
