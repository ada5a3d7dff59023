//! `vpd watch`: sees the sessions of an organization, as they happen and as they were.
//!
//! The viewer is a device of its own: it pairs for itself, connects to the relay for itself and gets each session's key from the
//! daemon that runs it. All of that is decided by [`Watcher`](proto_core::device::watcher::Watcher); this process owns the home's
//! lock, and prints; and it asks, where several sessions fit and a person can answer.

mod chooser;
mod device;
mod list;
mod screen;
mod terminal;
mod viewers;

use std::process::ExitCode;

use io_engine::{DriverLoop, drive};
use io_tokio::Clock;
use owo_colors::OwoColorize as _;
use proto_core::{
    Machine as _, Reason, Status, UnixTime,
    device::watcher::{
        Goal,
        choice::{Entry, Wanted, Which},
    },
};

use crate::{
    cli::{SessionsArgs, WatchArgs},
    failure::Failure,
    home::Home,
    settings::Settings,
};
use chooser::Answer;
use device::Device;
use screen::Screen;
use terminal::{Seen, Terminal};
pub(crate) use viewers::viewers;

/// The exit code of a program that was interrupted, as shells give it (128 and SIGINT).
const INTERRUPTED: u8 = 130;

/// So many sessions are shown to choose from.
const AT_ONCE: usize = 20;

/// What to do first where there are no sessions.
const FIRST: &str = "vpd run -- COMMAND   (in a bound directory)";

/// What a viewer is started for.
struct Aim {
    goal: Goal,
    wanted: Wanted,
}

impl Aim {
    fn of(args: &WatchArgs) -> Self {
        if let Some(session) = args.session.as_ref().and_then(|prefix| prefix.as_str().parse().ok()) {
            return Self::at(Goal::This(session));
        }
        let which = match (args.live, args.latest) {
            (true, _) => Which::Live,
            (_, true) => Which::Latest,
            _ => Which::Only,
        };
        Self { goal: Goal::TheOnly, wanted: Wanted { prefix: args.session.clone(), machine: args.machine.clone(), which } }
    }

    fn at(goal: Goal) -> Self {
        Self { goal, wanted: Wanted::default() }
    }
}

/// What came of one viewer, from its start to its end.
struct Run {
    seen: Seen,
    failed: Option<Reason>,
    now: UnixTime,
}

/// Prints sessions as of a moment.
type Print = fn(&[Entry], UnixTime) -> std::io::Result<()>;

/// Lists the sessions.
pub(crate) async fn sessions(home: &Home, args: &SessionsArgs) -> anyhow::Result<ExitCode> {
    list_sessions(home, args.org.as_deref(), args.json.then_some(list::json)).await
}

/// Prints all sessions; as a table where no other form is named.
async fn list_sessions(home: &Home, org: Option<&str>, form: Option<Print>) -> anyhow::Result<ExitCode> {
    home.create()?;
    let device = Device::open(home)?;
    let screen = Screen::new(false, false);
    let Run { seen, failed, now } = run(home, &device, org, &Aim::at(Goal::List), screen).await?;
    if let Some(reason) = failed {
        return Err(seen.failure(reason).into());
    }
    let Some(entries) = seen.sessions else { return Ok(ExitCode::from(INTERRUPTED)) };
    if let Some(print) = form {
        print(&entries, now)?;
    } else if entries.is_empty() {
        anstream::eprintln!("No sessions yet. next: {}", FIRST.cyan());
    } else {
        list::table(&entries, now)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Follows one session.
pub(crate) async fn watch(home: &Home, args: &WatchArgs) -> anyhow::Result<ExitCode> {
    if args.list {
        return list_sessions(home, args.org.as_deref(), args.json.then_some(list::json_lines)).await;
    }
    home.create()?;
    let device = Device::open(home)?;
    let mut aim = Aim::of(args);
    loop {
        let screen = Screen::new(args.raw, args.verbose);
        let Run { seen, failed, now } = run(home, &device, args.org.as_deref(), &aim, screen).await?;
        match (failed, seen.sessions) {
            (Some(reason @ Reason::SessionUnknown), _) if seen.failed.is_none() => return Err(unknown(reason, args).into()),
            (Some(reason), sessions) => return Err(Seen { sessions, ..seen }.failure(reason).into()),
            _ if seen.is_interrupted => return Ok(ExitCode::from(INTERRUPTED)),
            (None, None) => return Ok(ExitCode::SUCCESS),
            (None, Some(entries)) => match choose(&entries, now, args).await? {
                Answer::This(session) => aim = Aim::at(Goal::This(session)),
                Answer::Nothing => return Ok(ExitCode::SUCCESS),
                Answer::Interrupted => return Ok(ExitCode::from(INTERRUPTED)),
            },
        }
    }
}

/// Runs a viewer to its end.
async fn run(home: &Home, device: &Device, org: Option<&str>, aim: &Aim, screen: Screen) -> anyhow::Result<Run> {
    let mut clock = Clock::start();
    let wall = clock.wall();
    let mut turns = DriverLoop::new(wall);
    let settings = Settings::load(home)?;
    let mut viewer = device.boot(settings.api_endpoint, wall, org, aim)?;
    let mut terminal = Terminal::new(device, viewer.platform(), settings.network, screen, aim.goal == Goal::List)?;
    drive(&mut viewer, &mut turns, &mut clock, &mut terminal).await;
    let mut seen = terminal.shutdown().await;
    if let Some(error) = seen.unwritten.take() {
        return Err(error.into());
    }
    let failed = if let Status::Failed(reason) = viewer.status() { Some(*reason) } else { None };
    let now = clock.wall();
    Ok(Run { seen, failed, now: now.unix_at(now.at()) })
}

/// Asks which of them is meant, where a person can be asked and has not said it; else says what they are.
async fn choose(entries: &[Entry], now: UnixTime, args: &WatchArgs) -> anyhow::Result<Answer> {
    let shown = entries.get(..AT_ONCE).unwrap_or(entries);
    let more = (entries.len() > AT_ONCE).then(|| format!("and {} more: vpd sessions", entries.len() - AT_ONCE));
    if args.session.is_none() && chooser::is_possible() {
        return Ok(chooser::ask(shown, more, now).await?);
    }
    let failure = match &args.session {
        Some(prefix) => Failure::about(Reason::SessionAmbiguous, prefix.as_str()),
        None => Reason::SessionAmbiguous.into(),
    };
    Err(failure.with_notes(list::candidates(shown, now).into_iter().chain(more).collect()).into())
}

/// Why there is nothing to show.
fn unknown(reason: Reason, args: &WatchArgs) -> Failure {
    if let Some(prefix) = &args.session {
        return Failure::about(reason, prefix.as_str());
    }
    let of = args.machine.as_ref().map_or_else(String::new, |machine| format!(" of {machine}"));
    let (detail, cause, remedy) = if args.live {
        (
            "none is live",
            "Nothing streams at this moment, or its machine is not connected.",
            "vpd sessions, or: vpd watch --latest",
        )
    } else if args.machine.is_some() {
        (
            "there is none",
            "No machine of that name has streamed, or what it streamed is no longer kept.",
            "vpd sessions   (it names the machines)",
        )
    } else {
        ("there is none yet", "Nothing has streamed to this organization, or it is no longer kept.", FIRST)
    };
    Failure { cause: Some(cause), remedy: Some(remedy.into()), ..Failure::about(reason, format!("{detail}{of}")) }
}
