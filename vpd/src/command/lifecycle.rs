//! `vpd start`, `vpd stop`, `vpd restart`: the daemon as a process in the background.

use std::{
    env,
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use owo_colors::OwoColorize as _;
use proto_core::{Reason, api::Problem};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
    time,
};

use crate::{
    client::Client,
    control::Report,
    failure::Failure,
    home::Home,
    settings::{self, PATHS, Settings},
};

/// How often a socket is tried.
const GLANCE: Duration = Duration::from_millis(20);
/// How long a daemon may take to answer for the first time, or to end when it was asked.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one that did not answer may take to end by a signal.
const UNANSWERED: Duration = Duration::from_secs(3);

/// `vpd start`.
pub(crate) async fn start(home: &Home) -> anyhow::Result<()> {
    let (report, done) = match Client::of(home).status().await {
        Ok(report) => (report, "already running"),
        Err(_) => (launch(home).await?, "running"),
    };
    say(&report, done)
}

/// `vpd stop`. A daemon that does not run is stopped already.
pub(crate) async fn stop(home: &Home) -> anyhow::Result<()> {
    let done = match end(home).await? {
        Ended::Stopped => "Daemon stopped.",
        Ended::Killed => "Daemon killed: it did not end otherwise. Commands under `vpd run` go on.",
        Ended::WasNotRunning => "Daemon not running.",
    };
    Ok(writeln!(anstream::stdout(), "{} {done}", "✓".green())?)
}

/// `vpd restart`; a daemon that does not run is started.
pub(crate) async fn restart(home: &Home) -> anyhow::Result<()> {
    end(home).await?;
    say(&launch(home).await?, "running")
}

/// Starts the daemon where it does not run, and says so.
pub(crate) async fn ensure_running(home: &Home) -> Result<(), Failure> {
    if Client::of(home).connect().is_ok() {
        return Ok(());
    }
    anstream::eprintln!("Starting the daemon.");
    launch(home).await.map(drop)
}

fn say(report: &Report, done: &str) -> anyhow::Result<()> {
    let Report { name, version, pid, .. } = report;
    Ok(writeln!(anstream::stdout(), "{} Daemon: {name} · v{version} · {done} (pid {pid})", "✓".green())?)
}

/// Starts the daemon in a session of its own and waits until it answers.
async fn launch(home: &Home) -> Result<Report, Failure> {
    home.create()?;
    // The daemon reads them too; asked here, the answer is there at once and on the right terminal.
    Settings::load(home)?;
    let mut child = spawn(home).map_err(|error| Failure::about(Reason::StateNotWritten, error))?;
    let client = Client::of(home);
    let answers = async {
        loop {
            if let Ok(report) = client.status().await {
                return report;
            }
            time::sleep(GLANCE).await;
        }
    };
    tokio::select! {
        report = answers => Ok(report),
        failure = failure_of(home, &mut child) => Err(failure),
        () = time::sleep(PATIENCE) => Err(Failure::about(Reason::DaemonNotRunning, "it was started and does not answer; see: vpd logs --since 2m")),
    }
}

fn spawn(home: &Home) -> io::Result<Child> {
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(stderr_log(home))?;
    let mut command = Command::new(env::current_exe()?);
    for (name, paths) in PATHS.into_iter().filter_map(|name| Some((name, env::var_os(name)?))) {
        // It gets another working directory.
        command.env(name, settings::absolute(&paths));
    }
    command
        .args(["daemon", "--detached"])
        .env("VIEWPORT_HOME", home.path())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
}

/// What a daemon says outside of its log.
fn stderr_log(home: &Home) -> PathBuf {
    home.logs().join("daemon.log")
}

/// Why the daemon ended before it answered: the problem that it leaves on its standard output.
async fn failure_of(home: &Home, child: &mut Child) -> Failure {
    let mut said = Vec::new();
    if let Some(stdout) = &mut child.stdout {
        // Whatever came until then is all there is.
        let _ = stdout.read_to_end(&mut said).await;
    }
    let status = child.wait().await;
    serde_json::from_slice::<Problem>(&said).map_or_else(
        |_| {
            let ended = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            let said = stderr_log(home);
            Failure::about(Reason::DaemonNotRunning, format_args!("it ended at once ({ended}); see: {}", said.display()))
        },
        Failure::from_problem,
    )
}

/// How a daemon came to its end.
enum Ended {
    Stopped,
    /// It did not end when it was asked and told to.
    Killed,
    WasNotRunning,
}

/// Ends the daemon and waits until it is gone: it is asked, then told by a signal, then killed.
async fn end(home: &Home) -> Result<Ended, Failure> {
    let files = io_engine::Home::at(home.path());
    let asked = Client::of(home).stop().await;
    if asked.is_err() && files.owner().is_none() {
        return match asked {
            Err(failure) if failure.reason != Reason::DaemonNotRunning => Err(failure),
            _ => Ok(Ended::WasNotRunning),
        };
    }
    if asked.is_ok() && gone(&files, PATIENCE).await {
        return Ok(Ended::Stopped);
    }
    for (signal, ended) in [(Signal::TERM, Ended::Stopped), (Signal::KILL, Ended::Killed)] {
        tell(&files, signal);
        if gone(&files, UNANSWERED).await {
            return Ok(ended);
        }
    }
    let who = files.owner().map_or_else(String::new, |pid| format!(" (pid {pid})"));
    Err(Failure::about(Reason::HomeInUse, format_args!("its daemon{who} cannot be ended")))
}

/// Sends `signal` to the process that owns the home; to no other one that got its number meanwhile.
fn tell(files: &io_engine::Home, signal: Signal) {
    let Some(owner) = files.owner() else { return };
    let process = i32::try_from(owner).ok().and_then(Pid::from_raw);
    let handle = process.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    // If the home's owner still has this number, it has had it since before the handle was opened.
    if let Some(handle) = handle.filter(|_| files.owner() == Some(owner)) {
        // One that is gone needs no signal.
        let _ = pidfd_send_signal(handle, signal);
    }
}

/// Whether the home is free within `patience`.
async fn gone(files: &io_engine::Home, patience: Duration) -> bool {
    let free = async {
        while files.owner().is_some() {
            time::sleep(GLANCE).await;
        }
    };
    time::timeout(patience, free).await.is_ok()
}
