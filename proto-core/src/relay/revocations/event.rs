//! Inputs and outputs of a feed.

use alloc::vec::Vec;

use crate::{
    Reason,
    effect::{Effect, IoEvent},
    id::{GivenId, OrgId},
    machine::Wake,
};

/// The n-th request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u64);

/// What came of a request.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// What came of an [`Output::Effect`].
    Io(IoEvent<EffectId>),
}

/// What to do, and what the feed said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Ask the platform.
    Effect(Effect<EffectId>),
    /// The feed answered for the first time, or again after [`Output::Lost`].
    Followed,
    /// Access ended for these; at least one.
    Revoked {
        /// Runtime targets that were revoked.
        targets: Vec<GivenId>,
        /// Organizations that were deleted.
        orgs: Vec<OrgId>,
    },
    /// What was found valid before now has to be validated again: the feed does not say what was revoked in the meantime.
    Recheck,
    /// The feed cannot be followed; said once, until [`Output::Followed`].
    Lost(
        /// `validate_unreachable`, `internal_key_mismatch` or `platform_answer_invalid`.
        Reason,
    ),
}

/// What a feed's deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The next request.
    Poll,
}

impl Wake for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Poll => "revocations: ask",
        }
    }
}
