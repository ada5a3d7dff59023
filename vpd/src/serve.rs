//! `vpd serve`: platform and relay for a small team, in one process, from one directory.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
};

use anyhow::Context as _;
use data_encoding::BASE64URL_NOPAD;
use owo_colors::OwoColorize as _;
use proto_core::{api::RelayEndpoint, secret::SecretText};
use serde::Serialize;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use viewport_platform::{Clock, Platform};
use viewport_relay::Relay;

use crate::{
    cli::ServeArgs,
    failure::Failure,
    home::{self, Home},
    log,
};

/// Serves until it is interrupted. `home` is needed only where no directory was named.
pub(crate) async fn serve(home: fn() -> Result<Home, Failure>, args: &ServeArgs) -> anyhow::Result<()> {
    args.check().unwrap_or_else(|error| error.exit());
    log::to_stderr()?;
    let data = args.data.clone().map_or_else(|| Ok::<_, Failure>(home()?.path().join("serve")), Ok)?;
    home::make_private(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let interruption = Interruption::listen()?;
    let servers = Servers::open(args, &data).await?;
    let place = servers.place(&data).await?;
    let print = if args.json { Place::print_json } else { Place::print };
    print(&place)?;
    Box::pin(servers.run(interruption)).await
}

/// Both servers, listening and not answering yet.
struct Servers {
    platform: Platform,
    platform_listener: TcpListener,
    relay: Relay,
    public_url: String,
    relay_url: String,
}

impl Servers {
    async fn open(args: &ServeArgs, data: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
        let local_url = format!("http://{}", listener.local_addr()?);
        let public_url = args.public_url.clone().unwrap_or_else(|| local_url.clone());
        // Both ends of it live in this process, so the operator need not know or keep it.
        let internal_key = SecretText::new(BASE64URL_NOPAD.encode(io_engine::fresh_entropy().derive("internal key").expose()));
        let mut config = viewport_relay::Config::new(&local_url, internal_key.clone(), data.join("relay"))?;
        config.listen = args.relay_listen;
        config.token_issuer.clone_from(&public_url);
        let relay = Relay::bind(config).await.context("the relay cannot start")?;
        let relay_url = args.relay_url.clone().unwrap_or_else(|| format!("ws://{}/ws", relay.local_addr()));
        let endpoint = RelayEndpoint { url: relay_url.clone(), static_keys: vec![relay.static_key()] };
        let config = viewport_platform::Config::new(data.join("platform.db"), &public_url, endpoint, internal_key);
        let platform = Platform::open(config, Clock::system()).await.context("the platform cannot start")?;
        Ok(Self { platform, platform_listener: listener, relay, public_url, relay_url })
    }

    async fn place(&self, data: &Path) -> anyhow::Result<Place> {
        Ok(Place {
            public_url: self.public_url.clone(),
            relay_url: self.relay_url.clone(),
            listen: self.platform_listener.local_addr()?,
            relay_listen: self.relay.local_addr(),
            data: data.to_owned(),
            setup_url: self.platform.setup_url().await?,
        })
    }

    /// Answers until a signal comes; requests under way are finished then.
    async fn run(self, mut interruption: Interruption) -> anyhow::Result<()> {
        let (stop, stopping) = watch::channel(());
        let platform = self.platform.serve(self.platform_listener, until_dropped(stopping.clone()));
        let relay = self.relay.serve(until_dropped(stopping));
        let platform = async { platform.await.context("the platform failed") };
        let relay = async {
            relay.await;
            Ok(())
        };
        let mut both = pin!(async { tokio::try_join!(platform, relay).map(drop) });
        tokio::select! {
            ended = &mut both => return ended,
            () = interruption.wait() => {}
        }
        anstream::eprintln!("Stopping.");
        drop(stop);
        both.await
    }
}

/// Ends when the sender is dropped.
async fn until_dropped(mut stopping: watch::Receiver<()>) {
    while stopping.changed().await.is_ok() {}
}

/// Ctrl-C, or a polite request to terminate.
struct Interruption([Signal; 2]);

impl Interruption {
    /// From now on neither ends the process by itself.
    fn listen() -> io::Result<Self> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]))
    }

    async fn wait(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Where everything is.
#[derive(Debug, Serialize)]
struct Place {
    public_url: String,
    relay_url: String,
    listen: SocketAddr,
    relay_listen: SocketAddr,
    data: PathBuf,
    /// Where the first admin signs up, while there is none.
    setup_url: Option<String>,
}

impl Place {
    fn print_json(&self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(self)?)?;
        Ok(out.flush()?)
    }

    fn print(&self) -> anyhow::Result<()> {
        let mut out = anstream::stdout().lock();
        writeln!(out, "{} Viewport is up.", "✓".green())?;
        writeln!(out, "  platform  {}", self.public_url.cyan())?;
        writeln!(out, "  relay     {}", self.relay_url)?;
        writeln!(out, "  data      {}\n", home::shorten(&self.data))?;
        if let Some(url) = &self.setup_url {
            writeln!(out, "Open this page to create your account and your team's workspace:\n")?;
            writeln!(out, "    {}\n", url.cyan().underline())?;
        }
        writeln!(out, "Then, on each machine:\n")?;
        writeln!(out, "    export VIEWPORT_API_URL={}", self.public_url)?;
        writeln!(out, "    vpd pair\n")?;
        out.flush()?;
        anstream::eprintln!("Ctrl-C stops it.");
        Ok(())
    }
}
