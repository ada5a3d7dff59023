//! Arguments of `vpd watch`, `vpd sessions` and `vpd viewers`.

use clap::{Args, Subcommand};
use proto_core::device::watcher::choice::Prefix;

use super::organization;

pub(super) const WATCH_HELP: &str = "\
Without a session: the only one that is live, or the only one there is, or the next one that starts. Where several \
are live, a terminal asks which; without a terminal they are listed, with exit code 3. The viewer is a device of \
its own and pairs on its first use.

Examples:
  vpd watch
  vpd watch 2nyr6c         the beginning of an id is enough; vpd sessions lists them
  vpd watch --latest       the one that started last
  vpd watch --machine mbp
  vpd watch --raw --live > session.bytes";

/// `vpd watch`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag on the command line")]
pub(crate) struct WatchArgs {
    /// Which session: its id, or as much of its beginning as no other one has
    #[arg(conflicts_with_all = ["live", "latest", "machine"])]
    pub session: Option<Prefix>,
    /// The only session that is live
    #[arg(long, conflicts_with = "latest")]
    pub live: bool,
    /// The session that started last, live or not
    #[arg(long)]
    pub latest: bool,
    /// Only sessions of the machine of this name
    #[arg(long, value_name = "NAME")]
    pub machine: Option<String>,
    /// Of which organization, by id or slug; may be left out while this viewer is paired with one only
    #[arg(long, value_name = "ID_OR_SLUG", value_parser = organization)]
    pub org: Option<String>,
    /// The same as `vpd sessions`
    #[arg(long, hide = true, conflicts_with_all = ["session", "live", "latest", "machine"])]
    pub list: bool,
    /// One JSON object per line
    #[arg(long, hide = true, requires = "list")]
    pub json: bool,
    /// Nothing but the bytes that the command showed
    #[arg(long, conflicts_with = "list")]
    pub raw: bool,
    /// Say on the standard error how it goes, with --raw too
    #[arg(long, short)]
    pub verbose: bool,
}

pub(super) const SESSIONS_HELP: &str = "\
Live sessions come first, then the newest. live: its machine is connected and goes on; away: it has not ended, and \
its machine is not connected; ended: its command ended; cut: its streaming ended before its command.

With --json: {\"schema\": 1, \"sessions\": [{\"session\", \"state\", \"started\", \"active\", \"ended\", \"seconds\", \"bytes\", \
\"records\", \"machine\", \"owner\", \"command\", \"directory\", \"readable\", \"reason\"}]}. Times are RFC 3339 in UTC; what is \
not known is null; members may be added.

Examples:
  vpd sessions
  vpd sessions --json | jq -r '.sessions[] | select(.state == \"live\") | .session'";

/// `vpd sessions`.
#[derive(Args, Debug)]
pub(crate) struct SessionsArgs {
    /// Of which organization, by id or slug; may be left out while this viewer is paired with one only
    #[arg(long, value_name = "ID_OR_SLUG", value_parser = organization)]
    pub org: Option<String>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

pub(super) const VIEWERS_HELP: &str = "\
A viewer is a device of its own, paired by the first `vpd watch` of an organization. It is dropped on this machine alone; \
revoke it on the workspace's machines page when the machine is lost.

Examples:
  vpd viewers
  vpd viewers drop --org acme";

/// `vpd viewers`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ViewersArgs {
    #[command(subcommand)]
    pub command: Option<ViewersCommand>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What there is to do with them.
#[derive(Debug, Subcommand)]
pub(crate) enum ViewersCommand {
    /// Stop watching an organization: the pairing and its keys are erased here; asks where the organization's key goes with it
    Drop(DropArgs),
}

/// `vpd viewers drop`.
#[derive(Args, Debug)]
pub(crate) struct DropArgs {
    /// Which organization, by id or slug; may be left out while there is one only
    #[arg(long, value_name = "ID_OR_SLUG", value_parser = organization)]
    pub org: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}
