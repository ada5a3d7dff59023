//! How a command ended, and how this process ends like it.

use std::process::ExitCode;

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, kill_process, setrlimit, waitpid};
use signal_hook::low_level::emulate_default_handler;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With this exit status.
    Exited(i32),
    /// By the signal with this number.
    Killed(i32),
}

/// A change of the state of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It was stopped by the signal with this number.
    Stopped(i32),
    /// It ended.
    Ended(End),
}

impl End {
    /// As shells have it: the exit status, or 128 and the number of the signal.
    pub(super) const fn status(self) -> i32 {
        match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => 128 + signal,
        }
    }

    /// Ends this process in the same way: the caller sees what it would have seen of the command. Comes back with an exit
    /// code where that is the way, or where this process cannot be killed, as the first one of a container.
    pub(super) fn repeat(self) -> ExitCode {
        if let Self::Killed(signal) = self
            && getpid() != Pid::INIT
        {
            // The memory that is worth a look is the command's.
            let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
            if signal == Signal::KILL.as_raw() {
                let _ = kill_process(getpid(), Signal::KILL);
            }
            let _ = emulate_default_handler(signal);
        }
        ExitCode::from(u8::try_from(self.status() & 0xff).unwrap_or(u8::MAX))
    }
}

/// What has changed about the child `pid`, without waiting. The first process of a container buries the orphans by the way.
pub(super) fn changes(pid: Pid) -> Vec<Change> {
    let awaited = if getpid() == Pid::INIT { None } else { Some(pid) };
    let mut changes = Vec::new();
    while let Ok(Some((whose, status))) = waitpid(awaited, WaitOptions::NOHANG | WaitOptions::UNTRACED) {
        if whose == pid {
            changes.extend(change(status));
        }
    }
    changes
}

/// Buries the children that were left to the first process of a container, where we are that. For one that waits for none itself.
pub(super) fn reap_orphans() {
    while getpid() == Pid::INIT && matches!(waitpid(None, WaitOptions::NOHANG), Ok(Some(_))) {}
}

fn change(status: WaitStatus) -> Option<Change> {
    let stopped = status.stopping_signal().map(Change::Stopped);
    let exited = || status.exit_status().map(|status| Change::Ended(End::Exited(status)));
    let killed = || status.terminating_signal().map(|signal| Change::Ended(End::Killed(signal)));
    stopped.or_else(exited).or_else(killed)
}
