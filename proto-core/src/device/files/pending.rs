//! `pending-pairing.json`: a pairing that waits for its approval.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::{Document, Unknown, first_version};
use crate::{
    Reason,
    api::{CodeText, PairingMode},
    id::DeviceKind,
    machine::time::UnixTime,
    secret::{Secret, SecretText},
};

/// All that a pairing needs to go on after a restart (PAIR-6).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingPairing {
    /// [`super::VERSION`] of the program that wrote it.
    #[serde(default = "first_version")]
    pub version: u32,
    /// The platform's base URL.
    pub api_endpoint: String,
    /// What pairs.
    pub kind: DeviceKind,
    /// What becomes of existing bindings.
    pub mode: PairingMode,
    /// The organization that was asked for, by id or slug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// The seed of the identity made for this pairing.
    pub seed: Secret,
    /// The code that a person sees.
    pub code: String,
    /// Authenticates the polls.
    pub status_token: SecretText,
    /// The page to open.
    pub url: String,
    /// Seconds between polls.
    pub interval: u64,
    /// When the code ends.
    pub expires_at: UnixTime,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Document for PendingPairing {
    const INVALID: Reason = Reason::StateInvalid;

    fn check(&self) -> Result<(), Reason> {
        // The code becomes part of a URL.
        if self.code.parse::<CodeText>().is_ok_and(|code| code.as_str() == self.code) { Ok(()) } else { Err(Self::INVALID) }
    }
}
