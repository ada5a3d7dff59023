//! `vpd demo`: the whole thing in one command, with nothing set up beforehand and nothing left behind. Platform, relay, daemon,
//! wrapper and viewer are the real programs, each in a process of its own; the pairing is approved on the page that a person
//! would use. It succeeds only when every promise held.

mod program;
mod sandbox;
mod scan;
mod session;
mod sides;
mod tap;
mod verdict;

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use data_encoding::HEXLOWER;
use owo_colors::OwoColorize as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    time,
};

use crate::cli::{DemoArgs, Fault};
use program::Talking;
use sandbox::Sandbox;
use session::{Act, Session};
use verdict::Evidence;

/// How long the viewer may need for the end once the command has ended.
const PATIENCE: Duration = Duration::from_secs(30);

/// Plays the demonstration; whatever interrupts it, nothing is left behind.
pub(crate) async fn demo(args: &DemoArgs) -> anyhow::Result<()> {
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        done = play(args) => done,
        _ = interrupted.recv() => finish_early(args),
        _ = terminated.recv() => finish_early(args),
    }
}

/// With `--keep` being interrupted is how it ends.
fn finish_early(args: &DemoArgs) -> anyhow::Result<()> {
    if args.keep {
        return Ok(());
    }
    bail!("interrupted");
}

async fn play(args: &DemoArgs) -> anyhow::Result<()> {
    let begun = Instant::now();
    say("One machine, the real programs, nothing but loopback.\n")?;
    let mut sandbox = Sandbox::open().await?;
    done("platform and relay serve, on ports that the system chose")?;
    sandbox.sign_up().await?;
    done("the first admin signed up on the set-up page")?;
    sandbox.start_daemon().await?;
    sandbox.pair().await?;
    done("the daemon runs and is paired, approved on the platform's page")?;
    let secret = canary();
    let repository = sandbox.bind(&secret).await?;
    done("a scratch repository is bound")?;
    let watching = sandbox.watch().await?;
    done("a viewer is paired, as a device of its own, and watches")?;
    let evidence = perform(args, &mut sandbox, watching, &repository, secret).await?;
    let held = report(&evidence, &sandbox)?;
    say(&format!("\n{:.1} s in all.", begun.elapsed().as_secs_f64()))?;
    if !held {
        bail!("not every promise held\n{}", sandbox.said());
    }
    if args.keep { keep(&sandbox, &repository).await } else { Ok(()) }
}

/// Runs the command, with a fault in its middle where one is asked for.
async fn perform(
    args: &DemoArgs,
    sandbox: &mut Sandbox,
    watching: Talking,
    repository: &Path,
    secret: String,
) -> anyhow::Result<Evidence> {
    let act = if args.command.is_empty() { Act::ours(&secret) } else { Act::theirs(args.command.clone()) };
    let mut session = Session::start(sandbox.program(), &act, repository).await?;
    if args.fault == Some(Fault::RelayRestart) {
        session.play_half(&act).await;
        sandbox.crash_servers().await?;
        done("relay and platform were killed in the middle of the stream and started again")?;
    }
    fs::write(repository.join(session::GO_ON), "")?;
    let local = session.finish().await?;
    let (mut viewer, remote) = time::timeout(PATIENCE, watching.rest())
        .await
        .with_context(|| format!("the viewer saw no end\n{}", sandbox.said()))??;
    let status = viewer.wait().await?;
    anyhow::ensure!(status.success(), "vpd watch: {status}\n{}", sandbox.said());
    Ok(Evidence { local, remote, seen: sandbox.seen(), secrets: vec![secret] })
}

/// Shows the evidence and whether every promise held.
fn report(evidence: &Evidence, sandbox: &Sandbox) -> anyhow::Result<bool> {
    say(&format!("\n{}", evidence.screens()))?;
    let findings = evidence.judge(&sandbox.server_data())?;
    for finding in &findings {
        if finding.held { done(&finding.text)? } else { say(&format!("{} {}", "✗".red(), finding.text))? }
    }
    Ok(findings.iter().all(|finding| finding.held))
}

/// Stays up until it is interrupted.
async fn keep(sandbox: &Sandbox, repository: &Path) -> anyhow::Result<()> {
    let [email, password] = sandbox.account();
    say(&format!("\nIt stays up. In the browser, as {email} with the password {password}:\n"))?;
    say(&format!("    {}\n", sandbox.api_url().cyan().underline()))?;
    say("In two other terminals:\n")?;
    let home = sandbox.home();
    say(&format!("    export VIEWPORT_HOME={} VIEWPORT_API_URL={}", home.path().display(), sandbox.api_url()))?;
    say("    vpd status")?;
    say(&format!("    cd {} && vpd run -- bash", repository.display()))?;
    say("    vpd watch\n")?;
    say("Ctrl-C stops everything and removes it.")?;
    std::future::pending().await
}

/// A text that exists nowhere else.
fn canary() -> String {
    format!("canary-{}", HEXLOWER.encode(&io_engine::fresh_entropy().derive("canary").expose()[..12]))
}

fn done(text: &str) -> io::Result<()> {
    say(&format!("{} {text}", "✓".green()))
}

fn say(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
