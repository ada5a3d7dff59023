//! `vpd run -- COMMAND`: a command on a terminal that looks and behaves like the one in front of the person, and whose output
//! streams where the directory is bound.
//!
//! Where nothing streams, this process becomes the command ([`local`]): there is nothing between it and its terminal. Where the
//! session streams, it matters what the command has of the terminal ([`scene`]):
//!
//! ```text
//!   all of it: keys and picture                      a part of it: pipes lead to and from other programs of the job
//!
//!   keyboard ──────────► PTY ──► command             keyboard, /dev/tty ───────────────► command, in our job
//!   screen   ◄─ carry ◄─ PTY ◄──┘  (keeper)          outputs  ◄─ carry ◄─ PTY or pipe ◄──┘
//!                 └────► record ─► streamer (session::Session) ◄──► daemon
//! ```
//!
//! `vpd run` owns its end of the PTY and the session's records, so nothing that happens to the daemon reaches the command.

mod attachment;
mod carry;
mod consent;
mod console;
mod ending;
mod farewell;
pub(crate) mod ignored;
mod in_job;
mod keeper;
mod left_over;
mod local;
mod mark;
mod pty;
mod record;
mod recorder;
mod scene;
mod signals;
mod streamer;
mod terminal;
mod through;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Instant,
};

use io_engine::AwsLc;
use owo_colors::OwoColorize as _;
use proto_core::wire::{Content, Title};
use rustix::process::{Pid, getpid};
use tokio::{
    runtime::{self, Runtime},
    sync::{oneshot, watch},
};

use crate::{cli::RunArgs, client::Client, control::Attached, failure::Failure, home::Home};
use attachment::Attachment;
use carry::PumpLoop;
use consent::Consent;
use ending::End;
use mark::SessionEnv;
pub(crate) use mark::surrounding_session;
use record::RecordWriter;
use recorder::Recorder;
use signals::Signals;
use streamer::{Ending, Streamer};

pub(crate) use keeper::keep;
pub(crate) use left_over::carry;
pub(crate) use terminal::is_ours_now;

/// Runs the command; where the directory is bound, streams what it shows. Where not, this process becomes the command.
pub(crate) fn run(home: Result<Home, Failure>, args: &RunArgs) -> anyhow::Result<ExitCode> {
    // This thread carries the terminal, the other one the stream.
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    if let Some(streaming) = runtime.block_on(consented(home, args)) {
        return run_streaming(&runtime, args, streaming);
    }
    if getpid() == Pid::INIT {
        // The first process of a container must reap orphans, which not every command does.
        let (end, _) = perform(&args.command, Vec::new(), RecordWriter::new(Recorder::local_only()))?;
        return Ok(end.repeat());
    }
    let Err(error) = local::exec(&args.command);
    Ok(End::Exited(local::not_started(&args.command, &error)).repeat())
}

/// A session that the daemon agreed to stream.
struct Streaming {
    home: Home,
    stream: Stream,
    title: Title,
    mark: SessionEnv,
}

/// Asks whether the session streams; says why not, where there is something to say.
async fn consented(home: Result<Home, Failure>, args: &RunArgs) -> Option<Streaming> {
    // What runs below a session is in its record already.
    if surrounding_session().is_some() {
        return None;
    }
    let home = home.inspect_err(|why| note_local_only(args, why)).ok()?;
    let directory = consent::directory()?;
    let title = consent::title(&args.command, &directory);
    match consent::ask(&home, &directory, &title).await {
        Consent::Streams(attachment, attached) => {
            let mark = SessionEnv::of(&attached)?;
            let stream = Stream::start(&home, *attachment, attached)?;
            Some(Streaming { home, stream, title, mark })
        }
        Consent::LocalOnly(why) => {
            if let Some(why) = why {
                note_local_only(args, &why);
            }
            None
        }
    }
}

fn note_local_only(args: &RunArgs, why: &Failure) {
    if !args.quiet {
        farewell::note(&format!("nothing streams from here: {why} ({})", why.reason.code()));
        farewell::note(&format!("next: {}", why.reason.next()));
    }
}

fn run_streaming(runtime: &Runtime, args: &RunArgs, streaming: Streaming) -> anyhow::Result<ExitCode> {
    let Streaming { home, stream, title, mark } = streaming;
    if !args.quiet && io::stderr().is_terminal() {
        farewell::note(&mark.line().dimmed().to_string());
    }
    let Stream { recorder, ending, pending_bytes } = stream;
    runtime.block_on(recorder.record(Content::Title(title)));
    let (end, record) = perform(&args.command, mark.environment().into(), RecordWriter::new(recorder))?;
    let (recorder, rest) = record.into_rest();
    runtime.block_on(async {
        // Once the recorder has gone, the stream knows that nothing follows.
        tokio::spawn(async move {
            for content in rest {
                recorder.record(content).await;
            }
        });
        farewell::wait_until_durable(&home, &mark, args.quiet, ending, pending_bytes).await;
    });
    Ok(end.repeat())
}

/// Runs the command on our terminal, with a copy to the record.
fn perform(
    command: &[OsString],
    environment: Vec<(&'static str, String)>,
    mut record: RecordWriter,
) -> anyhow::Result<(End, RecordWriter)> {
    let signals = Signals::listen()?;
    let end = match scene::start(command, environment, record.records()) {
        Ok((actor, ways)) => {
            let (end, grown) = PumpLoop { actor, ways, signals, record }.carry()?;
            record = grown;
            end
        }
        Err(error) => End::Exited(local::not_started(command, &error)),
    };
    record.happened(Content::Exit { status: end.status() }, Instant::now());
    Ok((end, record))
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
        let (tell_bytes, pending_bytes) = watch::channel(0);
        let streamer = Streamer::new(Client::of(home), &AwsLc, attachment, attached, content, tell_bytes)?;
        let (tell_ending, ending) = oneshot::channel();
        tokio::spawn(async move {
            // Not asked any more when the command has ended.
            let _ = tell_ending.send(streamer.stream().await);
        });
        Some(Self { recorder, ending, pending_bytes })
    }
}
