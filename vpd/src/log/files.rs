//! The files of a log: `vpd-2026-11-21.log` for a day (UTC), then `vpd-2026-11-21.1.log` and so on where one day fills several.
//! Each is full at [`MAX_FILE`] bytes, with the line that fills it, and the latest [`KEPT`] are kept. All are 0600.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// How many files are kept: a week of ordinary days twice over, or 56 MiB.
const KEPT: usize = 14;
/// A file that holds so many bytes is full.
const MAX_FILE: u64 = 4 * 1024 * 1024;
const PREFIX: &str = "vpd-";
const SUFFIX: &str = ".log";

/// The log files of `folder`, oldest first.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<LogFile>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files: Vec<_> = entries.filter_map(|entry| LogFile::parse(entry.ok()?.file_name().to_str()?)).collect();
    files.sort();
    Ok(files)
}

/// One file of a log. Files are ordered as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogFile {
    day: Date,
    /// The first of a day is 0.
    part: u32,
}

impl LogFile {
    fn parse(name: &str) -> Option<Self> {
        let name = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let (day, part) = match name.split_once('.') {
            Some((day, part)) => (day, part.parse().ok()?),
            None => (name, 0),
        };
        let file = Self { day: day.parse().ok()?, part };
        (file.name() == format!("{PREFIX}{name}{SUFFIX}")).then_some(file)
    }

    fn name(self) -> String {
        match self {
            Self { day, part: 0 } => format!("{PREFIX}{day}{SUFFIX}"),
            Self { day, part } => format!("{PREFIX}{day}.{part}{SUFFIX}"),
        }
    }

    /// Where it lies.
    pub(crate) fn path(self, folder: &Path) -> PathBuf {
        folder.join(self.name())
    }
}

/// Appends to the latest file, and begins the next one where that is full or of an earlier day.
pub(super) struct Rotating {
    folder: PathBuf,
    open: Option<Open>,
    /// What became of the latest line.
    latest: Latest,
}

/// A file that is written to.
struct Open {
    which: LogFile,
    file: File,
    len: u64,
}

/// What became of the latest line.
enum Latest {
    Written,
    /// So many lines in a row were not written, the last of them perhaps in part.
    Lost(u64),
}

impl Rotating {
    pub(super) const fn in_folder(folder: PathBuf) -> Self {
        Self { folder, open: None, latest: Latest::Written }
    }

    /// Appends a line that was made at `now`. One that cannot be written is counted, and the count comes before the next one that can.
    pub(super) fn append(&mut self, line: &[u8], now: Timestamp) {
        self.latest = match (self.try_append(line, now), &self.latest) {
            (Ok(()), _) => Latest::Written,
            (Err(_), Latest::Written) => Latest::Lost(1),
            (Err(_), Latest::Lost(before)) => Latest::Lost(before.saturating_add(1)),
        };
    }

    fn try_append(&mut self, line: &[u8], now: Timestamp) -> io::Result<()> {
        let lost = match self.latest {
            Latest::Written => None,
            // Behind a line that was written in part another one begins.
            Latest::Lost(count) => Some(format!("\n{now:.6}  WARN log: {count} lines could not be written\n")),
        };
        let open = self.of(now.to_zoned(TimeZone::UTC).date())?;
        if let Some(lost) = lost {
            open.write(lost.as_bytes())?;
        }
        open.write(line)
    }

    /// The file for a line of `day`.
    fn of(&mut self, day: Date) -> io::Result<&mut Open> {
        let open = match self.open.take() {
            Some(open) if open.which.day >= day && open.len < MAX_FILE => open,
            full => self.begin(day, full.map(|open| open.which))?,
        };
        Ok(self.open.insert(open))
    }

    /// Goes on with the latest file of `day`, or begins one; older ones than are kept go.
    fn begin(&self, day: Date, full: Option<LogFile>) -> io::Result<Open> {
        let files = list(&self.folder)?;
        let latest = files.last().copied().max(full).filter(|file| file.day >= day);
        let open = match latest {
            Some(which) => match self.open(which)? {
                open if open.len < MAX_FILE => open,
                _ => self.open(LogFile { part: which.part.saturating_add(1), ..which })?,
            },
            None => self.open(LogFile { day, part: 0 })?,
        };
        let others = files.iter().filter(|file| **file != open.which).count();
        for old in files.iter().take((others + 1).saturating_sub(KEPT)) {
            // A file that cannot be removed is no reason not to log.
            let _ = fs::remove_file(old.path(&self.folder));
        }
        Ok(open)
    }

    fn open(&self, which: LogFile) -> io::Result<Open> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(which.path(&self.folder))?;
        let len = file.metadata()?.len();
        Ok(Open { which, file, len })
    }
}

impl Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.len = self.len.saturating_add(bytes.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    fn noon(day: u8) -> Timestamp {
        format!("2026-11-{day:02}T12:00:00Z").parse().unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        list(folder).unwrap().into_iter().map(LogFile::name).collect()
    }

    #[test]
    fn a_file_per_day_and_a_bounded_number_of_them() {
        let place = tempfile::tempdir().unwrap();
        for other in ["daemon.log", "vpd-2026-11-01.x.log", "vpd-2026-11-01.01.log", "vpd-.log"] {
            fs::write(place.path().join(other), "").unwrap();
        }
        let mut log = Rotating::in_folder(place.path().to_owned());
        for day in 1..=20 {
            log.append(b"line\n", noon(day));
            log.append(b"line\n", noon(day));
        }
        let files = list(place.path()).unwrap();
        assert_eq!(files.len(), KEPT);
        assert_eq!((files[0].name(), files[13].name()), ("vpd-2026-11-07.log".into(), "vpd-2026-11-20.log".into()));
        for file in files {
            assert_eq!(fs::read(file.path(place.path())).unwrap(), b"line\nline\n");
            assert_eq!(fs::metadata(file.path(place.path())).unwrap().mode() & 0o777, 0o600);
        }
        assert!(place.path().join("daemon.log").exists());
    }

    #[test]
    fn a_full_file_is_followed_by_the_next_one() {
        let place = tempfile::tempdir().unwrap();
        let line = vec![b'x'; usize::try_from(MAX_FILE / 4).unwrap()];
        let mut log = Rotating::in_folder(place.path().to_owned());
        (0..9).for_each(|_| log.append(&line, noon(21)));
        assert_eq!(names(place.path()), ["vpd-2026-11-21.log", "vpd-2026-11-21.1.log", "vpd-2026-11-21.2.log"]);
        // A daemon that starts goes on with the latest one; so does one whose clock was set back.
        for day in [21, 20] {
            Rotating::in_folder(place.path().to_owned()).append(b"more\n", noon(day));
        }
        let latest = fs::read(place.path().join("vpd-2026-11-21.2.log")).unwrap();
        assert!(latest.ends_with(b"xmore\nmore\n"));
    }

    /// A disk that is full: lines are dropped, nothing fails, and what was dropped is told once there is room again.
    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("vpd-2026-11-21.log");
        symlink("/dev/full", &file).unwrap();
        let mut log = Rotating::in_folder(place.path().to_owned());
        (0..3).for_each(|_| log.append(b"lost\n", noon(21)));
        fs::remove_file(&file).unwrap();
        log.append(b"kept\n", noon(22));
        log.append(b"kept\n", noon(22));
        let text = fs::read_to_string(place.path().join("vpd-2026-11-22.log")).unwrap();
        assert_eq!(text, "\n2026-11-22T12:00:00.000000Z  WARN log: 3 lines could not be written\nkept\nkept\n");
    }

    #[test]
    fn a_folder_that_is_gone_is_no_failure() {
        let place = tempfile::tempdir().unwrap();
        let mut log = Rotating::in_folder(place.path().join("gone"));
        log.append(b"lost\n", noon(21));
        fs::create_dir(place.path().join("gone")).unwrap();
        log.append(b"kept\n", noon(21));
        assert_eq!(names(&place.path().join("gone")), ["vpd-2026-11-21.log"]);
    }
}
