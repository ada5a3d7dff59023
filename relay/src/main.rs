//! The `viewport-relay` program: settings from the environment, logs on stdout, an orderly end on SIGTERM and Ctrl-C.

use std::{fmt::Write as _, io::IsTerminal as _};

use anyhow::Context as _;
use clap::Command;
use io_tokio::Network;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};
use viewport_relay::{Config, Options, Relay, config::SETTINGS};
use viewport_server::stop_requested;

fn main() -> anyhow::Result<()> {
    Command::new("viewport-relay")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The relay of Viewport: passes sealed sessions from daemons to viewers, and reads none of them")
        .after_help(settings_help())
        .get_matches();
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).with_env_var("RUST_LOG");
    tracing_subscriber::registry()
        .with(fmt::layer().with_target(false).with_ansi(std::io::stdout().is_terminal()))
        .with(filter.from_env_lossy())
        .init();
    let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = Config::from_env(environment)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let options = Options { network: Network::of_environment(), ..Options::default() };
    let relay = Relay::bind_with(config, options).await?;
    tracing::info!("listening on {}, static key {}", relay.local_addr(), relay.static_key().to_base64url());
    relay.serve(stop_requested().context("cannot wait for SIGTERM and Ctrl-C")?).await;
    Ok(())
}

fn settings_help() -> String {
    let mut text = String::from("Settings, from the environment:\n");
    for (name, what) in SETTINGS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<26} {what}");
    }
    text
}
