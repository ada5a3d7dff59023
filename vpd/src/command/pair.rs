//! `vpd pair`: shows the code, waits with the person for the approval, says what came of it.

use std::io::{self, Write as _};

use owo_colors::OwoColorize as _;
use proto_core::{
    Obstacle, Reason,
    api::{CodeText, PairingMode, Workspace},
};
use tokio::signal::unix::{SignalKind, signal};

use super::{lifecycle, status, unreadable};
use crate::{
    cli::PairArgs,
    client::{Client, PairEvents},
    control::{PairEvent, PairRequest, PendingPairing},
    failure::Failure,
    home::Home,
    settings,
};

/// Pairs, or cancels a pairing.
pub(crate) async fn pair(home: &Home, args: &PairArgs) -> anyhow::Result<()> {
    let client = Client::of(home);
    if args.cancel {
        client.cancel_pairing().await?;
        anstream::eprintln!("Cancelled.");
        return Ok(());
    }
    lifecycle::ensure_running(home).await?;
    note_other_platform(&client).await?;
    if settings::network_differs(home)? {
        anstream::eprintln!(
            "note: the daemon was started with other proxies or certificates than this shell has; to use these: vpd restart"
        );
    }
    if args.add || args.replace {
        // Which one it refreshes shows when the person has chosen.
        let condition = (args.add && args.org.is_none()).then_some("If you choose an organization again:");
        unreadable::warn(&client, args.org.as_deref().filter(|_| args.add), condition).await?;
    }
    let request = PairRequest { mode: mode(args), org: args.org.clone(), name: args.name.clone() };
    let events = match client.pair(&request).await {
        Ok(events) => events,
        Err(failure) => return Err(explained(failure, None, &client).await.into()),
    };
    let show = if args.json { show_json } else { show_text };
    let org = wait(&client, events, show).await?;
    if !args.json {
        finish(&org)?;
    }
    Ok(())
}

const fn mode(args: &PairArgs) -> PairingMode {
    match (args.add, args.replace) {
        (true, _) => PairingMode::Add,
        (_, true) => PairingMode::Replace,
        _ => PairingMode::New,
    }
}

/// Follows the pairing to its end; Ctrl-C cancels it (S20).
async fn wait(client: &Client, mut events: PairEvents, show: fn(&PairEvent) -> anyhow::Result<()>) -> anyhow::Result<Workspace> {
    // From before the code is shown: from then on Ctrl-C means this pairing.
    let mut interrupted = signal(SignalKind::interrupt())?;
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            _ = interrupted.recv() => {
                client.cancel_pairing().await?;
                return Err(Reason::PairingCancelled.into());
            }
        };
        show(&event)?;
        match event {
            PairEvent::Code(_) | PairEvent::Trouble { .. } => {}
            PairEvent::Paired { org, .. } => return Ok(org),
            PairEvent::Failed { reason, obstacle } => return Err(explained(reason.into(), obstacle, client).await.into()),
        }
    }
}

fn show_json(event: &PairEvent) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(event)?)?;
    Ok(out.flush()?)
}

fn show_text(event: &PairEvent) -> anyhow::Result<()> {
    match event {
        PairEvent::Code(pairing) => show_code(pairing)?,
        PairEvent::Trouble { reason, obstacle } => {
            let met = obstacle.map_or_else(String::new, |met| format!(": {met}"));
            anstream::eprintln!("{reason}{met} ({}); trying again...", reason.code());
        }
        PairEvent::Paired { org, refreshed } => {
            let done = if *refreshed { "Refreshed the pairing with" } else { "Paired with" };
            writeln!(anstream::stdout(), "{} {done} {}.", "✓".green(), org.name.bold())?;
        }
        PairEvent::Failed { .. } => {}
    }
    Ok(())
}

fn show_code(pairing: &PendingPairing) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "Open this page, sign in, pick the workspace and approve this machine:\n")?;
    writeln!(out, "    {}\n", pairing.url.cyan().underline())?;
    // Grouped as the page shows it, so that the two are easy to compare.
    let code = pairing.code.parse().map_or_else(|_| pairing.code.clone(), |code: CodeText| code.grouped());
    writeln!(out, "Code: {}  (lives for {})", code.bold(), status::minutes(pairing.expires_in))?;
    out.flush()?;
    anstream::eprintln!("Waiting for confirmation... (Ctrl-C cancels)");
    Ok(())
}

fn finish(org: &Workspace) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "Nothing streams yet: that takes a bound directory.")?;
    writeln!(out, "  {} {}", "next:".bold(), format_args!("vpd bind <path> --org {}", org.slug).cyan())
}

/// What is paired already helps to choose between `--add` and `--replace` (D1), and where the platform was looked for, to see
/// what is wrong there.
async fn explained(failure: Failure, obstacle: Option<Obstacle>, client: &Client) -> Failure {
    let Ok(report) = client.status().await else { return failure };
    match failure.reason {
        Reason::AlreadyPaired | Reason::OrgAlreadyBound => failure.with_notes(status::binding_rows(&report.bindings)),
        Reason::PlatformUnreachable | Reason::PlatformAnswerInvalid => {
            Failure::at(failure.reason, &report.api_endpoint, obstacle, report.api_proxy.as_ref())
        }
        _ => failure,
    }
}

/// A daemon that was started for another platform goes on pairing there.
async fn note_other_platform(client: &Client) -> Result<(), Failure> {
    let Some(wanted) = settings::api_url_of_environment() else { return Ok(()) };
    let wanted = settings::normalised(&wanted)?;
    let paired_at = client.status().await?.api_endpoint;
    if settings::normalised(&paired_at)? != wanted {
        anstream::eprintln!("note: the daemon was started for {paired_at}; to pair at {wanted}: vpd restart");
    }
    Ok(())
}
