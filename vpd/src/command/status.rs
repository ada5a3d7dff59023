//! `vpd status`: the daemon, one row per binding, one per bound directory.

use std::{collections::BTreeMap, io::Write, path::Path};

use owo_colors::{OwoColorize as _, Style};
use proto_core::Reason;

use super::{
    directories::{self, Standing},
    keys,
};
use crate::{
    cli::StatusArgs,
    client::Client,
    control::{BindingRow, LinkState, Report, SessionRow, SpoolRow},
    home::{self, Home},
    obstacle,
    plain::Line,
};

/// Asks the daemon and prints what it says.
pub(crate) async fn status(home: &Home, args: &StatusArgs) -> anyhow::Result<()> {
    if args.keys {
        return keys::show(home, args.json).await;
    }
    let mut report = Client::of(home).status().await?;
    let directories = directories::standing(home, std::mem::take(&mut report.directories));
    let mut out = anstream::stdout().lock();
    if args.json {
        let mut page = serde_json::to_value(&report)?;
        page["directories"] = serde_json::to_value(&directories)?;
        writeln!(out, "{}", serde_json::to_string_pretty(&page)?)?;
    } else {
        out.write_all(render(&report, &directories).as_bytes())?;
    }
    Ok(())
}

/// The page, in the layout of the specification (S141 to S150).
fn render(report: &Report, directories: &[Standing]) -> String {
    let mut lines = vec![format!("Daemon: {} · v{} · {}", Line(&report.name).bold(), report.version, "running".green())];
    lines.push(format!("Org bindings ({}):", report.bindings.len()));
    lines.extend(binding_rows(&report.bindings));
    lines.push(format!("Bound directories ({}):", directories.len()));
    lines.extend(directory_rows(directories));
    if !report.sessions.is_empty() {
        lines.push(format!("Streaming sessions ({}):", report.sessions.len()));
        lines.extend(session_rows(&report.sessions));
    }
    if !report.spool.is_empty() {
        lines.push("Kept here until the relay takes it:".to_owned());
        lines.extend(spool_rows(&report.spool));
    }
    lines.extend(remarks(report));
    lines.push(String::new());
    lines.join("\n")
}

/// One line per binding, for `vpd pair` too when it refuses.
pub(crate) fn binding_rows(bindings: &[BindingRow]) -> Vec<String> {
    let row = |binding: &BindingRow| [Line(&binding.org.name).to_string(), Line(&binding.relay).to_string(), state(binding)];
    aligned(&bindings.iter().map(row).collect::<Vec<_>>())
}

fn directory_rows(directories: &[Standing]) -> Vec<String> {
    let row = |standing: &Standing| {
        let path = home::shorten(Path::new(&standing.bound.path));
        let below = if standing.bound.recursive { "/..." } else { "" };
        let reason = standing
            .reason
            .map_or_else(String::new, |why| format!(" · streams nothing: {why} ({})", why.code()).yellow().to_string());
        [format!("{}{below}", Line(path.trim_end_matches('/'))), format!("→ {}{reason}", Line(&standing.bound.org))]
    };
    aligned(&directories.iter().map(row).collect::<Vec<_>>())
}

fn session_rows(sessions: &[SessionRow]) -> Vec<String> {
    let row = |session: &SessionRow| {
        let reason =
            session.reason.map_or_else(String::new, |why| format!(" · waits: {why} ({})", why.code()).yellow().to_string());
        [Line(&session.command).to_string(), format!("→ {}{reason}", Line(&session.org))]
    };
    aligned(&sessions.iter().map(row).collect::<Vec<_>>())
}

/// One line per organization.
fn spool_rows(spool: &[SpoolRow]) -> Vec<String> {
    let mut orgs = BTreeMap::<_, (u64, u64)>::new();
    for row in spool {
        let (sessions, bytes) = orgs.entry(&row.org).or_default();
        *sessions += 1;
        *bytes += row.bytes;
    }
    let row = |(org, (sessions, bytes)): (&String, (u64, u64))| {
        let plural = if sessions == 1 { "" } else { "s" };
        [Line(org).to_string(), format!("{} of {sessions} session{plural}", amount(bytes))]
    };
    aligned(&orgs.into_iter().map(row).collect::<Vec<_>>())
}

/// Bytes as people say them.
pub(crate) fn amount(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

fn state(binding: &BindingRow) -> String {
    let (text, style) = match binding.link {
        LinkState::Connecting => ("connecting".to_owned(), Style::new().yellow()),
        LinkState::Connected => ("connected".to_owned(), Style::new().green()),
        LinkState::Reconnecting { attempt, of } => (format!("reconnecting ({attempt}/{of})"), Style::new().yellow()),
        LinkState::Disconnected => ("disconnected".to_owned(), Style::new().red()),
    };
    let draining = if binding.draining { ", draining: goes when its last session ends" } else { "" };
    format!("{}{draining}", text.style(style))
}

/// Why a binding is not connected, and what to do about it (S222); what waits; what to do first.
fn remarks(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for binding in &report.bindings {
        // What was in the way of a link that is up is over, but for what the relay itself says on it.
        let is_over = |reason| binding.link == LinkState::Connected && reason != Reason::RelayCannotStore;
        if let Some(reason) = binding.reason.filter(|reason| !is_over(*reason)) {
            let met = obstacle::met(binding.obstacle, binding.proxy.as_ref());
            let remedy = binding.obstacle.and_then(|met| obstacle::remedy(met, binding.proxy.as_ref()));
            let next = remedy.unwrap_or(reason.next().into());
            lines.push(format!("{}: {reason}{met} ({})", Line(&binding.org.name), reason.code()));
            lines.push(format!("  {} {}", "next:".bold(), next.cyan()));
        }
    }
    lines.extend(clock_remark(&report.bindings));
    if let Some(pairing) = &report.pairing {
        lines.push(format!("A pairing waits for its approval, for {} more:", minutes(pairing.expires_in)));
        lines.push(format!("  {}", pairing.url.cyan()));
    } else if report.bindings.is_empty() {
        lines.push(format!("Not paired. {} {}", "next:".bold(), "vpd pair".cyan()));
    }
    lines
}

/// That this machine's clock is wrong: nothing fails because of it, but for certificates and what else goes by that clock.
fn clock_remark(bindings: &[BindingRow]) -> Vec<String> {
    let wrong = bindings.iter().filter_map(|binding| Some((binding, binding.clock_ahead?)));
    let Some((binding, ahead)) = wrong.max_by_key(|(_, ahead)| ahead.unsigned_abs()) else { return Vec::new() };
    let (amount, side) = (span(ahead.unsigned_abs()), if ahead > 0 { "ahead of" } else { "behind" });
    vec![
        format!("This machine's clock is {amount} {side} the platform of {}, whose time is gone by.", Line(&binding.org.name)),
        format!("  {} {}", "next:".bold(), "timedatectl set-ntp true".cyan()),
    ]
}

/// A span of time in its largest unit, rounded down.
fn span(seconds: u64) -> String {
    let (amount, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    if amount == 1 { format!("1 {unit}") } else { format!("{amount} {unit}s") }
}

/// A span of time as people say it.
pub(crate) fn minutes(seconds: u64) -> String {
    match seconds.div_ceil(60) {
        1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

/// Rows with their columns one below the other, two spaces apart and in.
fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("  {cell:width$}"));
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::fixtures,
        control::{DirectoryRow, PendingPairing},
    };

    fn binding(name: &str, relay: &str, link: LinkState) -> BindingRow {
        BindingRow { relay: relay.into(), link, ..fixtures::binding(name) }
    }

    fn directory(path: &str, recursive: bool, org: &str) -> DirectoryRow {
        DirectoryRow { path: path.into(), recursive, org: org.into() }
    }

    fn report() -> Report {
        let home = home::user_home().unwrap();
        let below = |path: &str| home.join(path).display().to_string();
        Report {
            name: "mehr-mbp".into(),
            version: "0.2.1".into(),
            pid: 7,
            api_endpoint: String::new(),
            api_proxy: None,
            bindings: vec![
                binding("Acme Engineering", "ws://relay.acme.example/ws", LinkState::Connected),
                binding("Personal", "ws://relay.getviewport.com/ws", LinkState::Connected),
                binding("OSS Maintainers", "ws://relay.getviewport.com/ws", LinkState::Reconnecting { attempt: 1, of: 5 }),
            ],
            directories: vec![
                directory(&below("work/api"), false, "Acme Engineering"),
                directory(&below("work/web"), false, "Acme Engineering"),
                directory(&below("personal"), true, "Personal"),
                directory(&below("oss/relay"), false, "OSS Maintainers"),
            ],
            sessions: Vec::new(),
            spool: Vec::new(),
            pairing: None,
        }
    }

    fn plain(report: &Report) -> String {
        let stands = |bound: &DirectoryRow| Standing { bound: bound.clone(), reason: None };
        plain_with(report, &report.directories.iter().map(stands).collect::<Vec<_>>())
    }

    fn plain_with(report: &Report, directories: &[Standing]) -> String {
        anstream::adapter::strip_str(&render(report, directories)).to_string()
    }

    /// S139 to S150: the example of the specification, line by line.
    #[test]
    fn the_page_has_the_layout_of_the_specification() {
        let expected = "\
Daemon: mehr-mbp · v0.2.1 · running
Org bindings (3):
  Acme Engineering  ws://relay.acme.example/ws     connected
  Personal          ws://relay.getviewport.com/ws  connected
  OSS Maintainers   ws://relay.getviewport.com/ws  reconnecting (1/5)
Bound directories (4):
  ~/work/api      → Acme Engineering
  ~/work/web      → Acme Engineering
  ~/personal/...  → Personal
  ~/oss/relay     → OSS Maintainers
";
        assert_eq!(plain(&report()), expected);
    }

    /// S222: the relay's own reason reaches the person, with what to do.
    #[test]
    fn a_binding_that_is_not_connected_says_why() {
        let mut report = report();
        report.bindings[2].link = LinkState::Disconnected;
        report.bindings[2].reason = Some(Reason::NoisePskInvalid);
        report.bindings[0].reason = Some(Reason::RelayClosed);
        report.bindings[1].draining = true;
        let text = plain(&report);
        assert!(text.contains("OSS Maintainers: Noise handshake failed: invalid psk (noise_psk_invalid)"), "{text}");
        assert!(text.contains(Reason::NoisePskInvalid.next()), "{text}");
        assert!(!text.contains("relay_closed"), "what is over is not shown: {text}");
        assert!(text.contains("connected, draining"), "{text}");
    }

    #[test]
    fn an_empty_daemon_says_what_to_do_first() {
        let mut report = Report { bindings: Vec::new(), directories: Vec::new(), ..report() };
        assert!(plain(&report).ends_with("Bound directories (0):\nNot paired. next: vpd pair\n"));
        let pairing = PendingPairing { code: "BCDF2345".into(), url: "https://x/pair?code=BCDF2345".into(), expires_in: 61 };
        report.pairing = Some(pairing);
        assert!(plain(&report).ends_with("approval, for 2 minutes more:\n  https://x/pair?code=BCDF2345\n"));
    }

    /// S148: a directory whose file is gone is not listed as if it streamed.
    #[test]
    fn a_directory_that_streams_nothing_says_why() {
        let gone = Standing { bound: directory("/srv/a", false, "Acme"), reason: Some(Reason::LocalFileMissing) };
        let text = plain_with(&report(), &[gone]);
        assert!(text.contains("/srv/a  → Acme · streams nothing: this directory was bound"), "{text}");
        assert!(text.contains("(local_file_missing)"), "{text}");
    }

    /// D17: what waits on this machine is shown, per organization.
    #[test]
    fn what_waits_for_the_relay_is_shown() {
        let row = |org: &str, bytes| SpoolRow { session: "a".into(), org: org.into(), bytes };
        let spool = vec![row("Personal", 2_500_000), row("Acme Engineering", 1_200), row("Personal", 2_600_000)];
        let text = plain(&Report { spool, ..report() });
        let page = "Kept here until the relay takes it:\n  Acme Engineering  1 kB of 1 session\n  Personal          5 MB of 2 sessions\n";
        assert!(text.ends_with(page), "{text}");
    }

    /// A relay that is reached and stores nothing is not shown as if all were well.
    #[test]
    fn a_relay_that_cannot_store_is_named() {
        let mut report = report();
        report.bindings[0].reason = Some(Reason::RelayCannotStore);
        let text = plain(&report);
        assert!(
            text.contains("Acme Engineering: the relay cannot store what it is sent (relay_cannot_store)\n  next: ask the relay"),
            "{text}"
        );
    }

    /// D19: how far off this machine's clock is, by the worst of what is known.
    #[test]
    fn a_clock_that_is_wrong_is_named() {
        let mut report = report();
        assert!(!plain(&report).contains("clock"));
        report.bindings[0].clock_ahead = Some(90);
        report.bindings[1].clock_ahead = Some(-7_300);
        let said = "This machine's clock is 2 hours behind the platform of Personal, whose time is gone by.\n  next: timedatectl set-ntp true\n";
        assert!(plain(&report).ends_with(said), "{}", plain(&report));
        report.bindings[1].clock_ahead = None;
        assert!(plain(&report).contains("90 seconds ahead of the platform of Acme Engineering"), "{}", plain(&report));
        assert_eq!([span(1), span(119), span(3_660), span(172_800)], ["1 second", "119 seconds", "61 minutes", "2 days"]);
    }

    #[test]
    fn amounts_are_readable() {
        assert_eq!([amount(999), amount(1_500), amount(2_000_000)], ["999 bytes", "1 kB", "2 MB"]);
    }

    #[test]
    fn sessions_are_listed_while_they_stream() {
        let session = SessionRow { id: "a".into(), org: "Personal".into(), command: "cargo test".into(), reason: None };
        let declined = SessionRow { reason: Some(Reason::SessionLimit), command: "top".into(), ..session.clone() };
        let text = plain(&Report { sessions: vec![session, declined], ..report() });
        let rows = "Streaming sessions (2):\n  cargo test  → Personal\n  top         → Personal · waits: the relay takes no more sessions";
        assert!(text.contains(rows) && text.ends_with("(session_limit)\n"), "{text}");
    }
}
