//! `vpd status --keys`: what people compare, and what cannot be opened without this machine.

use std::io::Write as _;

use owo_colors::OwoColorize as _;
use proto_core::{
    Reason,
    device::{
        control::{BindingRow, KeyRow},
        files::{Config, Document as _, OrganizationKeyFile},
    },
    effect::StateFile,
};
use serde::Serialize;

use crate::{client::Client, failure::Failure, home::Home, plain::Line};

/// What this user's viewer knows of one organization's key.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ViewerRow {
    org: String,
    key: KeyRow,
    /// Whether it can open what is sealed to the newest generation.
    is_held: bool,
}

/// Prints the organizations' keys as the daemon and this user's viewer know them. Either may be missing; not both.
pub(super) async fn show(home: &Home, as_json: bool) -> anyhow::Result<()> {
    let viewer = viewer_rows(home)?;
    let bindings = match Client::of(home).status().await {
        Ok(report) => Some(report.bindings),
        Err(Failure { reason: Reason::DaemonNotRunning, .. }) if !viewer.is_empty() => None,
        Err(failure) => return Err(failure.into()),
    };
    let mut out = anstream::stdout().lock();
    if as_json {
        let rows = bindings.unwrap_or_default();
        let page = serde_json::json!({ "bindings": rows, "viewer": viewer });
        writeln!(out, "{}", serde_json::to_string_pretty(&page)?)?;
    } else {
        out.write_all(render(bindings.as_deref(), &viewer).as_bytes())?;
    }
    Ok(())
}

/// From the viewer's files, which are there whether it runs or not.
fn viewer_rows(home: &Home) -> Result<Vec<ViewerRow>, Failure> {
    let files = io_engine::Home::at(home.viewer());
    let unreadable = |error: io_engine::FileError| Failure::about(error.reason(), &error);
    let config = files.read(&StateFile::Config).map_err(unreadable)?;
    let bindings = config.map(|bytes| Config::parse(bytes.expose())).transpose()?.unwrap_or_default().bindings;
    let mut rows = Vec::new();
    for (_, bytes) in files.organization_keys().map_err(unreadable)? {
        let file = OrganizationKeyFile::parse(bytes.expose())?;
        let lineage = file.lineage()?;
        let Some(fingerprint) = lineage.fingerprint() else { continue };
        let named = bindings.iter().find(|binding| binding.workspace_id == file.workspace_id);
        rows.push(ViewerRow {
            org: named.map_or_else(|| file.workspace_id.to_string(), |binding| binding.name.clone()),
            is_held: file.generations.len() == file.statements.len(),
            key: KeyRow { generation: lineage.generation(), fingerprint },
        });
    }
    Ok(rows)
}

fn render(bindings: Option<&[BindingRow]>, viewer: &[ViewerRow]) -> String {
    let mut lines = Vec::new();
    match bindings {
        Some([]) => lines.push(format!("Not paired. {} {}", "next:".bold(), "vpd pair".cyan())),
        Some(bindings) => lines.extend(bindings.iter().flat_map(binding_lines)),
        None => lines.push("The daemon is not running.".to_owned()),
    }
    if !viewer.is_empty() {
        lines.push("This user's viewer:".to_owned());
    }
    for row in viewer {
        let held = if row.is_held { "" } else { "  not handed to this viewer yet" };
        lines.push(format!("{}{held}", key_line(&row.org, &row.key)));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn binding_lines(binding: &BindingRow) -> Vec<String> {
    let mut lines = vec![match &binding.key {
        Some(key) => key_line(&binding.org.name, key),
        None => format!("{}  none yet: the first {} founds it", Line(&binding.org.name).bold(), "vpd watch".cyan()),
    }];
    if let Some(why) = binding.key_reason {
        lines.push(format!("  {}", format!("{why} ({})", why.code()).yellow()));
        lines.push(format!("  {} {}", "next:".bold(), why.next().cyan()));
    }
    if binding.without_envelope > 0 {
        lines.push(format!("  {}", unsealed(binding.without_envelope)));
    }
    lines
}

fn key_line(org: &str, key: &KeyRow) -> String {
    format!("{}  generation {}  {}", Line(org).bold(), key.generation, key.fingerprint)
}

/// What people should know of sessions that are not sealed to the organization's key.
fn unsealed(sessions: usize) -> String {
    let (they, are) = if sessions == 1 { ("session", "is") } else { ("sessions", "are") };
    format!("{sessions} {they} {are} not sealed to it: only this machine has what opens them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::fixtures::binding;

    fn key() -> KeyRow {
        KeyRow { generation: 2, fingerprint: "AAAA-BBBB".into() }
    }

    fn plain(bindings: Option<&[BindingRow]>, viewer: &[ViewerRow]) -> String {
        anstream::adapter::strip_str(&render(bindings, viewer)).to_string()
    }

    /// D15: what people compare, what is wrong with it, and what would be lost with this machine.
    #[test]
    fn keys_are_shown_with_what_they_do_not_open() {
        let mut bindings = [
            BindingRow { key: Some(key()), without_envelope: 1, ..binding("Acme Engineering") },
            BindingRow { without_envelope: 3, ..binding("Personal") },
        ];
        bindings[0].key_reason = Some(Reason::OrganizationKeyForked);
        let viewer = [true, false].map(|is_held| ViewerRow { org: "Acme Engineering".into(), key: key(), is_held });
        let expected = "\
Acme Engineering  generation 2  AAAA-BBBB
  the organization's key does not follow from the one this device knows (organization_key_forked)
  next: compare the fingerprint with another member's   (vpd status --keys); tell the platform's operator
  1 session is not sealed to it: only this machine has what opens them
Personal  none yet: the first vpd watch founds it
  3 sessions are not sealed to it: only this machine has what opens them
This user's viewer:
Acme Engineering  generation 2  AAAA-BBBB
Acme Engineering  generation 2  AAAA-BBBB  not handed to this viewer yet
";
        assert_eq!(plain(Some(&bindings), &viewer), expected);
        assert_eq!(plain(Some(&[]), &[]), "Not paired. next: vpd pair\n");
        assert!(plain(None, &viewer).starts_with("The daemon is not running.\nThis user's viewer:\n"));
    }
}
