//! `vpd run -- COMMAND`: a command on a terminal that looks and behaves like the one in front of the person, and whose output
//! streams where the directory is bound.
//!
//! ```text
//!   keyboard ──────────────► PTY ──► command
//!   screen   ◄── copy ◄───── PTY ◄──┘
//!                 └────────► recorder ──► streamer (session::Session) ◄──► daemon
//! ```
//!
//! The wrapper owns the PTY and the session's records, so nothing that happens to the daemon reaches the command.

mod attachment;
mod child;
mod consent;
mod copy;
mod farewell;
mod recorder;
mod streamer;
mod terminal;

use std::{ffi::OsString, io, os::unix::process::ExitStatusExt as _, process::ExitStatus};

use io_engine::AwsLc;
use proto_core::wire::Content;
use pty_process::{OwnedWritePty, Size};
use rustix::process::Signal;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
    task::JoinSet,
};

use crate::{cli::RunArgs, client::Client, control::Attached, failure::Failure, home::Home};
use attachment::Attachment;
use child::{Ends, Running};
use consent::Consent;
use recorder::Recorder;
use streamer::{Ending, Streamer};
use terminal::{Keyboard, RawMode, Terminals};

/// The exit status of a command that is not there, as shells have it.
const NOT_FOUND: i32 = 127;
/// The exit status of a command that cannot be run, as shells have it.
const NOT_RUNNABLE: i32 = 126;

/// Runs the command and gives its exit status; where the directory is bound, streams what it shows.
pub(crate) async fn run(home: &Home, args: &RunArgs) -> anyhow::Result<i32> {
    let Some(directory) = consent::directory() else { return run_recorded(&args.command, Recorder::local_only()).await };
    let title = consent::title(&args.command, &directory);
    let stream = match consent::ask(home, &directory, &title).await {
        Consent::Streams(attachment, attached) => Stream::start(home, *attachment, attached),
        Consent::LocalOnly(why) => {
            why.iter().for_each(note_local_only);
            None
        }
    };
    let Some(Stream { recorder, ending, pending_bytes }) = stream else {
        return run_recorded(&args.command, Recorder::local_only()).await;
    };
    recorder.record(Content::Title(title)).await;
    let status = run_recorded(&args.command, recorder).await;
    farewell::wait(ending, pending_bytes).await;
    status
}

fn note_local_only(why: &Failure) {
    farewell::note(&format!("nothing streams from here: {why} ({})", why.reason.code()));
    farewell::note(&format!("next: {}", why.reason.next()));
}

/// A stream that runs beside the command.
struct Stream {
    recorder: Recorder,
    ending: oneshot::Receiver<Ending>,
    pending_bytes: watch::Receiver<usize>,
}

impl Stream {
    fn start(home: &Home, attachment: Attachment, attached: Attached) -> Option<Self> {
        let (recorder, content) = Recorder::streaming();
        let streamer = Streamer::new(Client::of(home), &AwsLc, attachment, attached, content)?;
        let (tell_bytes, pending_bytes) = watch::channel(0);
        let (tell_ending, ending) = oneshot::channel();
        tokio::spawn(async move {
            // Nobody asks any more when the person has left.
            let _ = tell_ending.send(streamer.stream(tell_bytes).await);
        });
        Some(Self { recorder, ending, pending_bytes })
    }
}

/// Runs the command on our terminal with a copy to the recorder.
async fn run_recorded(command: &[OsString], recorder: Recorder) -> anyhow::Result<i32> {
    let terminals = Terminals::of_this_process();
    let signals = Signals::listen()?;
    // Before the command starts, so that not even its first key is ours.
    let raw = if terminals.stdin { Some(RawMode::enter()?) } else { None };
    let (running, ends) = match Running::start(command, terminals, raw.as_ref().map(RawMode::before)) {
        Ok(started) => started,
        Err(error) => {
            drop(raw);
            let status = not_started(command, &error);
            recorder.record(Content::Exit { status }).await;
            return Ok(status);
        }
    };
    let status = attend(running, ends, terminals, signals, &recorder).await?;
    drop(raw);
    let status = exit_status(status);
    recorder.record(Content::Exit { status }).await;
    Ok(status)
}

fn not_started(command: &[OsString], error: &io::Error) -> i32 {
    let program = command.first().map(|program| program.to_string_lossy()).unwrap_or_default();
    anstream::eprintln!("vpd run: {program}: {error}");
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE }
}

/// Carries bytes and signals both ways until the command has ended and everything it wrote is through.
async fn attend(
    mut running: Running,
    ends: Ends,
    terminals: Terminals,
    mut signals: Signals,
    recorder: &Recorder,
) -> io::Result<ExitStatus> {
    let (ended, on_end) = watch::channel(false);
    let mut copies = JoinSet::new();
    let mut typing = JoinSet::new();
    if let Some((screen, typewriter)) = ends.pty {
        let to: Box<dyn AsyncWrite + Send + Unpin> =
            if terminals.stdout { Box::new(tokio::io::stdout()) } else { Box::new(tokio::io::stderr()) };
        copies.spawn(copy::copy(screen, to, recorder.clone(), on_end.clone()));
        typing.spawn(type_along(typewriter, terminals.stdin, recorder.clone()));
    }
    if let Some(output) = ends.stdout {
        copies.spawn(copy::copy(output, tokio::io::stdout(), recorder.clone(), on_end.clone()));
    }
    if let Some(error) = ends.stderr {
        copies.spawn(copy::copy(error, tokio::io::stderr(), recorder.clone(), on_end));
    }
    let status = loop {
        tokio::select! {
            status = running.wait() => break status?,
            signal = signals.next() => running.signal(signal),
            Some(end) = copies.join_next() => {
                // Whoever read our output went away: to the command that is the same as if they had read its own.
                if let Ok(Err(_)) = end {
                    running.signal(Signal::PIPE);
                }
            }
        }
    };
    ended.send_replace(true);
    while copies.join_next().await.is_some() {}
    Ok(status)
}

/// Types what is typed, and resizes when the terminal is resized.
async fn type_along(mut pty: OwnedWritePty, typed: bool, recorder: Recorder) -> io::Result<()> {
    let keyboard = if typed { Some(Keyboard::open()?) } else { None };
    let mut resized = signal(SignalKind::window_change())?;
    let mut buffer = [0; 4096];
    loop {
        let keys = async {
            match &keyboard {
                Some(keyboard) => keyboard.read(&mut buffer).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = keys => match read? {
                0 => return Ok(()),
                n => pty.write_all(&buffer[..n]).await?,
            },
            _ = resized.recv() => {
                let (columns, rows) = terminal::size();
                pty.resize(Size::new(rows, columns)).map_err(io::Error::other)?;
                recorder.record(Content::Resize { columns, rows }).await;
            }
        }
    }
}

/// The signals that are meant for the command. In raw mode the keys for them go to the command's own terminal; these come from
/// elsewhere.
struct Signals {
    streams: [(tokio::signal::unix::Signal, Signal); 4],
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let stream = |kind, meant| signal(kind).map(|stream| (stream, meant));
        Ok(Self {
            streams: [
                stream(SignalKind::interrupt(), Signal::INT)?,
                stream(SignalKind::terminate(), Signal::TERM)?,
                stream(SignalKind::hangup(), Signal::HUP)?,
                stream(SignalKind::quit(), Signal::QUIT)?,
            ],
        })
    }

    async fn next(&mut self) -> Signal {
        let [interrupt, terminate, hangup, quit] = &mut self.streams;
        tokio::select! {
            _ = interrupt.0.recv() => interrupt.1,
            _ = terminate.0.recv() => terminate.1,
            _ = hangup.0.recv() => hangup.1,
            _ = quit.0.recv() => quit.1,
        }
    }
}

/// As shells have it: the exit code, or 128 and the number of the signal.
fn exit_status(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(NOT_RUNNABLE)
}
