//! The state files of a home, as a device finds them when it starts.

use std::{fs, io::ErrorKind};

use proto_core::{device::daemon::StoredState, effect::StateFile, secret::SecretBytes};

use crate::{FileError, Home};

impl Home {
    /// All that a daemon goes on from. Blocks.
    ///
    /// # Errors
    /// As [`Home::read`].
    pub fn found(&self) -> Result<StoredState, FileError> {
        Ok(StoredState {
            config: self.read(&StateFile::Config)?,
            identities: self.identities()?,
            pending: self.read(&StateFile::PendingPairing)?,
            grants: self.read(&StateFile::Grants)?,
            organization_keys: self.organization_keys()?,
            sessions: self.sessions()?,
            spools: self.spools()?,
        })
    }

    /// The keys of its pairings: all that stands in `relay-identities/` under a name that is one. Blocks.
    ///
    /// # Errors
    /// As [`Home::read`].
    pub fn identities(&self) -> Result<Vec<(StateFile, SecretBytes)>, FileError> {
        let names = self.names_in("relay-identities")?;
        let files = names.iter().filter_map(|name| StateFile::identity_at(&format!("relay-identities/{name}")));
        self.with_contents(files)
    }

    /// What is kept of the organizations' keys: all that stands in `organization-keys/` under a name that is one. Blocks.
    ///
    /// # Errors
    /// As [`Home::read`].
    pub fn organization_keys(&self) -> Result<Vec<(StateFile, SecretBytes)>, FileError> {
        let names = self.names_in("organization-keys")?;
        let files = names.iter().filter_map(|name| StateFile::organization_key_at(&format!("organization-keys/{name}")));
        self.with_contents(files)
    }

    fn sessions(&self) -> Result<Vec<SecretBytes>, FileError> {
        let names = self.names_in("state/sessions")?;
        let ids = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok());
        let files = self.with_contents(ids.map(StateFile::Session))?;
        Ok(files.into_iter().map(|(_, contents)| contents).collect())
    }

    fn with_contents(&self, files: impl Iterator<Item = StateFile>) -> Result<Vec<(StateFile, SecretBytes)>, FileError> {
        files.filter_map(|file| self.read(&file).map(|read| read.map(|contents| (file, contents))).transpose()).collect()
    }

    /// The names in a folder of the home, in their order.
    fn names_in(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let path = self.root().join(folder);
        let unreadable = |source| FileError::Unreadable { path: path.clone(), source };
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let names = entries.map(|entry| Ok(entry.map_err(unreadable)?.file_name()));
        let names: Vec<_> = names.collect::<Result<_, FileError>>()?;
        let mut names: Vec<_> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proto_core::{Reason, SessionId};

    use super::*;

    fn contents(byte: u8) -> SecretBytes {
        SecretBytes::new([byte])
    }

    #[test]
    fn what_was_stored_is_found_and_strange_names_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        assert_eq!(home.found().unwrap(), StoredState::default());
        let org = |name: &str| name.parse().unwrap();
        let keys =
            [StateFile::Identity(org("ACME"), 1), StateFile::Identity(org("ACME"), 0), StateFile::Identity(org("BETA"), 0)];
        let files = [StateFile::Config, StateFile::PendingPairing, StateFile::Grants, StateFile::Session(SessionId([7; 16]))];
        for (file, byte) in keys.iter().chain(&files).zip(1..) {
            home.store(file, &contents(byte)).unwrap();
        }
        let key = StateFile::OrganizationKey(org("ACME"));
        home.store(&key, &contents(9)).unwrap();
        for strange in [
            "organization-keys/note",
            "organization-keys/x.json.old",
            "relay-identities/.unfinished-x",
            "relay-identities/note",
            "state/sessions/7.json",
            "state/sessions/x",
        ] {
            fs::write(home.root().join(strange), "strange").unwrap();
        }
        let found = home.found().unwrap();
        assert_eq!(found.identities, keys.into_iter().zip((1..).map(contents)).collect::<Vec<_>>());
        assert_eq!([found.config, found.pending, found.grants], [4, 5, 6].map(|byte| Some(contents(byte))));
        assert_eq!(found.sessions, [contents(7)]);
        assert_eq!(found.organization_keys, [(key, contents(9))]);
    }

    /// BIND-9: a key that others can read is a reason not to start.
    #[test]
    fn what_others_can_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let session = StateFile::Session(SessionId([7; 16]));
        home.store(&session, &contents(1)).unwrap();
        fs::set_permissions(home.path_of(&session), fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(home.found().unwrap_err().reason(), Reason::ConfigTooOpen);
    }
}
