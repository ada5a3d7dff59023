//! `vpd daemon`: the process that owns a home. It listens on the control socket and runs `proto_core::device::daemon::Daemon` on
//! tokio.

mod attach;
mod control;
mod inherited;
mod narrate;
mod process;
mod question;
mod socket;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process as system, thread,
    time::{Duration, Instant},
};

use io_engine::{FileError, HomeLock, aes_in_hardware, fresh_jitter};
use io_tokio::Clock;
use proto_core::{
    Reason,
    device::daemon::{Daemon, Settings},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
};

pub(crate) use self::inherited::close_descriptors;
use self::{process::Process, socket::ControlSocket};
use crate::{
    failure::Failure,
    home::{Home, reachable},
    log, machine, settings,
};

/// How long an owner of the home that does not answer any more may take to leave.
const LEAVING_WITHIN: Duration = Duration::from_secs(5);
/// How often that is looked at.
const GLANCE: Duration = Duration::from_millis(10);

/// Runs the daemon of `home` until it is asked to stop. A `detached` one leaves its terminal, writes its log to files, and,
/// when it cannot start, a problem document to its standard output.
pub(crate) async fn run(home: &Home, detached: bool) -> anyhow::Result<()> {
    if detached {
        // Fails only for the leader of a process group, which has no terminal to leave.
        let _ = rustix::process::setsid();
    }
    match start(home, detached) {
        Ok(running) => running.finish().await,
        Err(failure) => {
            if detached {
                serde_json::to_writer(io::stdout(), &failure.to_problem())?;
                io::stdout().flush()?;
            }
            Err(failure.into())
        }
    }
}

/// A daemon that has started.
struct Running {
    process: Process,
    /// The control socket; it ends when the home is gone.
    serving: JoinHandle<io::Result<()>>,
    socket: PathBuf,
    /// Held as long as this process owns the home.
    _lock: HomeLock,
}

/// Everything that can fail happens in here, before anything goes out.
fn start(home: &Home, detached: bool) -> Result<Running, Failure> {
    home.create()?;
    if detached { log::to_files(home) } else { log::to_stderr() }.map_err(|error| not_started(&error))?;
    let files = io_engine::Home::at(home.path());
    let lock = own(&files, &home.socket())?;
    let network = settings::kept_network(home)?;
    let found = files.found().map_err(|error| Failure::about(error.reason(), error))?;
    let clock = Clock::start();
    let wall = clock.wall();
    let machine = Daemon::boot(clock.now(), wall, &found, of_this_process()?, fresh_jitter())?;

    let (questions, asked) = mpsc::channel(question::MAX_QUESTIONS);
    let socket = home.socket();
    let control = ControlSocket::bind(socket.clone())
        .map_err(|error| Failure::about(Reason::StateNotWritten, format_args!("{}: {error}", socket.display())))?;
    let serving = tokio::spawn(control.serve(control::router(questions)));
    let process = Process::new(machine, clock, wall, network, files, asked);
    Ok(Running { process, serving, socket, _lock: lock })
}

impl Running {
    async fn finish(self) -> anyhow::Result<()> {
        let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = system::id(), "daemon: started");
        let stop = async move {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
                ended = self.serving => match ended {
                    Ok(Ok(())) => tracing::error!("daemon: its home was removed"),
                    Ok(Err(error)) => tracing::error!(%error, "daemon: it cannot be reached any more"),
                    Err(error) => tracing::error!(%error, "daemon: it cannot be reached any more"),
                },
            }
        };
        self.process.run(stop).await;
        tracing::info!("daemon: stopped");
        match fs::remove_file(&self.socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Owns the home. The last owner may still be on its way out, after a restart or a kill: as long as no daemon answers on the
/// socket, that is waited for.
fn own(files: &io_engine::Home, socket: &Path) -> Result<HomeLock, Failure> {
    let began = Instant::now();
    loop {
        match files.lock() {
            Err(FileError::InUse(_))
                if began.elapsed() < LEAVING_WITHIN && reachable(socket, |path| UnixStream::connect(path)).is_err() =>
            {
                thread::sleep(GLANCE);
            }
            locked => return locked.map_err(|error| Failure::about(error.reason(), error)),
        }
    }
}

fn of_this_process() -> Result<Settings, Failure> {
    let api_endpoint = settings::api_url_of_environment().map(|url| settings::normalised(&url)).transpose()?;
    Ok(Settings {
        host: machine::host(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: system::id(),
        api_endpoint,
        aes_in_hardware: aes_in_hardware(),
    })
}

fn not_started(error: &anyhow::Error) -> Failure {
    Failure::about(Reason::StateNotWritten, error)
}
