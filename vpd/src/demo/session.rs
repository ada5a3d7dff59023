//! The session that is shown: `vpd run` on a terminal that keeps what it shows.

use std::{ffi::OsString, io, path::Path, time::Duration};

use anyhow::{bail, ensure};
use pty_process::{Pty, Size};
use rustix::termios::{LocalModes, tcgetattr};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Child,
    time::{Interval, interval, timeout},
};

use super::program::Program;

const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

/// Where the default command waits, when something is to happen in the middle of the stream.
const HALF_WAY: &str = "half way";

/// The file that lets the default command go on from there.
pub(super) const GO_ON: &str = "go-on";

/// The end of input, as it is typed (termios `VEOF`): a command that reads finds nothing to read, and a shell leaves.
const END_OF_INPUT: &[u8] = b"\x04";

/// Between two of them: a shell that was not ready for the last one takes it for another key.
const AGAIN: Duration = Duration::from_millis(500);

/// How long `vpd run` may take to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);

/// The exit codes of `vpd run` for a command that cannot be run or is not found, as shells have them.
const NOT_RUN: [i32; 2] = [126, 127];

/// A short shell session that edits files and prints colours. `$1` is the canary; it waits for the file `go-on` half way.
const SCRIPT: &str = r#"
step() { printf '\033[1;36m$ %s\033[0m\n' "$1"; eval "$1"; }
canary=$1
step 'printf "the plan: %s\n" "$canary" > plan.txt'
step 'cat plan.txt'
for colour in 1 2 3 4 5 6; do printf '\033[4%sm  \033[0m' "$colour"; done; echo
echo 'half way'
until [ -e go-on ]; do sleep 0.05; done
step 'sed "s/plan/PLAN/" plan.txt > next.txt'
step 'cat next.txt; wc -l < next.txt'
step 'seq 1 400 | tail -n 3'
printf '\033[32m✓ döne\033[0m\n'
"#;

/// The command of a demonstration, and when to do something in its middle.
#[derive(Clone, Debug)]
pub(super) struct Act {
    command: Vec<OsString>,
    /// The middle: when this has been shown; empty: as soon as anything has.
    middle: &'static str,
}

impl Act {
    /// Ours, with a canary in it.
    pub(super) fn ours(canary: &str) -> Self {
        let command = ["sh", "-c", SCRIPT, "demo", canary].map(OsString::from);
        Self { command: command.into(), middle: HALF_WAY }
    }

    /// The visitor's.
    pub(super) const fn theirs(command: Vec<OsString>) -> Self {
        Self { command, middle: "" }
    }
}

/// A command that runs under `vpd run`.
pub(super) struct Session {
    child: Child,
    terminal: Pty,
    /// When it is typed, the first time at once.
    end_of_input: Interval,
    shown: Vec<u8>,
}

impl Session {
    /// Starts it in the bound directory. Its input is at its end: there is no keyboard at this terminal.
    pub(super) async fn start(program: &Program, act: &Act, directory: &Path) -> anyhow::Result<Self> {
        let (terminal, pts) = pty_process::open()?;
        terminal.resize(Size::new(ROWS, COLUMNS))?;
        let command = pty_process::Command::new(program.executable())
            .args(["run", "--quiet", "--"])
            .args(&act.command)
            .envs(program.environment())
            .current_dir(directory)
            .kill_on_drop(true);
        let mut child = command.spawn(pts)?;
        if let Ok(taken) = timeout(BEGINS_WITHIN, taken_over(&terminal, &mut child)).await {
            taken?;
        }
        Ok(Self { child, terminal, end_of_input: interval(AGAIN), shown: Vec::new() })
    }

    /// Plays up to the middle of the act, or its end.
    pub(super) async fn play_half(&mut self, act: &Act) {
        let reached =
            |shown: &[u8]| shown.windows(act.middle.len().max(1)).any(|window| window.starts_with(act.middle.as_bytes()));
        while !reached(&self.shown) {
            if self.read().await == 0 {
                return;
            }
        }
    }

    /// Plays to the end: what the terminal showed.
    pub(super) async fn finish(mut self) -> anyhow::Result<Vec<u8>> {
        while self.read().await > 0 {}
        let status = self.child.wait().await?;
        let Some(code) = status.code() else { bail!("vpd run: {status}") };
        ensure!(!NOT_RUN.contains(&code), "the command was not run\n{}", String::from_utf8_lossy(&self.shown).trim_end());
        Ok(self.shown)
    }

    /// A terminal ends with an error when no process holds its other side any more.
    async fn read(&mut self) -> usize {
        loop {
            tokio::select! {
                biased;
                read = self.terminal.read_buf(&mut self.shown) => return read.unwrap_or(0),
                _ = self.end_of_input.tick() => {
                    if self.terminal.write_all(END_OF_INPUT).await.is_err() {
                        return 0;
                    }
                }
            }
        }
    }
}

/// Waits until `vpd run` has switched the terminal to raw input, or has ended. An end of input that is typed earlier would reach
/// the command as a NUL byte: Linux keeps it as one in the terminal's queue.
async fn taken_over(terminal: &Pty, child: &mut Child) -> io::Result<()> {
    let mut again = interval(Duration::from_millis(5));
    while child.try_wait()?.is_none() && tcgetattr(terminal)?.local_modes.contains(LocalModes::ICANON) {
        again.tick().await;
    }
    Ok(())
}
