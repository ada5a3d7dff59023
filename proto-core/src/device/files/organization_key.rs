//! `organization-keys/{org}.json`: what a device has accepted and holds of one organization's key.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Document, Unknown, VERSION, first_version};
use crate::{
    Reason,
    api::Base64url,
    id::OrgId,
    orgkey::{Generation, Lineage, MAX_GENERATIONS, Statement},
    secret::Secret,
};

/// The file. A daemon's has statements alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationKeyFile {
    /// [`VERSION`] of the program that wrote it.
    #[serde(default = "first_version")]
    pub version: u32,
    /// Whose key it is.
    pub workspace_id: OrgId,
    /// The statements that this device has accepted, from generation 1 on: no other lineage is accepted any more.
    pub statements: Vec<Base64url>,
    /// The secrets that it holds, from generation 1 on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generations: Vec<Secret>,
    /// The secret of a generation that this device made and of which it does not know whether it is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Secret>,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl OrganizationKeyFile {
    /// The file of what a device knows and holds.
    pub fn new(org: &OrgId, lineage: &Lineage, held: &[Generation], made: Option<&Generation>) -> Self {
        Self {
            version: VERSION,
            workspace_id: org.clone(),
            statements: lineage.iter().map(|statement| Base64url(statement.encode())).collect(),
            generations: held.iter().map(|generation| generation.secret().clone()).collect(),
            made: made.map(|generation| generation.secret().clone()),
            unknown: Unknown::new(),
        }
    }

    /// The lineage in it.
    ///
    /// # Errors
    /// [`Reason::StateInvalid`]: its statements are no lineage of that organization.
    pub fn lineage(&self) -> Result<Lineage, Reason> {
        let mut lineage = Lineage::new(self.workspace_id.clone());
        for bytes in &self.statements {
            let statement = Statement::decode(&bytes.0).map_err(|_| Self::INVALID)?;
            lineage.follow(statement).map_err(|_| Self::INVALID)?;
        }
        Ok(lineage)
    }
}

impl Document for OrganizationKeyFile {
    const INVALID: Reason = Reason::StateInvalid;

    fn check(&self) -> Result<(), Reason> {
        let limit = usize::try_from(MAX_GENERATIONS).unwrap_or(usize::MAX);
        let is_sound = self.statements.len() <= limit && self.generations.len() <= self.statements.len();
        if is_sound { Ok(()) } else { Err(Self::INVALID) }
    }
}
