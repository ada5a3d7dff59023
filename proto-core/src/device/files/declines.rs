//! `declines.json`: hints that were answered with no (S107).

use alloc::{collections::BTreeMap, string::String};

use serde::{Deserialize, Serialize};

use super::{Document, Unknown, VERSION, first_version};
use crate::{Reason, id::OrgId, machine::time::UnixTime};

/// The most answers that are kept; beyond that the oldest go.
pub const MAX_DECLINES: usize = 4_096;

/// The answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Declines {
    /// [`VERSION`] of the program that wrote it.
    #[serde(default = "first_version")]
    pub version: u32,
    /// By canonical absolute path of the directory that the hint is in.
    #[serde(default)]
    pub directories: BTreeMap<String, Decline>,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A hint that was answered with no.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decline {
    /// The organization that was hinted at; a hint at another one is asked again.
    #[serde(alias = "workspace_id", alias = "organization_id")]
    pub org_id: OrgId,
    /// When.
    pub at: UnixTime,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Default for Declines {
    fn default() -> Self {
        Self { version: VERSION, directories: BTreeMap::new(), unknown: Unknown::new() }
    }
}

impl Declines {
    /// Whether this hint was answered with no.
    pub fn contains(&self, directory: &str, org: &OrgId) -> bool {
        self.directories.get(directory).is_some_and(|decline| decline.org_id == *org)
    }

    /// Remembers a no.
    pub fn remember(&mut self, directory: String, org: OrgId, at: UnixTime) {
        self.directories.insert(directory, Decline { org_id: org, at, unknown: Unknown::new() });
        for _ in MAX_DECLINES..self.directories.len() {
            let oldest = self.directories.iter().min_by_key(|(_, decline)| decline.at).map(|(path, _)| path.clone());
            oldest.map(|oldest| self.directories.remove(&oldest));
        }
    }
}

impl Document for Declines {
    const INVALID: Reason = Reason::StateInvalid;

    fn check(&self) -> Result<(), Reason> {
        Ok(())
    }
}
