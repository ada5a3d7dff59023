//! The keeper as `vpd run` sees it.

use std::{
    env, io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command},
};

use super::{
    super::ending::{Change, End},
    message::{Order, Report},
};

/// What a command starts with.
pub(in crate::run) struct Start<'a> {
    /// The program and its arguments.
    pub command: &'a [std::ffi::OsString],
    /// Variables of its environment, beside ours.
    pub environment: Vec<(&'static str, String)>,
    /// Its terminal.
    pub terminal: OwnedFd,
    /// Its standard error, where that is not the terminal.
    pub stderr: Option<OwnedFd>,
    /// Whether it starts in the foreground of its terminal.
    pub in_foreground: bool,
}

/// A command with its keeper.
pub(in crate::run) struct LeaderHandle {
    socket: UnixStream,
    /// Lives as long as something of the command does, and is not waited for.
    _keeper: Child,
}

impl LeaderHandle {
    /// Starts both.
    ///
    /// # Errors
    /// Why the command cannot be started.
    pub(in crate::run) fn start(start: Start<'_>) -> io::Result<Self> {
        let (mut socket, theirs) = UnixStream::pair()?;
        let mut keeper = Command::new(this_program()?);
        keeper.arg0("vpd").arg("keep");
        if !start.in_foreground {
            keeper.arg("--background");
        }
        let stderr = start.stderr.map_or_else(|| start.terminal.try_clone(), Ok)?;
        keeper.arg("--").args(start.command).envs(start.environment);
        let child = keeper.stdin(OwnedFd::from(theirs)).stdout(start.terminal).stderr(stderr).spawn()?;
        // Our copies of the descriptors go here, so that only the command's are left.
        drop(keeper);
        match Report::receive(&mut socket)? {
            Report::NotStarted(errno) => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(Self { socket, _keeper: child }),
        }
    }

    /// What is readable when the command has changed.
    pub(in crate::run) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Waits for a change of the command. A keeper that has gone was killed, and the command's terminal with it.
    pub(in crate::run) fn change(&mut self) -> Option<Change> {
        match Report::receive(&mut self.socket) {
            Ok(Report::Stopped(signal)) => Some(Change::Stopped(signal)),
            Ok(Report::Ended(end)) => Some(Change::Ended(end)),
            Ok(Report::Started | Report::NotStarted(_)) => None,
            Err(_) => Some(Change::Ended(End::Killed(rustix::process::Signal::HUP.as_raw()))),
        }
    }

    /// Passes a signal on; one that says that the terminal is gone is for all of the command's group.
    pub(in crate::run) fn signal(&self, signal: i32) {
        let is_hang_up = signal == rustix::process::Signal::HUP.as_raw();
        self.tell(&if is_hang_up { Order::HangUp } else { Order::Signal(signal) });
    }

    /// The command goes on after a stop.
    pub(in crate::run) fn go_on(&self) {
        self.tell(&Order::Continue);
    }

    /// The command comes to the foreground of its terminal.
    pub(in crate::run) fn to_foreground(&self) {
        self.tell(&Order::ToForeground);
    }

    /// The command has ended, and something of it lives on: the keeper shows what comes of that.
    pub(in crate::run) fn carry_on(self, terminal: OwnedFd, screen: OwnedFd) {
        self.tell(&Order::CarryOn { terminal, screen });
    }

    fn tell(&self, order: &Order) {
        // A keeper that has gone is noticed where its reports are read.
        let _ = order.send(&self.socket);
    }
}

/// This very program, also when an update has put another one in its place meanwhile.
pub(in crate::run) fn this_program() -> io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { env::current_exe() }
}
