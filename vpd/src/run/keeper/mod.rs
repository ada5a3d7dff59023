//! The keeper: a small process between `vpd run` and a command that has the whole terminal.
//!
//! A terminal belongs to a session of processes, and job control needs a leader of that session that is not the command itself:
//! a command that led it could not be stopped with Ctrl-Z, and what it leaves in the background would lose its terminal with it.
//!
//! ```text
//!   shell ── vpd run ──────────── keeper ─────────── command ── …
//!            in the shell's job   leads the          leads its group,
//!            owns our PTY's end   PTY's session      in the foreground
//!               └───── messages ─────┘
//! ```
//!
//! The keeper starts the command, tells what becomes of it and passes signals on. When `vpd run` goes away without a word, its
//! end of the terminal goes with it, and the kernel hangs up on everything here, as when a window is closed. When the command
//! has ended and something of it lives on, `vpd run` hands its end of the terminal over, and the keeper carries the output to
//! where it would have gone for as long as it comes.

mod kept;
mod message;

use std::{
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Child, Command, ExitCode, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, Signal, ioctl_tiocsctty, kill_process, kill_process_group, setsid},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
    termios::tcsetpgrp,
};

use super::{
    ending::{Change, changes},
    pty,
    signals::Signals,
    through,
};
use crate::cli::KeepArgs;
pub(super) use kept::{LeaderHandle, Start, this_program};
use message::{Order, Report};

/// The process of `vpd keep`: its standard input is the way to `vpd run`, its standard output the terminal, its standard error
/// the command's.
pub(crate) fn keep(args: &KeepArgs) -> ExitCode {
    let kept = Keeper::start(args).and_then(|keeper| keeper.map_or(Ok(()), Keeper::attend));
    // The error cannot be told: `vpd run` sees that the keeper has gone.
    if kept.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Keeper {
    socket: UnixStream,
    signals: Signals,
    /// The terminal; let go when the command has ended, so that it shows whether another process holds it.
    terminal: Option<OwnedFd>,
    /// The command, and the group that it leads.
    command: Pid,
    /// Waited for by its number, because it may stop as well as end.
    _child: Child,
    /// Whether a stop by the terminal may still be from before the command was in its foreground.
    is_new: bool,
}

impl Keeper {
    /// Starts the command; `None` where it could not be, which is told.
    fn start(args: &KeepArgs) -> io::Result<Option<Self>> {
        let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let terminal = io::stdout().as_fd().try_clone_to_owned()?;
        setsid()?;
        ioctl_tiocsctty(&terminal)?;
        let signals = Signals::of_children()?;
        let (program, arguments) = args.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).process_group(0).stdin(Stdio::from(terminal.try_clone()?)).stdout(terminal.try_clone()?);
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                Report::NotStarted(error.raw_os_error().unwrap_or_default()).send(&mut socket)?;
                return Ok(None);
            }
        };
        let command = Pid::from_raw(child.id().cast_signed()).ok_or(io::ErrorKind::InvalidData)?;
        if !args.background {
            // It may have ended already.
            let _ = tcsetpgrp(&terminal, command);
        }
        let nothing = pty::nothing()?;
        dup2_stdin(&nothing)?;
        dup2_stdout(&nothing)?;
        dup2_stderr(&nothing)?;
        Report::Started.send(&mut socket)?;
        Ok(Some(Self { socket, signals, terminal: Some(terminal), command, _child: child, is_new: !args.background }))
    }

    /// Until `vpd run` has what it wants.
    fn attend(mut self) -> io::Result<()> {
        loop {
            let mut fds = [
                PollFd::from_borrowed_fd(self.signals.fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let [child, order] = fds.map(|fd| !fd.revents().is_empty());
            if child {
                self.signals.take();
                changes(self.command).into_iter().try_for_each(|change| self.changed(change))?;
            }
            if order {
                match Order::receive(&self.socket)? {
                    Some(Order::CarryOn { terminal, screen }) => return through::copy(terminal.as_fd(), screen.as_fd()),
                    Some(order) => self.obey(&order),
                    // The kernel hangs up on the command.
                    None => return Ok(()),
                }
            }
        }
    }

    fn changed(&mut self, change: Change) -> io::Result<()> {
        let by_terminal = |signal| signal == Signal::TTIN.as_raw() || signal == Signal::TTOU.as_raw();
        match change {
            // It touched its terminal before it was in the foreground of it, which it is now.
            Change::Stopped(signal) if self.is_new && by_terminal(signal) => {
                self.is_new = false;
                self.signal_group(Signal::CONT);
                Ok(())
            }
            Change::Stopped(signal) => Report::Stopped(signal).send(&mut self.socket),
            Change::Ended(end) => {
                self.terminal = None;
                Report::Ended(end).send(&mut self.socket)
            }
        }
    }

    /// After the command's end its number may be another's.
    fn obey(&self, order: &Order) {
        let Some(terminal) = &self.terminal else { return };
        match order {
            Order::Signal(signal) => {
                if let Some(signal) = Signal::from_named_raw(*signal) {
                    // It may have ended in the meantime.
                    let _ = kill_process(self.command, signal);
                }
            }
            Order::HangUp => self.signal_group(Signal::HUP),
            Order::Continue => self.signal_group(Signal::CONT),
            Order::ToForeground => {
                // Refused where the command, or another job of it, is there already.
                let _ = tcsetpgrp(terminal, self.command);
            }
            Order::CarryOn { .. } => {}
        }
    }

    fn signal_group(&self, signal: Signal) {
        // It may have ended in the meantime.
        let _ = kill_process_group(self.command, signal);
    }
}
