//! How bound directories stand on the disk: whether sessions there would stream, by the rule that the daemon decides with.

use std::path::Path;

use io_engine::{DriverLoop, Perform, look};
use proto_core::{
    Instant, Misuse, Reason, UnixTime, WallClock,
    device::{
        consent::{Decision, Directory, DirectoryFacts, Output, Resolver},
        files::{Document as _, Grants},
    },
    effect::StateFile,
};
use serde::Serialize;

use crate::{control::DirectoryRow, home::Home};

/// A bound directory, and why a session that starts there now would not stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Standing {
    #[serde(flatten)]
    pub bound: DirectoryRow,
    pub reason: Option<Reason>,
}

/// Looks at each of them.
pub(super) fn standing(home: &Home, directories: Vec<DirectoryRow>) -> Vec<Standing> {
    let ledger = ledger(home);
    directories.into_iter().map(|bound| Standing { reason: trouble(&bound.path, &ledger), bound }).collect()
}

/// The bound directory, as a path, because of which a session that starts at `path` now streams.
pub(super) fn bound_by(home: &Home, path: &str) -> Option<String> {
    match decision(Directory::parse(path).ok()?, &ledger(home)) {
        Decision::Stream { directory, .. } => Some(directory.as_str().to_owned()),
        Decision::LocalOnly { .. } => None,
    }
}

/// What `vpd bind` granted; a ledger that cannot be read grants nothing.
fn ledger(home: &Home) -> Grants {
    let ledger = io_engine::Home::at(home.path()).read(&StateFile::Grants).ok().flatten();
    ledger.and_then(|bytes| Grants::parse(bytes.expose()).ok()).unwrap_or_default()
}

fn trouble(path: &str, ledger: &Grants) -> Option<Reason> {
    let directory = Directory::parse(path).ok().filter(|_| Path::new(path).is_dir());
    match directory.map(|directory| decision(directory, ledger)) {
        None => Some(Reason::DirectoryMissing),
        Some(Decision::Stream { .. }) => None,
        Some(Decision::LocalOnly { why }) => Some(why.unwrap_or(Reason::NotBound)),
    }
}

/// What becomes of a session that starts in `directory`, by what is on the disk now.
fn decision(directory: Directory, ledger: &Grants) -> Decision {
    resolved(directory, ledger).map_or(Decision::LocalOnly { why: None }, |place| place.decision)
}

/// What the rule makes of `directory`; always something, since it asks for no more than the disk can answer.
fn resolved(directory: Directory, ledger: &Grants) -> Option<DirectoryFacts> {
    // Nothing in it depends on the time.
    let wall = WallClock::new(Instant::ZERO, UnixTime(0));
    let (mut resolver, mut turns) = (Resolver::new(directory, ledger), DriverLoop::new(wall));
    let (mut disk, mut looked) = (Disk::default(), Vec::new());
    turns.begin(&mut resolver, &mut disk);
    loop {
        looked.extend(disk.asked.drain(..).map(look));
        if looked.is_empty() {
            return disk.resolved;
        }
        turns.turn(&mut resolver, wall, looked.drain(..), &mut disk);
    }
}

/// What the resolver asks for, and what it came to.
#[derive(Default)]
struct Disk {
    asked: Vec<Directory>,
    resolved: Option<DirectoryFacts>,
}

impl Perform<Resolver> for Disk {
    fn perform(&mut self, output: Output) {
        match output {
            Output::Look(directory) => self.asked.push(directory),
            Output::Resolved(place) => self.resolved = Some(place),
        }
    }

    fn refused(&mut self, misuse: Misuse) {
        tracing::error!(%misuse, "an answer about a directory was not taken");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use io_engine::change;
    use proto_core::device::consent::LOCAL_FILE;

    use super::*;

    /// What a bound directory and its ledger are, as `vpd bind` leaves them.
    fn bound(place: &Path) -> (Directory, Grants) {
        let directory = Directory::parse(place.canonicalize().unwrap().to_str().unwrap()).unwrap();
        let mut ledger = Grants::default();
        let place = resolved(directory.clone(), &ledger).unwrap();
        let plan = place.bind(&"A".parse().unwrap(), false, UnixTime(1_000)).unwrap();
        change(&plan.files).unwrap();
        plan.enter(&mut ledger).unwrap();
        (directory, ledger)
    }

    /// S148: a bound directory has no trouble, and one whose file or folder is gone says which.
    #[test]
    fn a_bound_directory_streams_until_its_file_is_gone() {
        let place = tempfile::tempdir().unwrap();
        let (directory, ledger) = bound(place.path());
        assert_eq!(trouble(directory.as_str(), &ledger), None);
        assert_eq!(trouble(directory.as_str(), &Grants::default()), Some(Reason::GrantMissing));
        fs::remove_file(directory.join(LOCAL_FILE)).unwrap();
        assert_eq!(trouble(directory.as_str(), &ledger), Some(Reason::LocalFileMissing));
        drop(place);
        assert_eq!(trouble(directory.as_str(), &ledger), Some(Reason::DirectoryMissing));
    }
}
