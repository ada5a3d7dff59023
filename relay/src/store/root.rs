//! The directory of the store.
//!
//! ```text
//! lock          held while a relay runs on it
//! starts        how often one has: the sessions of each start have numbers of their own
//! log/ORG/      a directory of segments per organization; its name is the organization's id in base32
//! ```

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use data_encoding::BASE32_NOPAD;
use io_engine::write_private;
use proto_core::{OrgId, relay::hub::SessionNumber};

use super::StoreError;
use crate::files;

/// How many sessions one start can number before it would reach the numbers of the next: four billion.
const NUMBERS: u32 = 32;

/// The directory, which is this relay's alone.
#[derive(Debug)]
pub(super) struct Root {
    dir: PathBuf,
    lock: File,
}

/// Another relay can have it at once, also while a process that was forked meanwhile has the descriptor.
impl Drop for Root {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Root {
    /// Makes it where it is missing, and takes it.
    ///
    /// # Errors
    /// It cannot be made, or another relay has it.
    pub(super) fn take(dir: &Path) -> Result<Self, StoreError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::Files { path, error }
        };
        files::make_private_dir(dir).map_err(failed(dir))?;
        let path = dir.join("lock");
        let lock = files::open_private(&path).map_err(failed(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(&path)(error)),
        }
    }

    /// The first number for new sessions: higher than all that were ever given.
    ///
    /// # Errors
    /// That it was given cannot be made durable.
    pub(super) fn first_number(&self) -> Result<SessionNumber, StoreError> {
        let path = self.dir.join("starts");
        let known = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u64>().ok());
        // A count that is damaged is replaced by one that is higher: no relay starts once a second for all of its life.
        let is_new = !self.logs().exists();
        let starts = known.unwrap_or_else(|| if is_new { 0 } else { now() }) + 1;
        write_private(&path, format!("{starts}\n").as_bytes()).map_err(|error| StoreError::Files { path, error })?;
        Ok(SessionNumber(starts << NUMBERS))
    }

    /// Where the logs are.
    pub(super) fn logs(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Where logs are made that are not complete yet.
    pub(super) fn unfinished_logs(&self) -> PathBuf {
        self.dir.join("log.new")
    }

    /// The store of versions up to 0.1.0.
    pub(super) fn former(&self) -> PathBuf {
        self.dir.join("records.redb")
    }

    /// The directory itself.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// The directory of an organization's log, among others.
pub(super) fn dir_of(logs: &Path, org: &OrgId) -> PathBuf {
    logs.join(BASE32_NOPAD.encode(org.as_str().as_bytes()).to_ascii_lowercase())
}

/// The organizations that have a log.
///
/// # Errors
/// The directory cannot be read.
pub(super) fn orgs(logs: &Path) -> io::Result<Vec<OrgId>> {
    let entries = match std::fs::read_dir(logs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut orgs = Vec::new();
    for entry in entries {
        orgs.extend(entry?.file_name().to_str().and_then(org_of));
    }
    Ok(orgs)
}

fn org_of(name: &str) -> Option<OrgId> {
    let bytes = BASE32_NOPAD.decode(name.to_ascii_uppercase().as_bytes()).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}

/// Unix seconds.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
