//! The command: on a terminal of its own where ours is one, on pipes where it is not.

use std::{
    ffi::OsString,
    io::{self, PipeReader},
    os::fd::{AsFd as _, OwnedFd},
    process::{ExitStatus, Stdio},
};

use pty_process::{OwnedReadPty, OwnedWritePty, Size};
use rustix::{
    process::{Pid, Signal, kill_process_group},
    termios::{OptionalActions, Termios, tcsetattr},
};
use tokio::{net::unix::pipe, process::Child};

use super::terminal::{self, Terminals};

/// A running command.
pub(super) struct Running {
    child: Child,
    /// Its process group: it leads one of its own.
    group: Option<Pid>,
}

/// Our ends of what the command reads and writes.
pub(super) struct Ends {
    /// The terminal: what the command shows on it, and the way to type and to resize.
    pub(super) pty: Option<(OwnedReadPty, OwnedWritePty)>,
    /// What it writes to a standard output that is no terminal; its standard error too where both are one.
    pub(super) stdout: Option<pipe::Receiver>,
    /// What it writes to a standard error that is neither a terminal nor the same as its output.
    pub(super) stderr: Option<pipe::Receiver>,
}

impl Running {
    /// Starts the command, with a terminal for each stream that is one here. Its terminal gets the `settings` of ours.
    pub(super) fn start(command: &[OsString], terminals: Terminals, settings: Option<&Termios>) -> io::Result<(Self, Ends)> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let pipes = Pipes::open(terminals)?;
        let (child, pty) = if terminals.any() {
            let (child, pty) = start_on_terminal(program, arguments, terminals, settings, &pipes)?;
            (child, Some(pty.into_split()))
        } else {
            let mut command = tokio::process::Command::new(program);
            command.args(arguments).stdin(Stdio::inherit()).process_group(0);
            command.stdout(pipes.output()?.unwrap_or_else(Stdio::inherit));
            command.stderr(pipes.error()?.unwrap_or_else(Stdio::inherit));
            (command.spawn()?, None)
        };
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let (stdout, stderr) = pipes.into_readers()?;
        Ok((Self { child, group }, Ends { pty, stdout, stderr }))
    }

    /// Waits for its end.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Sends a signal to the command and whatever it started in its group.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It may have ended in the meantime.
            let _ = kill_process_group(group, signal);
        }
    }
}

fn start_on_terminal(
    program: &OsString,
    arguments: &[OsString],
    terminals: Terminals,
    settings: Option<&Termios>,
    pipes: &Pipes,
) -> io::Result<(Child, pty_process::Pty)> {
    let (pty, pts) = pty_process::open().map_err(into_io)?;
    let (columns, rows) = terminal::size();
    pty.resize(Size::new(rows, columns)).map_err(into_io)?;
    if let Some(settings) = settings {
        tcsetattr(pts.as_fd(), OptionalActions::Now, settings)?;
    }
    let mut command = pty_process::Command::new(program).args(arguments);
    if !terminals.stdin {
        command = command.stdin(Stdio::inherit());
    }
    if let Some(output) = pipes.output()? {
        command = command.stdout(output);
    }
    if let Some(error) = pipes.error()? {
        command = command.stderr(error);
    }
    Ok((command.spawn(pts).map_err(into_io)?, pty))
}

fn into_io(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// Pipes for the output streams that are no terminal.
struct Pipes {
    output: Option<(PipeReader, OwnedFd)>,
    error: Error,
}

/// Where the standard error goes.
enum Error {
    Terminal,
    WithOutput,
    Own(PipeReader, OwnedFd),
}

impl Pipes {
    fn open(terminals: Terminals) -> io::Result<Self> {
        let open = || io::pipe().map(|(reader, writer)| (reader, OwnedFd::from(writer)));
        let output = if terminals.stdout { None } else { Some(open()?) };
        let error = if terminals.stderr {
            Error::Terminal
        } else if output.is_some() && terminal::outputs_are_one() {
            Error::WithOutput
        } else {
            let (reader, writer) = open()?;
            Error::Own(reader, writer)
        };
        Ok(Self { output, error })
    }

    fn output(&self) -> io::Result<Option<Stdio>> {
        self.output.as_ref().map(|(_, writer)| writer.try_clone().map(Stdio::from)).transpose()
    }

    fn error(&self) -> io::Result<Option<Stdio>> {
        match &self.error {
            Error::Terminal => Ok(None),
            Error::WithOutput => self.output(),
            Error::Own(_, writer) => writer.try_clone().map(|writer| Some(writer.into())),
        }
    }

    /// Our ends. Those of the command are closed here, so that a reader sees its end when the command is gone.
    fn into_readers(self) -> io::Result<(Option<pipe::Receiver>, Option<pipe::Receiver>)> {
        let receiver = |reader: PipeReader| pipe::Receiver::from_owned_fd(reader.into());
        let output = self.output.map(|(reader, _)| receiver(reader)).transpose()?;
        let error = match self.error {
            Error::Own(reader, _) => Some(receiver(reader)?),
            Error::Terminal | Error::WithOutput => None,
        };
        Ok((output, error))
    }
}
