//! The program under test, with a home of its own and nothing of ours in its environment.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod fake_daemon;
pub(crate) mod window;

use std::{
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, ExitStatus, Output},
    thread,
    time::{Duration, Instant},
};

/// The binary.
pub(crate) const VPD: &str = env!("CARGO_BIN_EXE_vpd");

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct End {
    /// The exit code, as shells have it: 128 and the number of the signal where one ended it.
    pub(crate) code: i32,
    /// The standard output.
    pub(crate) stdout: String,
    /// The standard error.
    pub(crate) stderr: String,
}

impl From<Output> for End {
    fn from(output: Output) -> Self {
        Self {
            code: shell_code(output.status),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// Asks again and again until it is so. Real processes are behind the answer, so nothing tells when it changes.
///
/// # Panics
/// After three minutes: far more than it takes on a busy machine.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_mins(3);
    while !done() {
        assert!(Instant::now() < until, "it does not come to that: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What a shell has in `$?`.
pub(crate) fn shell_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).expect("it has ended")
}

/// An empty `VIEWPORT_HOME`.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A command line on this home.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(VPD);
        command.args(arguments).env("VIEWPORT_HOME", self.path()).env("RUST_BACKTRACE", "0");
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(proxy).env_remove(proxy.to_uppercase());
        }
        for name in [
            "VIEWPORT_API_URL",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "VPD_LOG",
            "VPD_SESSION",
            "VPD_ORG",
            "CLICOLOR_FORCE",
            "NO_COLOR",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command line on this home to its end.
    pub(crate) fn vpd(&self, arguments: &[&str]) -> End {
        self.command(arguments).output().expect("vpd can be run").into()
    }
}

/// Runs a command line on an empty home.
pub(crate) fn vpd(arguments: &[&str]) -> End {
    Home::new().vpd(arguments)
}
