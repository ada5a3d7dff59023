//! The folders of the spool: one below `state/spool` for each session of which something is kept.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use proto_core::{SessionId, effect::StateFile};

use crate::{
    FileError, Home,
    files::{Folder, make_private, sync_folder},
};

const SPOOL: &str = "state/spool";

impl Home {
    /// What is kept of each session: its segments by the number of their first record, and the bytes of each. Blocks.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn spools(&self) -> Result<BTreeMap<SessionId, BTreeMap<u64, u64>>, FileError> {
        let mut spools = BTreeMap::<_, BTreeMap<_, _>>::new();
        for folder in self.spool_folders() {
            let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { continue };
            for (segment, bytes) in segments(&folder)? {
                if let Some(StateFile::Segment(session, first)) = StateFile::segment_at(name, &segment) {
                    spools.entry(session).or_default().insert(first, bytes);
                }
            }
        }
        Ok(spools)
    }

    pub(crate) fn spool_folders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root().join(SPOOL)).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    }

    /// Makes the folder of a session's segments, durably.
    pub(crate) fn make_spool(&self, session: SessionId) -> Result<(), FileError> {
        let folder = self.path_of(&StateFile::Spool(session));
        let made = match make_private(&folder) {
            Ok(Folder::NotOurs) => return Err(FileError::NotOurs(folder)),
            Ok(Folder::WasThere) => Ok(()),
            Ok(Folder::Made) => sync_folder(&self.root().join(SPOOL)),
            Err(error) => Err(error),
        };
        made.map_err(|source| FileError::NotWritten { path: folder, source })
    }

    /// A folder without segments goes; one that holds something stays.
    pub(crate) fn leave_spool(&self, session: SessionId) {
        let _ = fs::remove_dir(self.path_of(&StateFile::Spool(session)));
    }
}

/// The names and sizes of what is in a folder.
fn segments(folder: &Path) -> Result<Vec<(String, u64)>, FileError> {
    let unreadable = |source| FileError::Unreadable { path: folder.to_owned(), source };
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let bytes = match entry.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(error)),
        };
        segments.extend(entry.file_name().into_string().map(|name| (name, bytes)));
    }
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proto_core::secret::SecretBytes;

    use super::*;

    const ID: SessionId = SessionId([7; 16]);

    /// SPOOL-2, BIND-9: segments are found again with their sizes, private like all that lies in a home; the last one takes the
    /// folder with it.
    #[test]
    fn segments_are_found_and_their_folder_goes_with_the_last() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::at(place.path().join("home"));
        assert_eq!(home.spools().unwrap(), BTreeMap::new());
        for (first, bytes) in [(0, 3), (12, 5)] {
            home.store(&StateFile::Segment(ID, first), &SecretBytes::new(vec![1; bytes])).unwrap();
        }
        let folder = home.path_of(&StateFile::Spool(ID));
        fs::write(folder.join(".unfinished-x"), "half").unwrap();
        assert_eq!(home.spools().unwrap(), [(ID, [(0, 3), (12, 5)].into())].into());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&home.path_of(&StateFile::Segment(ID, 12)))), (0o700, 0o600));
        drop(home.lock().unwrap());
        home.remove(&StateFile::Segment(ID, 0)).unwrap();
        assert!(folder.exists());
        home.remove(&StateFile::Segment(ID, 12)).unwrap();
        assert!(!folder.exists(), "what a crash left unfinished is gone since the home was locked");
    }

    #[test]
    fn all_of_a_session_goes_at_once() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::at(place.path());
        let other = StateFile::Segment(SessionId([8; 16]), 0);
        for file in [&StateFile::Segment(ID, 0), &StateFile::Segment(ID, 1), &other] {
            home.store(file, &SecretBytes::new([1])).unwrap();
        }
        for _ in 0..2 {
            home.remove(&StateFile::Spool(ID)).unwrap();
            assert_eq!(home.spools().unwrap().into_keys().collect::<Vec<_>>(), [SessionId([8; 16])]);
        }
    }
}
