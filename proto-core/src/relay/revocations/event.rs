//! Inputs and outputs of a feed.

use alloc::vec::Vec;

use crate::{
    Reason,
    effect::{Effect, IoEvent},
    id::{OrgId, PlatformId},
    machine::TimerKind,
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
    Connected,
    /// Access ended for these; at least one.
    Revoked {
        /// Runtime targets that were revoked.
        targets: Vec<PlatformId>,
        /// Organizations that were deleted.
        orgs: Vec<OrgId>,
    },
    /// What was found valid before now has to be validated again: the feed does not say what was revoked in the meantime.
    Revalidate,
    /// The feed cannot be followed; said once, until [`Output::Connected`].
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

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Poll => "revocations: ask",
        }
    }
}
