//! Everything a demonstration needs, made from nothing: both servers with a tap in front of each, a daemon, an approved pairing,
//! a bound directory. All of it in one temporary directory that goes with it.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use browser::Browser;
use data_encoding::HEXLOWER;
use proto_core::device::control::PairEvent;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{process::Child, time};

use super::{
    program::{Program, Talking, Words},
    tap::{Seen, Tap},
};
use crate::{client::Client, home::Home};

/// The address that signs up.
const EMAIL: &str = "ada@example.com";
/// How often a socket is tried.
const GLANCE: Duration = Duration::from_millis(10);
/// How long a child may take for one step.
const PATIENCE: Duration = Duration::from_secs(30);

/// The servers, the daemon and the browser of a demonstration.
#[derive(Debug)]
pub(super) struct Sandbox {
    // The children are stopped before their directory goes.
    servers: Servers,
    daemon: Option<Child>,
    program: Program,
    browser: Browser,
    password: String,
    platform: Tap,
    relay: Tap,
    place: TempDir,
}

/// `vpd serve`.
#[derive(Debug)]
struct Servers {
    child: Child,
    setup_url: Option<String>,
}

/// What `vpd serve --json` says.
#[derive(Debug, Deserialize)]
struct Place {
    listen: SocketAddr,
    relay_listen: SocketAddr,
    setup_url: Option<String>,
}

impl Sandbox {
    /// Starts platform and relay.
    pub(super) async fn open() -> anyhow::Result<Self> {
        let place = tempfile::Builder::new().prefix("vpd-demo-").tempdir()?;
        let (platform, relay) = (Tap::open().await?, Tap::open().await?);
        let program = Program::on(place.path().join("home"), format!("http://{}", platform.address()))?;
        let servers = start_servers(&program, place.path(), &platform, &relay).await?;
        let password = HEXLOWER.encode(&io_engine::fresh_entropy().derive("password").expose()[..12]);
        Ok(Self { servers, daemon: None, program, browser: Browser::default(), password, platform, relay, place })
    }

    /// The first admin signs up on the set-up page.
    pub(super) async fn sign_up(&mut self) -> anyhow::Result<()> {
        let url = self.servers.setup_url.as_deref().context("the platform has an account already")?;
        let page = self.browser.open(url).await?;
        let typed = [("organization", "Demo"), ("name", "Ada"), ("email", EMAIL), ("password", &self.password)];
        self.browser.submit(&page, "/setup", &typed).await.map(drop)
    }

    /// Starts the daemon, and waits until it answers.
    pub(super) async fn start_daemon(&mut self) -> anyhow::Result<()> {
        let log = fs::OpenOptions::new().append(true).create(true).open(self.log())?;
        let mut daemon = self.program.command(&["daemon"]).stderr(log).spawn()?;
        let client = Client::of(&self.home());
        let answers = async {
            while client.status().await.is_err() {
                time::sleep(GLANCE).await;
            }
        };
        tokio::select! {
            () = answers => {}
            ended = daemon.wait() => bail!("the daemon ended: {}\n{}", ended?, fs::read_to_string(self.log())?),
            () = time::sleep(PATIENCE) => bail!("the daemon does not answer"),
        }
        self.daemon = Some(daemon);
        Ok(())
    }

    /// `vpd pair`, approved in the browser.
    pub(super) async fn pair(&mut self) -> anyhow::Result<()> {
        let mut pairing = self.program.start(&["pair", "--json"], &self.log())?;
        let url = loop {
            let line = pairing.line().await.with_context(|| self.said())?;
            match serde_json::from_str(&line).with_context(|| line.clone())? {
                PairEvent::Code(pairing) => break pairing.url,
                PairEvent::Trouble { .. } => {}
                PairEvent::Paired { .. } | PairEvent::Failed { .. } => bail!("not approved yet: {line}"),
            }
        };
        self.approve(&url).await?;
        let status = time::timeout(PATIENCE, pairing.child.wait()).await.context("the approval is not picked up")??;
        ensure!(status.success(), "vpd pair: {status}\n{}", self.said());
        Ok(())
    }

    /// Presses Approve on a device's page.
    pub(super) async fn approve(&mut self, url: &str) -> anyhow::Result<()> {
        let page = self.browser.open(url).await?;
        let page = self.browser.submit(&page, "/pair/approve", &[]).await?;
        ensure!(page.says("Paired with"), "the platform did not take the approval");
        Ok(())
    }

    /// Makes a scratch repository with this name and binds it.
    pub(super) async fn bind(&self, name: &str) -> anyhow::Result<PathBuf> {
        let repository = self.place.path().join(name);
        fs::create_dir_all(repository.join(".git"))?;
        self.program.run(&["bind", repository.to_str().context("a path that is no text")?]).await?;
        Ok(repository)
    }

    /// `vpd watch`: approved in the browser, then following the first session that starts.
    pub(super) async fn watch(&mut self) -> anyhow::Result<Talking> {
        let (watching, mut words) = self.program.start_with_words(&["watch", "--raw", "--verbose"])?;
        let page = line_with(&mut words, "/pair?code=").await?;
        self.approve(page.trim()).await?;
        line_with(&mut words, "connected").await?;
        let mut log = fs::OpenOptions::new().append(true).create(true).open(self.log())?;
        tokio::spawn(async move {
            while let Ok(Some(line)) = words.next_line().await {
                // What it says is for the case that something fails.
                let _ = writeln!(log, "{line}");
            }
        });
        Ok(watching)
    }

    /// Kills both servers without a warning and starts them again on the same data.
    pub(super) async fn crash_servers(&mut self) -> anyhow::Result<()> {
        self.platform.lead_to(None);
        self.relay.lead_to(None);
        self.servers.child.kill().await?;
        self.servers = start_servers(&self.program, self.place.path(), &self.platform, &self.relay).await?;
        Ok(())
    }

    /// How children are run here.
    pub(super) const fn program(&self) -> &Program {
        &self.program
    }

    /// Where the daemon lives.
    pub(super) fn home(&self) -> Home {
        Home::at(self.place.path().join("home"))
    }

    /// What platform and relay keep.
    pub(super) fn server_data(&self) -> PathBuf {
        self.place.path().join("servers")
    }

    /// How browsers reach the platform.
    pub(super) fn api_url(&self) -> String {
        format!("http://{}", self.platform.address())
    }

    /// What to sign in with: address and password.
    pub(super) fn account(&self) -> [&str; 2] {
        [EMAIL, &self.password]
    }

    /// What went over the lines of the platform and of the relay.
    pub(super) fn seen(&self) -> [Seen; 2] {
        [self.platform.seen(), self.relay.seen()]
    }

    /// What the children said in their distress.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.place.path().join("log")
    }
}

/// The first line with that text.
async fn line_with(words: &mut Words, text: &str) -> anyhow::Result<String> {
    let found = async {
        loop {
            let line = words.next_line().await?.with_context(|| format!("vpd watch ended before it said {text:?}"))?;
            if line.contains(text) {
                return Ok(line);
            }
        }
    };
    time::timeout(PATIENCE, found).await.with_context(|| format!("vpd watch does not say {text:?}"))?
}

async fn start_servers(program: &Program, place: &Path, platform: &Tap, relay: &Tap) -> anyhow::Result<Servers> {
    let data = place.join("servers");
    let relay_url = format!("ws://{}/ws", relay.address());
    let public_url = format!("http://{}", platform.address());
    let data = data.to_str().context("a path that is no text")?;
    let anywhere = "127.0.0.1:0";
    let arguments = ["serve", "--json", "--listen", anywhere, "--relay-listen", anywhere, "--data", data];
    let arguments = [&arguments[..], &["--public-url", &public_url, "--relay-url", &relay_url]].concat();
    let log = place.join("log");
    let mut serving = program.start(&arguments, &log)?;
    let line = time::timeout(PATIENCE, serving.line()).await.context("vpd serve says nothing")?;
    let line = line.with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
    let Place { listen, relay_listen, setup_url } = serde_json::from_str(&line)?;
    platform.lead_to(Some(listen));
    relay.lead_to(Some(relay_listen));
    Ok(Servers { child: serving.child, setup_url })
}
