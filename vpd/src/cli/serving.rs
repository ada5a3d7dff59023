//! Arguments of `vpd serve` and `vpd demo`.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{Args, CommandFactory as _, ValueEnum, error::ErrorKind};

use super::Cli;
use crate::settings;

pub(super) const SERVE_HELP: &str = "\
Keys are made at the first start and kept in the data directory. TLS is a reverse proxy's business: give the \
addresses that it has outside with --public-url and --relay-url.

Examples:
  vpd serve
  vpd serve --listen 0.0.0.0:8787 --relay-listen 0.0.0.0:8788 \\
      --public-url https://viewport.example --relay-url wss://relay.viewport.example/ws";

/// `vpd serve`.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Where the platform listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Where the relay listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8788")]
    pub relay_listen: SocketAddr,
    /// The directory that holds everything [default: ~/.viewport/serve]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// How browsers and machines reach the platform [default: the address it listens on]
    #[arg(long, value_name = "URL", value_parser = web_url)]
    pub public_url: Option<String>,
    /// How machines reach the relay [default: the address it listens on]
    #[arg(long, value_name = "URL", value_parser = relay_url)]
    pub relay_url: Option<String>,
    /// Print one JSON object with all addresses once it serves
    #[arg(long)]
    pub json: bool,
}

fn web_url(url: &str) -> Result<String, String> {
    let url = settings::normalised(url).map_err(|_| "an http:// or https:// URL, such as https://viewport.example".to_owned())?;
    let has_path = url.split_once("://").is_some_and(|(_, rest)| rest.trim_end_matches('/').contains('/'));
    if has_path { Err("the platform needs a host name of its own: a URL without a path".to_owned()) } else { Ok(url) }
}

fn relay_url(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("ws://").or_else(|| url.strip_prefix("wss://"));
    let is_one = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if is_one { Ok(url.to_owned()) } else { Err("a ws:// or wss:// URL, such as wss://relay.viewport.example/ws".to_owned()) }
}

impl ServeArgs {
    /// What clap cannot say: a listening address that clients cannot connect to needs one that they can.
    pub(crate) fn check(&self) -> Result<(), clap::Error> {
        let pairs = [(self.listen, &self.public_url, "--public-url"), (self.relay_listen, &self.relay_url, "--relay-url")];
        for (listen, url, option) in pairs {
            if listen.ip().is_unspecified() && url.is_none() {
                let message = format!("clients cannot connect to {listen}: say with {option} how it is reached");
                return Err(Cli::command().error(ErrorKind::MissingRequiredArgument, message));
            }
        }
        Ok(())
    }
}

pub(super) const DEMO_HELP: &str = "\
Starts a platform, a relay and a daemon on this machine, pairs them for real, runs a command under `vpd run` and \
watches it with `vpd watch`. Succeeds only when both sides are equal byte for byte and no plaintext was found at \
the servers.

Examples:
  vpd demo
  vpd demo -- make test
  vpd demo --fault relay-restart
  vpd demo --keep";

/// `vpd demo`.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Stay up afterwards, and say which pages to open and what to type
    #[arg(long)]
    pub keep: bool,
    /// Break something in the middle of the stream
    #[arg(long, value_name = "FAULT")]
    pub fault: Option<Fault>,
    /// The command to run [default: a short shell session]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// What can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Kill the relay, without a warning, and start it again
    RelayRestart,
}
