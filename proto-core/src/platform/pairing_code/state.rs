//! Where a code stands.

use super::event::{CheckId, Failure, Verdict};
use crate::{
    id::{OrgId, PlatformId},
    machine::unhashed::Unhashed,
};

/// What a person decided about a code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The device belongs to `org` now.
    Approved {
        /// The account that approved; it owns the machine.
        by: PlatformId,
        /// The organization it was approved for.
        org: OrgId,
    },
    /// The device belongs nowhere.
    Denied {
        /// The account that denied.
        by: PlatformId,
    },
}

impl Decision {
    /// What the device is told.
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Approved { .. } => Verdict::Approved,
            Self::Denied { .. } => Verdict::Denied,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// No user has decided.
    Pending,
    /// A user approved; whether they may is being looked up.
    Checking { check: Unhashed<CheckId>, by: PlatformId, org: OrgId },
    /// A user decided; polls get that until the code expires.
    Decided(Decision),
    /// A user decided, and the code has expired since.
    Over(Decision),
    /// Ended without a decision.
    Failed(Failure),
}
