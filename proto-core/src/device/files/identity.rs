//! `relay-identities/{org}.json`: the key of one binding.

use serde::{Deserialize, Serialize};

use super::{Document, Unknown, VERSION, first_version};
use crate::{Reason, secret::Secret};

/// What an identity file says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdentityFile {
    /// [`VERSION`] of the program that wrote it.
    #[serde(default = "first_version")]
    pub version: u32,
    /// The seed that the identity key and the static key are derived from.
    pub seed: Secret,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl IdentityFile {
    /// The file of a fresh seed.
    pub fn new(seed: Secret) -> Self {
        Self { version: VERSION, seed, unknown: Unknown::new() }
    }
}

impl Document for IdentityFile {
    const INVALID: Reason = Reason::StateInvalid;

    fn check(&self) -> Result<(), Reason> {
        Ok(())
    }
}
