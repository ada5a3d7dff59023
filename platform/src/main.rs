//! `viewport-platform`: the control plane as a server of its own.

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use viewport_platform::{Clock, Config, Platform};
use viewport_server::stop_requested;

/// The Viewport control plane: accounts, organizations, pairing, machines, credentials.
///
/// Settings come from the environment: PLATFORM_PUBLIC_URL, PLATFORM_RELAY_URL, PLATFORM_RELAY_STATIC_KEYS and
/// RELAY_INTERNAL_KEY are needed; PLATFORM_LISTEN, PLATFORM_DATABASE_URL, PLATFORM_RATE_LIMIT_PER_IP,
/// PLATFORM_TRUSTED_PROXIES, PLATFORM_CREDENTIAL_SECONDS and PLATFORM_RENEWABLE_SECONDS have defaults.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Answer requests (what happens without a command as well).
    Serve,
    /// Publish a new signing key; it signs two hours later, once every relay knows it.
    RotateKeys {
        /// The keys may have leaked: withdraw all of them, and sign with a fresh one at once. Devices renew by themselves.
        #[arg(long)]
        leaked: bool,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = Config::from_env(std::env::vars())?;
    let listen = config.listen;
    let platform = Platform::open(config, Clock::system()).await?;
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(&platform, listen).await,
        Command::RotateKeys { leaked: false } => Ok(platform.rotate_signing_key().await?),
        Command::RotateKeys { leaked: true } => Ok(platform.withdraw_signing_keys().await?),
    }
}

async fn serve(platform: &Platform, listen: std::net::SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    if let Some(page) = platform.setup_url().await? {
        println!("Open this page to create the first account:\n\n  {page}\n");
    }
    platform.serve(listener, stop_requested()?).await.context("the listener failed")
}
