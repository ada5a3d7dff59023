//! Inputs and outputs of [`Pairing`](super::Pairing).

use alloc::{boxed::Box, string::String};

use crate::{
    Reason,
    api::{Approval, PairingMode},
    effect::{Effect, IoEvent},
    id::DeviceKind,
    machine::{TimerKind, time::Instant},
    secret::Secret,
};

/// What is asked of the adapter. Numbered where it is asked again, so that a late answer is not taken for a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectId {
    /// The n-th request for a code.
    Mint(u32),
    /// The n-th question whether the user decided.
    Poll(u32),
    /// The n-th request for the platform's key set.
    KeySet(u32),
    /// Make `pending-pairing.json` durable.
    Save,
    /// Remove it.
    Forget,
}

/// Facts for a pairing.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// What came of an effect.
    Io(IoEvent<EffectId>),
    /// The binding of [`Output::Approved`] is durable, or was already when this pairing was resumed.
    Adopted,
    /// The binding of [`Output::Approved`] was not taken, and why.
    Rejected(Reason),
    /// Ctrl-C, `vpd pair --cancel`, or a newer pairing (S20). Too late once the approval was handed over.
    Cancel,
}

/// What a pairing wants, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// For the adapter.
    Effect(Effect<EffectId>),
    /// Code, status token and identity are durable: show this to a person (PAIR-5).
    ShowCode(Shown),
    /// Something stands in the way; the pairing goes on. Said again only when it changes.
    Trouble(Reason),
    /// Approved, and the credential holds. Make the binding durable, then answer with [`Input::Adopted`] or
    /// [`Input::Rejected`].
    Approved(Box<Paired>),
}

/// What a person needs to approve a pairing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shown {
    /// Eight characters of [`CODE_ALPHABET`](crate::api::CODE_ALPHABET).
    pub code: String,
    /// The page to open.
    pub url: String,
    /// When both end.
    pub expires_at: Instant,
}

/// A complete new binding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Paired {
    /// What paired.
    pub kind: DeviceKind,
    /// What becomes of existing bindings.
    pub mode: PairingMode,
    /// The platform's base URL, without a slash at its end.
    pub api_endpoint: String,
    /// The seed of its identity.
    pub seed: Secret,
    /// The credential's `gen`.
    pub generation: u64,
    /// Everything else.
    pub approval: Approval,
}

/// What a pairing does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The next request to the platform.
    AskAgain,
    /// The end of the code.
    Expiry,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::AskAgain => "ask the platform again",
            Self::Expiry => "the code expires",
        }
    }
}
