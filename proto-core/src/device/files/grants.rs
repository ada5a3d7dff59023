//! `grants.json`: the ledger of directories that `vpd bind` bound on this machine (D11).

use alloc::{collections::BTreeMap, string::String};

use serde::{Deserialize, Serialize};

use super::{Document, Unknown, VERSION, first_version};
use crate::{Reason, id::OrgId};

/// The most directories one ledger holds.
pub const MAX_GRANTS: usize = 65_536;

/// The ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grants {
    /// [`VERSION`] of the program that wrote it.
    #[serde(default = "first_version")]
    pub version: u32,
    /// By canonical absolute path of the directory.
    #[serde(default)]
    pub directories: BTreeMap<String, Grant>,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A directory may stream to this organization.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The organization.
    #[serde(alias = "workspace_id", alias = "organization_id")]
    pub org_id: OrgId,
    /// Nested repositories too (D10).
    #[serde(default)]
    pub recursive: bool,
    /// When it was bound: RFC 3339, UTC.
    pub bound_at: String,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Default for Grants {
    fn default() -> Self {
        Self { version: VERSION, directories: BTreeMap::new(), unknown: Unknown::new() }
    }
}

impl Document for Grants {
    const INVALID: Reason = Reason::StateInvalid;

    fn check(&self) -> Result<(), Reason> {
        if self.directories.len() <= MAX_GRANTS { Ok(()) } else { Err(Self::INVALID) }
    }
}
