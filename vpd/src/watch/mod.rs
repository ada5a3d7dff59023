//! `vpd watch`: sees the sessions of an organization, as they happen and as they were.
//!
//! The viewer is a device of its own: it pairs for itself, connects to the relay for itself and gets each session's key from the
//! daemon that runs it. This process drives `viewer::Viewer` and shows what comes out.

mod device;
mod follow;
mod screen;

use std::io::Write as _;

use owo_colors::OwoColorize as _;
use proto_core::{BindingId, Reason, SessionId, api::CodeText, device::pairing::Shown};

use crate::{cli::WatchArgs, command::status, failure::Failure, home::Home};
use device::Device;
use follow::{Goal, Seen};

/// Lists sessions, or follows one.
pub(crate) async fn watch(home: &Home, args: &WatchArgs) -> anyhow::Result<()> {
    home.create()?;
    let mut device = Device::open(home)?;
    let binding = paired(&mut device, args.org.as_deref()).await?;
    let goal = match (&args.session, args.list) {
        (Some(session), _) => Goal::This(*session),
        (None, true) => Goal::List,
        (None, false) => Goal::TheOnly,
    };
    let seen = follow::follow(&mut device, &binding, goal, screen::Screen::new(args.raw, args.verbose)).await?;
    match seen {
        Seen::End => Ok(()),
        Seen::Several(sessions) if args.list => list(&sessions, args.json),
        Seen::Several(sessions) => {
            list(&sessions, false)?;
            anstream::eprintln!("Several sessions. next: {}", "vpd watch <session>".cyan());
            Ok(())
        }
    }
}

/// A pairing to watch with; on first use it is made here.
async fn paired(device: &mut Device, org: Option<&str>) -> Result<BindingId, Failure> {
    match device.pick(org) {
        Ok(binding) => Ok(binding),
        Err(Reason::NotPaired | Reason::OrgUnknown) => {
            anstream::eprintln!("This viewer is a device of its own; it pairs at {} once.", device.api_endpoint());
            device.pair(org, show_code).await
        }
        Err(reason) => Err(reason.into()),
    }
}

/// On the standard error: the standard output is the session's.
fn show_code(shown: &Shown, seconds: u64) {
    let code = shown.code.parse().map_or_else(|_| shown.code.clone(), |code: CodeText| code.grouped());
    anstream::eprintln!("Open this page, sign in, pick the workspace and approve this viewer:\n");
    anstream::eprintln!("    {}\n", shown.url.cyan().underline());
    anstream::eprintln!("Code: {}  (lives for {})", code.bold(), status::minutes(seconds));
    anstream::eprintln!("Waiting for confirmation... (Ctrl-C cancels)");
}

fn list(sessions: &[(SessionId, String)], json: bool) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    for (session, headline) in sessions {
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
