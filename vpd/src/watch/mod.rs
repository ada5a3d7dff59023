//! `vpd watch`: sees the sessions of an organization, as they happen and as they were.
//!
//! The viewer is a device of its own: it pairs for itself, connects to the relay for itself and gets each session's key from the
//! daemon that runs it. All of that is decided by [`Watcher`](proto_core::device::watcher::Watcher); this process owns the home's
//! lock, and prints.

mod device;
mod screen;
mod terminal;

use std::{io::Write as _, process::ExitCode};

use io_engine::{DriverLoop, drive};
use io_tokio::Clock;
use owo_colors::OwoColorize as _;
use proto_core::{Machine as _, SessionId, Status, device::watcher::Goal, wire::Title};

use crate::{cli::WatchArgs, home::Home};
use device::Device;
use screen::{Screen, headline};
use terminal::{Seen, Terminal};

/// The exit code of a program that was interrupted, as shells give it (128 and SIGINT).
const INTERRUPTED: u8 = 130;

/// Lists sessions, or follows one.
pub(crate) async fn watch(home: &Home, args: &WatchArgs) -> anyhow::Result<ExitCode> {
    home.create()?;
    let device = Device::open(home)?;
    let goal = match (args.session, args.list) {
        (Some(session), _) => Goal::This(session),
        (None, true) => Goal::List,
        (None, false) => Goal::TheOnly,
    };
    let mut clock = Clock::start();
    let wall = clock.wall();
    let mut turns = DriverLoop::new(wall);
    let mut viewer = device.boot(home, wall, args.org.as_deref(), goal)?;
    let screen = Screen::new(args.raw, args.verbose);
    let mut terminal = Terminal::new(&device, viewer.platform(), screen)?;
    drive(&mut viewer, &mut turns, &mut clock, &mut terminal).await;
    let seen = terminal.shutdown().await;
    if let Some(error) = seen.unwritten {
        return Err(error.into());
    }
    if let Status::Failed(reason) = viewer.status() {
        return Err(seen.failure(*reason, args.session).into());
    }
    report(&seen, args)
}

fn report(seen: &Seen, args: &WatchArgs) -> anyhow::Result<ExitCode> {
    if seen.is_interrupted {
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if let Some(sessions) = &seen.sessions {
        list(sessions, args.list && args.json)?;
        if !args.list {
            anstream::eprintln!("Several sessions. next: {}", "vpd watch <session>".cyan());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(sessions: &[(SessionId, Option<Box<Title>>)], json: bool) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    for (session, title) in sessions {
        let headline =
            title.as_ref().map_or_else(|| "(its key or its beginning is not here yet)".to_owned(), |title| headline(title));
        if json {
            writeln!(out, "{}", serde_json::json!({ "session": session.to_string(), "title": headline }))?;
        } else {
            writeln!(out, "{session}  {headline}")?;
        }
    }
    if sessions.is_empty() {
        anstream::eprintln!("No sessions yet. next: {}", "vpd run -- COMMAND   (in a bound directory)".cyan());
    }
    Ok(())
}
