//! `vpd bind`, `vpd unbind` and `vpd unpair`: one question to the daemon each.

use std::{
    io::Write as _,
    path::{self, Path},
};

use owo_colors::OwoColorize as _;
use proto_core::Reason;

use super::{directories, lifecycle, question, unreadable};
use crate::{
    cli::{BindArgs, UnbindArgs, UnpairArgs},
    client::Client,
    control::{BindRequest, UnbindRequest, UnpairRequest},
    failure::Failure,
    home::{self, Home},
    plain::Line,
};

/// Binds a directory.
pub(crate) async fn bind(home: &Home, args: &BindArgs) -> anyhow::Result<()> {
    let directory = existing(&args.path)?;
    lifecycle::ensure_running(home).await?;
    let request = BindRequest { directory, org: args.org.clone(), recursive: args.recursive, confirmed: args.yes };
    let client = Client::of(home);
    let bound = match client.bind(&request).await {
        Err(refused) if refused.reason == Reason::BindReplaces => {
            let detail = replaced(&client, &request.directory).await?;
            let question = format!("{detail} Bind it all the same?");
            let refused = Failure { detail: Some(detail), ..refused };
            let again = BindRequest { confirmed: true, ..request };
            let Some(bound) = question::confirm(refused, &question, client.bind(&again)).await? else { return Ok(()) };
            bound
        }
        other => other?,
    };
    let below = if args.recursive { "/..." } else { "" };
    if is_wide(Path::new(&bound.directory)) {
        anstream::eprintln!(
            "{} this covers more than a project: every session below it would stream.",
            "warning:".yellow().bold()
        );
    }
    let directory = home::shorten(Path::new(&bound.directory));
    writeln!(anstream::stdout(), "{} {}{below} → {}", "✓".green(), Line(&directory), Line(&bound.org.name).bold())?;
    anstream::eprintln!("Sessions that start there under `vpd run -- COMMAND` stream from now on. Undo: vpd unbind");
    Ok(())
}

/// What the directory is bound to.
async fn replaced(client: &Client, directory: &str) -> Result<String, Failure> {
    let bound = client.status().await?.directories.into_iter().find(|row| row.path == directory);
    let org = bound.map_or_else(|| "another organization".to_owned(), |row| row.org);
    Ok(format!("{} is bound to {}.", Line(&home::shorten(Path::new(directory))), Line(&org)))
}

/// Whether the user's whole home lies in the directory, or everything does.
fn is_wide(directory: &Path) -> bool {
    let home = home::user_home().and_then(|home| home.canonicalize().ok());
    directory.parent().is_none() || home.is_some_and(|home| home.starts_with(directory))
}

/// Takes a binding back. The directory may be gone by now.
pub(crate) async fn unbind(home: &Home, args: &UnbindArgs) -> anyhow::Result<()> {
    let directory = text(&args.path, &path::absolute(&args.path)?)?;
    let unbound = Client::of(home).unbind(&UnbindRequest { directory }).await?;
    let shown = home::shorten(Path::new(&unbound.directory));
    let shown = Line(&shown);
    match directories::bound_by(home, &unbound.directory) {
        Some(above) if above != unbound.directory => {
            let above = home::shorten(Path::new(&above));
            writeln!(anstream::stdout(), "{} {shown} is not bound by itself any more.", "✓".green())?;
            anstream::eprintln!("Sessions there still stream, because {0} is bound. To end that: vpd unbind {0}", Line(&above));
        }
        _ => writeln!(anstream::stdout(), "{} No session that starts in {shown} from now on streams.", "✓".green())?,
    }
    anstream::eprintln!("Sessions that run go on to their end where they began; vpd status lists them.");
    Ok(())
}

/// Ends a pairing.
pub(crate) async fn unpair(home: &Home, args: &UnpairArgs) -> anyhow::Result<()> {
    lifecycle::ensure_running(home).await?;
    let client = Client::of(home);
    let is_loss = unreadable::warn(&client, args.org.as_deref(), None).await?;
    if is_loss && !args.yes && question::ask("Unpair all the same?")? == Some(false) {
        anstream::eprintln!("Nothing was changed.");
        return Ok(());
    }
    let unpaired = client.unpair(&UnpairRequest { org: args.org.clone() }).await?;
    writeln!(anstream::stdout(), "{} No longer paired with {}.", "✓".green(), Line(&unpaired.org.name).bold())?;
    Ok(())
}

/// The absolute path of a directory that is there.
fn existing(path: &Path) -> Result<String, Failure> {
    let missing =
        |what: &dyn std::fmt::Display| Failure::about(Reason::DirectoryMissing, format_args!("{}: {what}", path.display()));
    let canonical = path.canonicalize().map_err(|error| missing(&error))?;
    if !canonical.is_dir() {
        return Err(missing(&"not a directory"));
    }
    text(path, &canonical)
}

fn text(given: &Path, path: &Path) -> Result<String, Failure> {
    let no_text = || Failure::about(Reason::DirectoryMissing, format_args!("{}: the path is no UTF-8 text", given.display()));
    path.to_str().map(str::to_owned).ok_or_else(no_text)
}
