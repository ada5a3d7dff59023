//! The command line as clap sees it: names, arguments, help. What the commands do stands in [`crate::command`] and the other
//! folders.

mod serving;
mod watching;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, builder::styling};
use proto_core::{OrgId, api::is_name, device::pairing::MAX_LABEL_LEN};

use crate::command::explain::{self, Subject};
use serving::{DEMO_HELP, SERVE_HELP};
pub(crate) use serving::{DemoArgs, Fault, ServeArgs};
pub(crate) use watching::{DropArgs, SessionsArgs, ViewersArgs, ViewersCommand, WatchArgs};
use watching::{SESSIONS_HELP, VIEWERS_HELP, WATCH_HELP};

const STYLES: styling::Styles = styling::Styles::styled()
    .header(styling::AnsiColor::Green.on_default().bold())
    .usage(styling::AnsiColor::Green.on_default().bold())
    .literal(styling::AnsiColor::Cyan.on_default().bold())
    .placeholder(styling::AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
First steps:
  vpd pair                 trust an organization; opens nothing else
  vpd bind ~/work/api      let this directory stream to it
  vpd run -- COMMAND       run a command there; its terminal streams, end-to-end encrypted
  vpd demo                 see all of it in a few seconds, with nothing set up

Environment:
  VIEWPORT_HOME            where vpd keeps its files (default ~/.viewport)
  VIEWPORT_API_URL         the platform to pair with (default: daemon.api.endpoint of config.json)
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                           the way to platform and relay, as for curl (http:// and https:// proxies)
  SSL_CERT_FILE, SSL_CERT_DIR
                           certificate authorities instead of the system's
                           The daemon keeps these when it starts; one that is set and empty
                           is forgotten: HTTPS_PROXY= vpd restart
  NO_COLOR                 no colours, whatever the terminal can do

Exit codes:
  0 done, 1 something unforeseen, 2 wrong usage, 3 request, 4 pairing, 5 network, 6 credential,
  7 handshake, 8 workspace, 9 limit, 10 this machine; `vpd explain` lists every reason.
  `vpd run` ends with the exit status of its command.";

/// Stream terminal sessions from this machine to your organizations, end-to-end encrypted.
#[derive(Debug, Parser)]
#[command(name = "vpd", version, after_help = AFTER_HELP, styles = STYLES, max_term_width = 100)]
#[command(arg_required_else_help = true, subcommand_required = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// Everything `vpd` does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Trust an organization: approve this machine in the browser
    #[command(after_help = PAIR_HELP)]
    Pair(PairArgs),
    /// End a pairing: its sessions stop streaming at once and its keys are erased
    #[command(after_help = UNPAIR_HELP)]
    Unpair(UnpairArgs),
    /// Let a directory's sessions stream to an organization
    #[command(after_help = BIND_HELP)]
    Bind(BindArgs),
    /// Take a directory's binding back
    #[command(after_help = "Examples:\n  vpd unbind\n  vpd unbind ~/work/api")]
    Unbind(UnbindArgs),
    /// Run a command; where the directory is bound, its terminal streams
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// See a session, as it happens or as it was
    #[command(after_help = WATCH_HELP)]
    Watch(WatchArgs),
    /// List the sessions of an organization: what runs, what ran, where, since when
    #[command(after_help = SESSIONS_HELP)]
    Sessions(SessionsArgs),
    /// List the organizations that this user watches, or stop watching one
    #[command(after_help = VIEWERS_HELP)]
    Viewers(ViewersArgs),
    /// Show the daemon, its pairings and the bound directories
    #[command(after_help = "Examples:\n  vpd status\n  vpd status --json | jq '.bindings[].link.state'\n  vpd status --keys")]
    Status(StatusArgs),
    /// Start the daemon in the background
    #[command(after_help = "Example:\n  vpd start && vpd status")]
    Start,
    /// Stop the daemon; commands under `vpd run` go on
    #[command(after_help = "Example:\n  vpd stop")]
    Stop,
    /// Stop the daemon and start it again
    #[command(after_help = "Example:\n  vpd restart && vpd status")]
    Restart,
    /// Show the daemon's log
    #[command(after_help = LOGS_HELP)]
    Logs(LogsArgs),
    /// Run platform and relay for a small team, in one process
    #[command(after_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// See all of it in a few seconds: nothing to set up, nothing left behind
    #[command(after_help = DEMO_HELP)]
    Demo(DemoArgs),
    /// Say what a reason code means and what to do about it
    #[command(
        after_help = "Examples:\n  vpd explain noise_psk_invalid\n  vpd explain 4001        a WebSocket close code\n  vpd explain 9           an exit code\n  vpd explain             lists all of them"
    )]
    Explain(ExplainArgs),
    /// Run the daemon in the foreground
    #[command(hide = true)]
    Daemon(DaemonArgs),
    /// Keep a command of `vpd run` on its terminal
    #[command(hide = true)]
    Keep(KeepArgs),
    /// Copy the standard input to the standard output, for what outlives a command of `vpd run`
    #[command(hide = true)]
    Carry,
    /// Write docs/REASONS.md to the standard output
    #[command(hide = true)]
    ReasonsPage,
}

/// `vpd daemon`
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DaemonArgs {
    /// Leave the terminal; log to files
    #[arg(long)]
    pub detached: bool,
}

const PAIR_HELP: &str = "\
Pairing alone streams nothing; `vpd bind` does. Ctrl-C cancels.

Examples:
  vpd pair                 the first organization
  vpd pair --add           one more; the others stay
  vpd pair --org acme      that one, and no other
  vpd pair --name build-box   under that name
  vpd pair --replace       picked the wrong one? replaces the existing pairing
  vpd pair --cancel        gives up on a pairing that waits in another terminal";

/// `vpd pair`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag on the command line")]
pub(crate) struct PairArgs {
    /// Keep the existing pairings and add another; refreshes the pairing when it is for the same organization
    #[arg(long, conflicts_with = "replace")]
    pub add: bool,
    /// Drop the existing pairings: they take no new session and go when their running ones end
    #[arg(long)]
    pub replace: bool,
    /// Only this organization, by id or slug; one that is not paired yet is added
    #[arg(long, value_name = "ID_OR_SLUG", value_parser = organization)]
    pub org: Option<String>,
    /// How this machine calls itself there; its host name at the first organization, a name that says nothing at others
    #[arg(long, value_name = "NAME", value_parser = machine_name)]
    pub name: Option<String>,
    /// Cancel a pairing that waits for its approval
    #[arg(long, conflicts_with_all = ["add", "replace", "org", "name"])]
    pub cancel: bool,
    /// One JSON object per line: code, trouble, paired or failed
    #[arg(long, conflicts_with = "cancel")]
    pub json: bool,
}

/// An id or a slug, which is one as well (D4).
fn organization(text: &str) -> Result<String, String> {
    let wrong = |_| "an id or slug is 1 to 128 of A-Z a-z 0-9 . _ : -".to_owned();
    text.parse::<OrgId>().map(|_| text.to_owned()).map_err(wrong)
}

fn machine_name(name: &str) -> Result<String, String> {
    if is_name(name, MAX_LABEL_LEN) { Ok(name.to_owned()) } else { Err(format!("1 to {MAX_LABEL_LEN} visible characters")) }
}

const UNPAIR_HELP: &str = "\
Works offline. Records that already reached the organization stay there, and members can read those that are sealed to the \
organization's key; vpd says how many are not, and asks on a terminal.

Examples:
  vpd unpair               while there is only one pairing
  vpd unpair --org acme";

/// `vpd unpair`.
#[derive(Args, Debug)]
pub(crate) struct UnpairArgs {
    /// Which organization, by id or slug; may be left out while there is one only
    #[arg(long, value_name = "ID_OR_SLUG", value_parser = organization)]
    pub org: Option<String>,
    /// Do not ask when sessions become unreadable by it
    #[arg(long, short)]
    pub yes: bool,
}

const BIND_HELP: &str = "\
Writes PATH/.viewport/local.yaml, which git ignores. A file that came with a repository never counts.

Examples:
  vpd bind                              this directory
  vpd bind ~/work/api --org acme
  vpd bind ~/code --recursive           and every repository below it

A directory that is bound to another organization is asked about first; without a terminal, --yes answers.";

/// `vpd bind`.
#[derive(Args, Debug)]
pub(crate) struct BindArgs {
    /// The directory
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// To which organization, by id or slug; may be left out while there is one only
    #[arg(long, value_name = "ID_OR_SLUG", value_parser = organization)]
    pub org: Option<String>,
    /// Repositories nested below it too
    #[arg(long)]
    pub recursive: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// `vpd unbind`.
#[derive(Args, Debug)]
pub(crate) struct UnbindArgs {
    /// The directory
    #[arg(default_value = ".")]
    pub path: PathBuf,
}

const RUN_HELP: &str = "\
The terminal stays exactly as it would be without vpd. What the command shows is streamed, what is typed is \
not. The exit status is the command's; where a signal ended it, the same signal ends vpd run. Nothing that \
happens to the daemon or the network ends the command. Where nothing streams, vpd run becomes the command. \
A command that streams finds VPD_SESSION and VPD_ORG in its environment; vpd run below it only runs.

Examples:
  vpd run -- claude
  vpd run -- cargo test
  vpd run -- bash -l";

/// `vpd run`.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Say neither to whom it streams nor why it does not; what is lost on the way is told all the same
    #[arg(short, long)]
    pub quiet: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `vpd keep`
#[derive(Args, Debug)]
pub(crate) struct KeepArgs {
    /// Start the command in the background of its terminal
    #[arg(long)]
    pub background: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `vpd status`.
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// The whole report as one JSON object
    #[arg(long)]
    pub json: bool,
    /// The organizations' keys as this machine knows them: compare the fingerprints with another member's
    #[arg(long)]
    pub keys: bool,
}

const LOGS_HELP: &str = "\
Examples:
  vpd logs --since 2m | grep -i pair
  vpd logs --follow";

/// `vpd logs`.
#[derive(Args, Debug)]
pub(crate) struct LogsArgs {
    /// Only lines that are at most this old, such as 90s, 2m, 1h 30m, 7d
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub since: Option<Duration>,
    /// Go on with what is written from now on; Ctrl-C ends it
    #[arg(long, short)]
    pub follow: bool,
}

/// `vpd explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// A reason code, an exit code, the close code of a WebSocket, or the words of a log line; without it, all of them
    #[arg(value_name = "CODE", value_parser = explain::parse_subject)]
    pub code: Option<Subject>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}
