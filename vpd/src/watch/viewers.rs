//! `vpd viewers`: the pairings by which this user watches, and dropping one of them.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use owo_colors::OwoColorize as _;
use proto_core::{
    Reason,
    api::Workspace,
    device::{
        files::{Config, Document as _, OrganizationKeyFile},
        watcher::Goal,
    },
    effect::StateFile,
};
use serde::Serialize;

use super::{Aim, INTERRUPTED, Run, device::Device, run, screen::Screen};
use crate::{
    cli::{DropArgs, ViewersArgs, ViewersCommand},
    command::question,
    failure::Failure,
    home::Home,
    plain::Line,
};

/// One pairing of the viewer.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    org: Workspace,
    relay: String,
    machine: String,
    /// What it holds of the organization's key.
    key: Key,
}

/// What a viewer holds of its organization's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    /// All of it: it opens what was sealed so far, and hands the key on.
    Held,
    /// It knows of it, and waits for another viewer that holds it.
    Awaited,
    /// It knows of none.
    None,
}

impl Key {
    const fn says(self) -> &'static str {
        match self {
            Self::Held => "holds the organization's key",
            Self::Awaited => "waits for the organization's key",
            Self::None => "knows no key of the organization yet",
        }
    }
}

/// Lists the pairings, or drops one.
pub(crate) async fn viewers(home: &Home, args: &ViewersArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        Some(ViewersCommand::Drop(args)) => drop_one(home, args).await,
        None => list(home, args.json).map(|()| ExitCode::SUCCESS),
    }
}

fn list(home: &Home, json: bool) -> anyhow::Result<()> {
    let rows = rows(home)?;
    let mut out = anstream::stdout().lock();
    if json {
        let page = serde_json::json!({ "schema": 1, "viewers": rows });
        writeln!(out, "{}", serde_json::to_string_pretty(&page)?)?;
    } else if rows.is_empty() {
        anstream::eprintln!("This user watches nothing yet. next: {}", "vpd watch".cyan());
    } else {
        let width = rows.iter().map(|row| Line(&row.org.name).to_string().chars().count()).max().unwrap_or(0);
        for row in rows {
            let name = format!("{:width$}", Line(&row.org.name).to_string());
            writeln!(out, "{}  {}  {}", name.bold(), Line(&row.relay), row.key.says())?;
        }
    }
    Ok(())
}

/// From the viewer's files: it may be in use meanwhile.
fn rows(home: &Home) -> Result<Vec<Row>, Failure> {
    let files = io_engine::Home::at(home.viewer());
    let unreadable = |error: io_engine::FileError| Failure::about(error.reason(), &error);
    let config = files.read(&StateFile::Config).map_err(unreadable)?;
    let bindings = config.map(|bytes| Config::parse(bytes.expose())).transpose()?.unwrap_or_default().bindings;
    let keys = files.organization_keys().map_err(unreadable)?;
    // One that cannot be read is none, as it is for `vpd watch`.
    let keys: Vec<_> = keys.iter().filter_map(|(_, bytes)| OrganizationKeyFile::parse(bytes.expose()).ok()).collect();
    let key = |binding: &proto_core::device::files::BindingRecord| {
        let file = keys.iter().find(|file| file.workspace_id == binding.workspace_id && !file.statements.is_empty());
        file.map_or(Key::None, |file| if file.generations.len() == file.statements.len() { Key::Held } else { Key::Awaited })
    };
    let row = |binding: proto_core::device::files::BindingRecord| Row {
        key: key(&binding),
        org: Workspace { id: binding.workspace_id, slug: binding.slug, name: binding.name },
        relay: binding.relay.url,
        machine: binding.machine_id.to_string(),
    };
    Ok(bindings.into_iter().map(row).collect())
}

async fn drop_one(home: &Home, args: &DropArgs) -> anyhow::Result<ExitCode> {
    let rows = rows(home)?;
    let orgs: Vec<_> = rows.iter().map(|row| row.org.clone()).collect();
    let org = Workspace::pick(args.org.as_deref(), &orgs).map_err(|reason| not_this(reason, args))?;
    let holds = rows.iter().any(|row| row.org.id == org.id && row.key == Key::Held);
    if holds && !args.yes && !is_wanted(org)? {
        anstream::eprintln!("Nothing was changed.");
        return Ok(ExitCode::SUCCESS);
    }
    let device = Device::open(home)?;
    let screen = Screen::new(false, false);
    let Run { seen, failed, .. } = run(home, &device, Some(org.id.as_str()), &Aim::at(Goal::Leave), screen).await?;
    match failed {
        Some(reason) => Err(seen.failure(reason).into()),
        None if seen.is_interrupted => Ok(ExitCode::from(INTERRUPTED)),
        None => {
            writeln!(anstream::stdout(), "{} This user no longer watches {}.", "✓".green(), Line(&org.name).bold())?;
            anstream::eprintln!("Its row stays on the workspace's machines page until it is revoked there.");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Why there is no pairing to drop.
fn not_this(reason: Reason, args: &DropArgs) -> Failure {
    let cause = match reason {
        Reason::NotPaired => "No vpd watch of this user was ever approved, or its pairing was dropped.",
        Reason::OrgAmbiguous => "This user watches several organizations.",
        _ => return Failure { remedy: Some("vpd viewers   (it names them)".into()), ..about(reason, args) },
    };
    Failure { cause: Some(cause), remedy: Some("vpd viewers   (it names them)".into()), ..about(reason, args) }
}

fn about(reason: Reason, args: &DropArgs) -> Failure {
    args.org.as_ref().map_or_else(|| reason.into(), |org| Failure::about(reason, org))
}

/// Says what goes with the pairing, and asks. Without a terminal the answer is no: `--yes` says otherwise.
fn is_wanted(org: &Workspace) -> io::Result<bool> {
    anstream::eprintln!(
        "This viewer holds the key of {}. Where no other viewing device holds it, what was sealed to it cannot be opened any more.",
        Line(&org.name).bold()
    );
    let answer = question::ask("Drop it?")?;
    if answer.is_none() {
        anstream::eprintln!("To drop it all the same: {}", "vpd viewers drop --yes".cyan());
    }
    Ok(answer.unwrap_or(false))
}
