//! `vpd logs`: the daemon's log files, one after the other, as they are.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write},
    path::Path,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    cli::LogsArgs,
    home::Home,
    log::{self, LogFile},
};

/// How often a followed file is looked at.
const GLANCE: Duration = Duration::from_millis(200);

/// Prints the lines; with `--follow`, until it is interrupted.
pub(crate) async fn logs(home: &Home, args: &LogsArgs) -> anyhow::Result<()> {
    let folder = home.logs();
    let mut out = io::stdout().lock();
    let mut reader = Reader { place: None, after: args.since.map(oldest), passing: args.since.is_none() };
    loop {
        reader.print_new(&folder, &mut out)?;
        out.flush()?;
        if !args.follow {
            break;
        }
        tokio::time::sleep(GLANCE).await;
    }
    if reader.place.is_none() {
        anstream::eprintln!("No log yet: the daemon has not run on this home. Next: vpd start");
    }
    Ok(())
}

/// The oldest moment that counts.
fn oldest(since: Duration) -> Timestamp {
    Timestamp::now().checked_sub(since).unwrap_or(Timestamp::MIN)
}

/// How far the files have been printed.
struct Reader {
    /// The latest file that was opened, and how much of it is through.
    place: Option<(LogFile, u64)>,
    /// Older lines are passed over.
    after: Option<Timestamp>,
    /// Whether a line without a stamp is printed: it goes with the one before it.
    passing: bool,
}

impl Reader {
    /// Prints every whole line that was not printed yet.
    fn print_new(&mut self, folder: &Path, out: &mut impl Write) -> io::Result<()> {
        for file in log::list(folder)? {
            let from = match self.place {
                Some((latest, _)) if file < latest => continue,
                Some((latest, through)) if file == latest => through,
                _ => 0,
            };
            let through = self.print_file(&file.path(folder), from, out)?;
            self.place = Some((file, through));
        }
        Ok(())
    }

    fn print_file(&mut self, path: &Path, from: u64, out: &mut impl Write) -> io::Result<u64> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut lines = BufReader::new(file);
        let (mut line, mut through) = (Vec::new(), from);
        while lines.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            if self.passes(&line) {
                out.write_all(&line)?;
            }
            through += line.len() as u64;
            line.clear();
        }
        Ok(through)
    }

    fn passes(&mut self, line: &[u8]) -> bool {
        if let Some(stamp) = log::stamp(line) {
            self.passing = self.after.is_none_or(|after| stamp >= after);
        }
        self.passing
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const OLD: &str = "2026-11-20T23:59:59.000000Z  INFO vpd: pairing: code shown\n  its continuation\n";
    const NEW: &str = "2026-11-21T00:00:01.000000Z  INFO vpd: pairing: approved\n  its continuation\n";

    fn printed(reader: &mut Reader, folder: &Path) -> String {
        let mut out = Vec::new();
        reader.print_new(folder, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// S160, S161: whole text lines, only those that are young enough, each with what belongs to it.
    #[test]
    fn lines_since_a_moment_come_with_their_continuations() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("vpd-2026-11-20.log"), OLD).unwrap();
        fs::write(place.path().join("vpd-2026-11-21.log"), NEW).unwrap();
        let mut all = Reader { place: None, after: None, passing: true };
        assert_eq!(printed(&mut all, place.path()), format!("{OLD}{NEW}"));
        let midnight = "2026-11-21T00:00:00Z".parse().unwrap();
        let mut young = Reader { place: None, after: Some(midnight), passing: false };
        assert_eq!(printed(&mut young, place.path()), NEW);
    }

    #[test]
    fn following_prints_each_line_once_and_only_when_it_is_whole() {
        let place = tempfile::tempdir().unwrap();
        let (first, second) = (place.path().join("vpd-2026-11-20.log"), place.path().join("vpd-2026-11-21.log"));
        let mut reader = Reader { place: None, after: None, passing: true };
        assert_eq!(printed(&mut reader, place.path()), "");
        fs::write(&first, "one\ntw").unwrap();
        assert_eq!(printed(&mut reader, place.path()), "one\n");
        fs::write(&first, "one\ntwo\n").unwrap();
        fs::write(&second, "three\n").unwrap();
        assert_eq!(printed(&mut reader, place.path()), "two\nthree\n");
        assert_eq!(printed(&mut reader, place.path()), "");
    }
}
