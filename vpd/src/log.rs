//! The daemon's log: text, one file per day (UTC) in `logs/`, of which the latest [`KEPT`] are kept.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    panic,
    path::{Path, PathBuf},
    sync::Mutex,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use tracing_subscriber::EnvFilter;

use crate::home::Home;

/// How many days are kept.
const KEPT: usize = 7;
const PREFIX: &str = "vpd-";
const SUFFIX: &str = ".log";

/// From now on everything that is traced goes to the log of `home`; `VPD_LOG` says how much, as in `VPD_LOG=debug`.
pub(crate) fn to_files(home: &Home) -> anyhow::Result<()> {
    let writer = Mutex::new(DailyFile::in_folder(home.logs()));
    tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_ansi(false)
        .with_target(false)
        .with_writer(writer)
        .try_init()
        .map_err(anyhow::Error::msg)?;
    trace_panics();
    Ok(())
}

/// The same on the standard error, for a daemon in the foreground.
pub(crate) fn to_stderr() -> anyhow::Result<()> {
    let ansi = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter()).with_ansi(ansi).with_target(false).with_writer(io::stderr);
    subscriber.try_init().map_err(anyhow::Error::msg)
}

/// The log files of `folder`, oldest first.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let is_log = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(is_log).collect();
    // The day stands in the name, so the names are in the order of the days.
    files.sort();
    Ok(files)
}

/// When a line was written; lines that continue another one have no stamp.
pub(crate) fn stamp(line: &[u8]) -> Option<Timestamp> {
    let end = line.iter().position(|byte| *byte == b' ')?;
    std::str::from_utf8(&line[..end]).ok()?.parse().ok()
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_env("VPD_LOG").unwrap_or_else(|_| EnvFilter::new("info"))
}

fn trace_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        tracing::error!("panicked: {info}");
        before(info);
    }));
}

/// Appends to the file of the day.
struct DailyFile {
    folder: PathBuf,
    open: Option<(Date, File)>,
}

impl DailyFile {
    const fn in_folder(folder: PathBuf) -> Self {
        Self { folder, open: None }
    }

    fn of(&mut self, day: Date) -> io::Result<&mut File> {
        let file = match self.open.take() {
            Some((open, file)) if open == day => file,
            _ => self.begin(day)?,
        };
        Ok(&mut self.open.insert((day, file)).1)
    }

    fn begin(&self, day: Date) -> io::Result<File> {
        let path = self.folder.join(format!("{PREFIX}{day}{SUFFIX}"));
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let files = files(&self.folder)?;
        for old in &files[..files.len().saturating_sub(KEPT)] {
            // A file that cannot be removed is no reason not to log.
            let _ = fs::remove_file(old);
        }
        Ok(file)
    }
}

impl Write for DailyFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.of(Timestamp::now().to_zoned(TimeZone::UTC).date())?.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), |(_, file)| file.flush())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_file_per_day_and_no_more_than_a_week_of_them() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("daemon.log"), "").unwrap();
        let mut log = DailyFile::in_folder(place.path().to_owned());
        for day in 1..=9 {
            log.of(date(2026, 11, day)).unwrap().write_all(b"line\n").unwrap();
            log.of(date(2026, 11, day)).unwrap().write_all(b"line\n").unwrap();
        }
        let files = files(place.path()).unwrap();
        assert_eq!(files.len(), KEPT);
        assert!(files[0].ends_with("vpd-2026-11-03.log") && files[6].ends_with("vpd-2026-11-09.log"));
        for file in &files {
            assert_eq!(fs::read(file).unwrap(), b"line\nline\n");
            assert_eq!(fs::metadata(file).unwrap().mode() & 0o777, 0o600);
        }
        assert!(place.path().join("daemon.log").exists());
    }

    #[test]
    fn lines_begin_with_their_time() {
        let line = b"2026-11-21T02:59:00.123456Z  INFO vpd: pairing: code shown";
        assert_eq!(stamp(line), Some("2026-11-21T02:59:00.123456Z".parse().unwrap()));
        assert_eq!(stamp(b"  at vpd/src/main.rs"), None);
        assert_eq!(stamp(b""), None);
    }
}
