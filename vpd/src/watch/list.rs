//! The sessions of an organization, for people as a table and for programs as JSON.

use std::io::{self, Write as _};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use owo_colors::{OwoColorize as _, Style};
use proto_core::{
    Reason, SessionId, UnixTime,
    device::watcher::choice::{Entry, telling_length},
    wire::Standing,
};
use rustix::termios::tcgetwinsize;
use serde::Serialize;

use crate::{command::status::amount, plain::Line};

/// The version of the document that [`json`] prints; members may be added without another one.
const SCHEMA: u32 = 1;

/// The longest name that a table shows where it has to fit on a terminal.
const NAME: usize = 16;

/// The columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;

/// The heads of the columns; what runs in a session stands last, because it may be long.
const HEADS: [&str; 7] = ["SESSION", "STATE", "STARTED", "LASTED", "SIZE", "MACHINE", "COMMAND"];

/// All the sessions, as one document.
#[derive(Debug, Serialize)]
struct Document {
    schema: u32,
    sessions: Vec<Row>,
}

/// One session in it. What is not known is `null`.
#[derive(Debug, Serialize)]
struct Row {
    session: String,
    state: &'static str,
    started: Option<String>,
    active: Option<String>,
    ended: Option<String>,
    seconds: Option<u64>,
    bytes: u64,
    records: u64,
    machine: Option<String>,
    owner: Option<String>,
    command: Option<String>,
    directory: Option<String>,
    readable: bool,
    reason: Option<&'static str>,
}

impl Row {
    fn of(entry: &Entry, now: UnixTime) -> Self {
        let stamp = |at: UnixTime| moment(at).map(|at| at.to_string());
        let title = entry.title.as_ref();
        Self {
            session: entry.session.to_string(),
            state: entry.listing.standing.name(),
            started: entry.started().and_then(stamp),
            active: Some(entry.listing.active).filter(|at| at.0 > 0).and_then(stamp),
            ended: entry.ended().and_then(stamp),
            seconds: entry.lasted(now),
            bytes: entry.listing.bytes,
            records: entry.listing.records,
            machine: entry.machine.as_ref().map(|machine| machine.name.clone()),
            owner: entry.machine.as_ref().map(|machine| machine.owner.clone()),
            command: title.map(|title| title.command.clone()),
            directory: title.map(|title| title.directory.clone()),
            readable: title.is_some(),
            reason: entry.obstacle.map(Reason::code),
        }
    }
}

/// Prints the document.
///
/// # Errors
/// The standard output cannot be written.
pub(super) fn json(entries: &[Entry], now: UnixTime) -> io::Result<()> {
    let document = Document { schema: SCHEMA, sessions: entries.iter().map(|entry| Row::of(entry, now)).collect() };
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &document)?;
    writeln!(out)
}

/// Prints one object for each session, each on a line of its own.
///
/// # Errors
/// The standard output cannot be written.
pub(super) fn json_lines(entries: &[Entry], now: UnixTime) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for entry in entries {
        serde_json::to_writer(&mut out, &Row::of(entry, now))?;
        writeln!(out)?;
    }
    Ok(())
}

/// Prints the table; it fits on the terminal, where there is one.
///
/// # Errors
/// The standard output cannot be written.
pub(super) fn table(entries: &[Entry], now: UnixTime) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    for line in Table::of(entries, now, &TimeZone::system()).lines(width(&io::stdout())) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The lines to choose from, each with its number, for the standard error.
pub(super) fn numbered(entries: &[Entry], now: UnixTime) -> Vec<String> {
    let digits = entries.len().to_string().len();
    let room = width(&io::stderr()).map(|columns| columns.saturating_sub(digits + 4));
    let lines = Table::of(entries, now, &TimeZone::system()).lines(room);
    let number = |(n, line): (usize, String)| {
        if n == 0 { format!("  {:digits$}  {line}", "") } else { format!("  {n:digits$}  {line}") }
    };
    lines.into_iter().enumerate().map(number).collect()
}

/// The same without numbers, for a message: whole, because a program may read it.
pub(super) fn candidates(entries: &[Entry], now: UnixTime) -> Vec<String> {
    Table::of(entries, now, &TimeZone::system()).lines(None)
}

/// The columns of a terminal; `None` where it is none.
fn width(stream: &(impl io::IsTerminal + std::os::fd::AsFd)) -> Option<usize> {
    let columns = || tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
    stream.is_terminal().then(|| columns().unwrap_or(COLUMNS))
}

/// The cells, row by row.
struct Table {
    rows: Vec<[String; 7]>,
    standings: Vec<Standing>,
}

impl Table {
    fn of(entries: &[Entry], now: UnixTime, zone: &TimeZone) -> Self {
        let mut owners: Vec<_> = entries.iter().filter_map(|entry| Some(&entry.machine.as_ref()?.owner)).collect();
        owners.sort_unstable();
        owners.dedup();
        let (length, several) = (telling_length(entries), owners.len() > 1);
        let row = |entry: &Entry| {
            [
                short(entry.session, length),
                entry.listing.standing.name().to_owned(),
                entry.started().map_or_else(unknown, |at| started(at, now, zone)),
                entry.lasted(now).map_or_else(unknown, span),
                amount(entry.listing.bytes),
                machine(entry, several),
                command(entry),
            ]
        };
        Self { rows: entries.iter().map(row).collect(), standings: entries.iter().map(|entry| entry.listing.standing).collect() }
    }

    /// Heads and rows; in so many columns where there are that few.
    fn lines(&self, room: Option<usize>) -> Vec<String> {
        let cut = |at: usize, cell: &str| if at == 5 && room.is_some() { clip(cell, NAME) } else { cell.to_owned() };
        let heads = HEADS.map(str::to_owned);
        let rows: Vec<[String; 7]> =
            std::iter::once(&heads).chain(&self.rows).map(|row| std::array::from_fn(|at| cut(at, &row[at]))).collect();
        let widths: [usize; 6] = std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
        let before: usize = widths.iter().map(|width| width + 2).sum();
        let left = room.map(|room| room.saturating_sub(before).max(1));
        let line = |(n, row): (usize, &[String; 7])| {
            let style = n.checked_sub(1).map_or_else(|| Style::new().dimmed(), |at| style(self.standings[at]));
            let cell = |at: usize| {
                let padded = format!("{:width$}  ", row[at], width = widths[at]);
                if at == 1 || n == 0 { padded.style(style).to_string() } else { padded }
            };
            let last = left.map_or_else(|| row[6].clone(), |left| clip(&row[6], left));
            let last = if n == 0 { last.style(style).to_string() } else { last };
            (0..6).map(cell).collect::<String>() + &last
        };
        rows.iter().enumerate().map(line).collect()
    }
}

fn style(standing: Standing) -> Style {
    match standing {
        Standing::Live => Style::new().green(),
        Standing::Away | Standing::Cut => Style::new().yellow(),
        Standing::Exited => Style::new(),
    }
}

fn unknown() -> String {
    "-".to_owned()
}

fn short(session: SessionId, length: usize) -> String {
    session.to_string().chars().take(length).collect()
}

/// Its machine, with whose it is where there are several people.
fn machine(entry: &Entry, several: bool) -> String {
    match &entry.machine {
        Some(machine) if several => format!("{} ({})", Line(&machine.name), Line(&machine.owner)),
        Some(machine) => Line(&machine.name).to_string(),
        None => unknown(),
    }
}

fn command(entry: &Entry) -> String {
    match (&entry.title, entry.obstacle) {
        (Some(title), _) => Line(&title.command).to_string(),
        (None, Some(reason)) => format!("({})", reason.code()),
        (None, None) => "(its key is not here yet)".to_owned(),
    }
}

fn clip(text: &str, room: usize) -> String {
    match text.char_indices().nth(room) {
        Some(_) => text.chars().take(room.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

fn moment(at: UnixTime) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(at.0).ok()?).ok()
}

/// A moment as people here say it: the time of today, or else the day.
fn started(at: UnixTime, now: UnixTime, zone: &TimeZone) -> String {
    let here = |at| moment(at).map(|at| Zoned::new(at, zone.clone()));
    let (Some(at), Some(now)) = (here(at), here(now)) else { return unknown() };
    let form = if at.date() == now.date() {
        "%H:%M"
    } else if at.year() == now.year() {
        "%b %d"
    } else {
        "%Y-%m-%d"
    };
    at.strftime(form).to_string()
}

/// A span of time as people say it, in two units at most.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match () {
        () if minutes == 0 => format!("{seconds}s"),
        () if hours == 0 => format!("{minutes}m"),
        () if days == 0 => format!("{hours}h{:02}m", minutes % 60),
        () => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use proto_core::{
        api::NamedMachine,
        wire::{Listing, Title},
    };

    use super::*;

    /// Wednesday, 2023-11-15, 12:00:00 UTC.
    const NOON: u64 = 1_700_049_600;

    fn entry(n: u8, standing: Standing, ago: u64, owner: &str) -> Entry {
        let listing =
            Listing { standing, began: UnixTime(NOON - ago), active: UnixTime(NOON - ago / 2), bytes: 1_234_567, records: 9 };
        let machine = NamedMachine { runtime_target_id: "r".parse().unwrap(), name: "mbp".into(), owner: owner.into() };
        let title = Title { command: "claude".into(), directory: "~/api".into(), started: NOON - ago, columns: 80, rows: 24 };
        Entry { session: SessionId([n; 16]), listing, machine: Some(machine), title: Some(title.into()), obstacle: None }
    }

    fn plain(entries: &[Entry], room: Option<usize>) -> Vec<String> {
        let lines = Table::of(entries, UnixTime(NOON), &TimeZone::UTC).lines(room);
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    #[test]
    fn the_table_says_who_where_when_and_how_much() {
        let mut sealed = entry(3, Standing::Away, 100_000, "Ada");
        (sealed.title, sealed.machine) = (None, None);
        let broken = Entry { title: None, obstacle: Some(Reason::RecordForged), ..entry(4, Standing::Cut, 40_000_000, "Ada") };
        let entries = [entry(1, Standing::Live, 125, "Ada"), entry(2, Standing::Exited, 14_400, "Ada"), sealed, broken];
        assert_eq!(
            plain(&entries, Some(80)),
            [
                "SESSION  STATE  STARTED     LASTED   SIZE  MACHINE  COMMAND",
                "aeaqca   live   11:57       2m       1 MB  mbp      claude",
                "aibaea   ended  08:00       2h00m    1 MB  mbp      claude",
                "ambqga   away   Nov 14      -        1 MB  -        (its key is not here yet)",
                "aqcaib   cut    2022-08-09  231d11h  1 MB  mbp      (record_forged)",
            ]
        );
    }

    /// Names of several people stand beside their machines; nothing of others steers the terminal; on a terminal it fits.
    #[test]
    fn the_table_fits_and_obeys_nobody() {
        let mut long = entry(1, Standing::Live, 90_000, "Ada");
        long.title.as_mut().unwrap().command = "cargo test --workspace --all-features \u{1b}[31m -- --nocapture".into();
        long.machine.as_mut().unwrap().name = "a-machine-with-a-long-name".into();
        let entries = [long, entry(2, Standing::Exited, 59, "Grace")];
        let lines = plain(&entries, Some(80));
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        assert!(lines[1].contains("a-machine-with-…") && lines[1].ends_with('…'), "{lines:#?}");
        assert!(lines[2].contains("mbp (Grace)") && lines[2].contains("30s"), "{lines:#?}");
        let lines = plain(&entries, None);
        assert!(lines[1].contains("a-machine-with-a-long-name (Ada)") && lines[1].ends_with(r"\u{1b}[31m -- --nocapture"));
        assert!(!lines[1].contains('\u{1b}'));
    }

    /// The shape that programs rely on.
    #[test]
    fn a_row_of_the_document_has_these_members() {
        let row = serde_json::to_value(Row::of(&entry(1, Standing::Exited, 100, "Ada"), UnixTime(NOON))).unwrap();
        let expected = serde_json::json!({
            "session": SessionId([1; 16]).to_string(), "state": "ended",
            "started": "2023-11-15T11:58:20Z", "active": "2023-11-15T11:59:10Z", "ended": "2023-11-15T11:59:10Z", "seconds": 50,
            "bytes": 1_234_567, "records": 9, "machine": "mbp", "owner": "Ada",
            "command": "claude", "directory": "~/api", "readable": true, "reason": null,
        });
        assert_eq!(row, expected);
        let bare = Entry { title: None, machine: None, listing: Listing::default(), ..entry(1, Standing::Away, 1, "") };
        let row = serde_json::to_value(Row::of(&bare, UnixTime(NOON))).unwrap();
        for name in ["started", "active", "ended", "seconds", "machine", "owner", "command", "directory"] {
            assert!(row[name].is_null(), "{name}: {row}");
        }
        assert_eq!((&row["state"], &row["readable"]), (&"away".into(), &false.into()));
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let spans = [0, 59, 60, 3_599, 3_600, 86_399, 86_400].map(span);
        assert_eq!(spans, ["0s", "59s", "1m", "59m", "1h00m", "23h59m", "1d00h"]);
    }
}
