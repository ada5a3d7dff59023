//! Inputs and outputs of [`KeySet`](super::KeySet).

use crate::{
    Reason,
    effect::{Effect, IoEvent},
    jose::Thumbprint,
    key::IdentityKey,
    machine::{TimerKind, time::Instant},
};

/// The n-th fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u64);

/// Names one lookup; the caller chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(pub u64);

/// A question, or what came of a fetch.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Which key has this name? Answered by [`Output::Found`], [`Output::Unknown`] or [`Output::Unreachable`], exactly once.
    Look {
        /// Comes back with the answer.
        lookup: LookupId,
        /// The name.
        kid: Thumbprint,
    },
    /// What came of an [`Output::Effect`].
    Io(IoEvent<EffectId>),
}

/// What to do, what happened, and answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Fetch the key set.
    Effect(Effect<EffectId>),
    /// The key of that name.
    Found {
        /// The question.
        lookup: LookupId,
        /// The key.
        key: IdentityKey,
    },
    /// The endpoint has no key of that name: `signature_mismatch`.
    Unknown {
        /// The question.
        lookup: LookupId,
    },
    /// The endpoint does not answer, and the key is not among those held: `jwks_unreachable`.
    Unreachable {
        /// The question.
        lookup: LookupId,
    },
    /// The endpoint gave a key set.
    Refreshed {
        /// How many keys are in it.
        keys: usize,
    },
    /// A fetch failed.
    Stale {
        /// When the keys that go on being used were fetched; `None` when there are none.
        since: Option<Instant>,
        /// `jwks_unreachable` or `platform_answer_invalid`.
        reason: Reason,
    },
}

/// What a key set does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The next fetch.
    Fetch,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Fetch => "key set: fetch",
        }
    }
}
