//! The state files of a home, as a daemon finds them when it starts.

use std::{ffi::OsStr, fs, io::ErrorKind, path::Path};

use io_engine::{FileError, Home};
use proto_core::{daemon::Found, effect::StateFile, secret::SecretBytes};

/// Reads all that a daemon goes on from.
pub(super) fn read(home: &Home) -> Result<Found, FileError> {
    Ok(Found {
        config: home.read(&StateFile::Config)?,
        identities: identities(home)?,
        pending: home.read(&StateFile::PendingPairing)?,
        grants: home.read(&StateFile::Grants)?,
        sessions: sessions(home)?,
    })
}

fn identities(home: &Home) -> Result<Vec<(StateFile, SecretBytes)>, FileError> {
    let names = names(&home.root().join("relay-identities"))?;
    let files = names.iter().filter_map(|name| StateFile::identity_at(&format!("relay-identities/{name}")));
    with_contents(home, files)
}

fn sessions(home: &Home) -> Result<Vec<SecretBytes>, FileError> {
    let names = names(&home.root().join("state/sessions"))?;
    let ids = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok());
    let files = with_contents(home, ids.map(StateFile::Session))?;
    Ok(files.into_iter().map(|(_, contents)| contents).collect())
}

fn with_contents(home: &Home, files: impl Iterator<Item = StateFile>) -> Result<Vec<(StateFile, SecretBytes)>, FileError> {
    files.filter_map(|file| home.read(&file).map(|read| read.map(|contents| (file, contents))).transpose()).collect()
}

fn names(folder: &Path) -> Result<Vec<String>, FileError> {
    let unreadable = |source| FileError::Unreadable { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let names = entries.map(|entry| Ok(entry.map_err(unreadable)?.file_name()));
    let names: Vec<_> = names.collect::<Result<_, FileError>>()?;
    Ok(names.iter().filter_map(|name| OsStr::to_str(name)).map(str::to_owned).collect())
}
