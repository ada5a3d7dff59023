//! This very program as child processes: what is shown is the real thing.

use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
};

/// How its children run: one home, one platform, nothing of ours.
#[derive(Clone, Debug)]
pub(super) struct Program {
    executable: PathBuf,
    home: PathBuf,
    api_url: String,
}

impl Program {
    /// This program on a home of its own.
    pub(super) fn on(home: PathBuf, api_url: String) -> io::Result<Self> {
        Ok(Self { executable: env::current_exe()?, home, api_url })
    }

    /// The executable, for those that start it in another way.
    pub(super) fn executable(&self) -> &Path {
        &self.executable
    }

    /// What its children find in their environment.
    pub(super) fn environment(&self) -> [(&'static str, OsString); 4] {
        [
            ("VIEWPORT_HOME", self.home.clone().into()),
            ("VIEWPORT_API_URL", self.api_url.clone().into()),
            ("RUST_BACKTRACE", "0".into()),
            ("VPD_LOG", env::var_os("VPD_LOG").unwrap_or_else(|| "warn".into())),
        ]
    }

    /// A child, which ends with us.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(arguments).envs(self.environment()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a child to its end and wants it to end well.
    pub(super) async fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = self.command(arguments).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "vpd {}: {}\n{said}", arguments.join(" "), output.status);
        Ok(())
    }

    /// Starts a child that talks in lines; its errors go to `log`.
    pub(super) fn start(&self, arguments: &[&str], log: &Path) -> anyhow::Result<Talking> {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(log)?;
        Talking::with(self.command(arguments).stdout(Stdio::piped()).stderr(log).spawn()?)
    }

    /// Starts a child that says on its standard error what a person should do.
    pub(super) fn start_with_words(&self, arguments: &[&str]) -> anyhow::Result<(Talking, Words)> {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().context("no standard error")?;
        Ok((Talking::with(child)?, BufReader::new(stderr).lines()))
    }
}

/// What a child says on its standard error, line by line.
pub(super) type Words = Lines<BufReader<ChildStderr>>;

/// A child and its standard output.
#[derive(Debug)]
pub(super) struct Talking {
    pub(super) child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Talking {
    fn with(mut child: Child) -> anyhow::Result<Self> {
        let stdout = child.stdout.take().context("no standard output")?;
        Ok(Self { child, lines: BufReader::new(stdout).lines() })
    }

    /// The next line.
    pub(super) async fn line(&mut self) -> anyhow::Result<String> {
        self.lines.next_line().await?.context("it ended without a word")
    }

    /// All the rest, byte for byte.
    pub(super) async fn rest(self) -> io::Result<(Child, Vec<u8>)> {
        let mut rest = Vec::new();
        self.lines.into_inner().read_to_end(&mut rest).await?;
        Ok((self.child, rest))
    }
}
