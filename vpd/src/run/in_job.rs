//! A command in our own job, on the terminal that is there: what the kernel does to the job, it does to the command.

use std::{
    ffi::OsString,
    io,
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::ending::{self, Change};

/// A command that runs in our process group.
pub(super) struct InJob {
    pid: Pid,
    /// Waited for by its number, because it may stop as well as end.
    _child: Child,
}

/// Where the command writes; `None`: where we do.
pub(super) struct Outputs {
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
}

impl InJob {
    /// Starts it.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub(super) fn start(command: &[OsString], environment: Vec<(&'static str, String)>, outputs: Outputs) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let to = |output: Option<OwnedFd>| output.map_or_else(Stdio::inherit, Stdio::from);
        let mut command = Command::new(program);
        command.args(arguments).envs(environment).stdout(to(outputs.stdout)).stderr(to(outputs.stderr));
        let child = command.spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { pid, _child: child })
    }

    /// What has changed, without waiting.
    pub(super) fn changes(&self) -> Vec<Change> {
        ending::changes(self.pid)
    }

    /// Passes a signal on.
    pub(super) fn signal(&self, signal: i32) {
        if let Some(signal) = Signal::from_named_raw(signal) {
            // It may have ended in the meantime.
            let _ = kill_process(self.pid, signal);
        }
    }
}
