//! Sets a command up: which terminal it gets, and where what it writes comes past us.

use std::{
    ffi::OsString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use super::{
    console::Console,
    in_job::{InJob, Outputs},
    keeper::{LeaderHandle, Start},
    pty::{self, Pty},
    terminal::{self, Terminals},
};

/// A command that runs.
pub(super) enum CommandHandle {
    /// On a terminal of its own, with a keeper.
    OnOwnTerminal(LeaderHandle, Console),
    /// In our job. The other ends of what it writes are kept open until it has ended, so that it may close and open them.
    InJob(InJob, Vec<OwnedFd>),
}

/// One way from the command to the person.
pub(super) struct OutputPipe {
    pub(super) from: OwnedFd,
    pub(super) to: Stream,
    /// Whether it is a terminal's.
    pub(super) is_terminal: bool,
}

/// One of our own outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdout => rustix::stdio::stdout(),
            Self::Stderr => rustix::stdio::stderr(),
        }
    }
}

/// Starts the command; with what it writes coming past us where that is recorded.
///
/// # Errors
/// Why it cannot be started.
pub(super) fn start(
    command: &[OsString],
    environment: Vec<(&'static str, String)>,
    recorded: bool,
) -> io::Result<(CommandHandle, Vec<OutputPipe>)> {
    let terminals = Terminals::of_this_process();
    if !recorded {
        let outputs = Outputs { stdout: None, stderr: None };
        return Ok((CommandHandle::InJob(InJob::start(command, environment, outputs)?, Vec::new()), Vec::new()));
    }
    if terminals.are_whole() { on_own_terminal(command, environment, terminals) } else { in_job(command, environment, terminals) }
}

fn on_own_terminal(
    command: &[OsString],
    environment: Vec<(&'static str, String)>,
    terminals: Terminals,
) -> io::Result<(CommandHandle, Vec<OutputPipe>)> {
    let Pty { ours, theirs } = Pty::open(terminal::settings().as_ref(), terminal::window())?;
    let (stderr, mut ways) = if terminals.stderr {
        (None, Vec::new())
    } else {
        let (way, theirs) = pipe_to(Stream::Stderr)?;
        (Some(theirs), vec![way])
    };
    let console = Console::take(ours.try_clone()?)?;
    ways.push(OutputPipe { from: ours, to: Stream::Stdout, is_terminal: true });
    let in_foreground = console.is_ours();
    let kept = LeaderHandle::start(Start { command, environment, terminal: theirs, stderr, in_foreground })?;
    Ok((CommandHandle::OnOwnTerminal(kept, console), ways))
}

fn in_job(
    command: &[OsString],
    environment: Vec<(&'static str, String)>,
    terminals: Terminals,
) -> io::Result<(CommandHandle, Vec<OutputPipe>)> {
    let mut held = Vec::new();
    let mut past_us = |stream, is_terminal: bool| {
        if !is_terminal {
            return pipe_to(stream);
        }
        let Pty { ours, theirs } = Pty::open(terminal::settings().as_ref(), terminal::window())?;
        // The outer terminal does the output processing.
        pty::disable_output_processing(&theirs)?;
        held.push(theirs.try_clone()?);
        io::Result::Ok((OutputPipe { from: ours, to: stream, is_terminal }, theirs))
    };
    let (out, stdout) = past_us(Stream::Stdout, terminals.stdout)?;
    let mut ways = vec![out];
    let stderr = if terminal::outputs_are_one() {
        stdout.try_clone()?
    } else {
        let (error, stderr) = past_us(Stream::Stderr, terminals.stderr)?;
        ways.push(error);
        stderr
    };
    let actor = InJob::start(command, environment, Outputs { stdout: Some(stdout), stderr: Some(stderr) })?;
    Ok((CommandHandle::InJob(actor, held), ways))
}

fn pipe_to(to: Stream) -> io::Result<(OutputPipe, OwnedFd)> {
    let (ours, theirs) = io::pipe()?;
    let from = OwnedFd::from(ours);
    pty::set_nonblocking(&from)?;
    Ok((OutputPipe { from, to, is_terminal: false }, theirs.into()))
}
