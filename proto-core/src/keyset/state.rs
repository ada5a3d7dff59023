//! What a key set holds, and what it is doing about it.

use super::event::{EffectId, LookupId};
use crate::{
    jose::{JwkSet, Thumbprint},
    machine::{time::Instant, unhashed::Unhashed},
};

/// The latest keys that the endpoint gave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) keys: JwkSet,
    pub(super) at: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fetch {
    /// Until `next`; a lookup may bring that forward, but not before `allowed`.
    Idle { next: Instant, allowed: Instant, failures: u32 },
    /// Under way. `failures` are those in a row before it.
    Asked { id: Unhashed<EffectId>, started: Instant, failures: u32 },
}

impl Fetch {
    pub(super) const fn has_failed(&self) -> bool {
        match self {
            Self::Idle { failures, .. } | Self::Asked { failures, .. } => *failures > 0,
        }
    }
}

/// A lookup that the fetch under way will answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    pub(super) lookup: LookupId,
    pub(super) kid: Thumbprint,
}
