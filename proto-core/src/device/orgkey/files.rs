//! The files of all organizations' keys on one device.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use crate::{
    Reason,
    device::files::{Document, OrganizationKeyFile},
    effect::StateFile,
    id::OrgId,
    secret::SecretBytes,
};

/// What is kept of each organization's key. A binding that takes over from another one of its organization goes on with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyFiles(BTreeMap<OrgId, Box<OrganizationKeyFile>>);

impl KeyFiles {
    /// As they were found; with why some of them cannot be read. These are as if they were not there.
    pub fn found(files: &[(StateFile, SecretBytes)]) -> (Self, Vec<Reason>) {
        let (mut readable, mut unreadable) = (BTreeMap::new(), Vec::new());
        for (name, contents) in files {
            match OrganizationKeyFile::parse(contents.expose()) {
                Ok(file) if StateFile::OrganizationKey(file.workspace_id.clone()) == *name => {
                    readable.insert(file.workspace_id.clone(), Box::new(file));
                }
                Ok(_) => unreadable.push(Reason::StateInvalid),
                Err(reason) => unreadable.push(reason),
            }
        }
        (Self(readable), unreadable)
    }

    /// What is kept of this organization's key.
    pub fn get(&self, org: &OrgId) -> Option<&OrganizationKeyFile> {
        self.0.get(org).map(|file| &**file)
    }

    /// Takes a newer file of that organization's key; gives what is to be made durable. `None`: what is there is newer still, from
    /// another binding of the same organization.
    ///
    /// # Errors
    /// [`Reason::StateNotWritten`]: it has no JSON form.
    pub fn keep(&mut self, mut file: Box<OrganizationKeyFile>) -> Result<Option<(StateFile, SecretBytes)>, Reason> {
        let org = file.workspace_id.clone();
        if let Some(known) = self.0.get_mut(&org) {
            let is_newer = known.statements.len() > file.statements.len() || known.generations.len() > file.generations.len();
            if is_newer {
                return Ok(None);
            }
            file.unknown = core::mem::take(&mut known.unknown);
        }
        let contents = file.write()?;
        self.0.insert(org.clone(), file);
        Ok(Some((StateFile::OrganizationKey(org), contents)))
    }

    /// Nothing is kept of the keys of other organizations any more. The files to remove.
    pub fn retain(&mut self, is_paired: impl Fn(&OrgId) -> bool) -> Vec<StateFile> {
        self.0.extract_if(.., |org, _| !is_paired(org)).map(|(org, _)| StateFile::OrganizationKey(org)).collect()
    }
}
