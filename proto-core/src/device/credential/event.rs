//! Inputs and outputs of [`Rotation`](super::Rotation).

use alloc::boxed::Box;

use crate::{
    Reason, UnixTime,
    api::Renewed,
    effect::{Effect, IoEvent},
    machine::TimerKind,
    secret::SecretText,
};

/// The n-th request for a new credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u32);

/// Facts for a rotation.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// What came of an effect.
    Io(IoEvent<EffectId>),
    /// The credential of [`Output::Renewed`] is durable.
    Stored,
    /// Renew as soon as the limit of attempts allows: `vpd restart`, or a relay that takes the credential for expired.
    RenewNow,
    /// The platform's time, as another answer of the platform states it.
    Stated(UnixTime),
}

/// What a rotation wants, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// For the adapter.
    Effect(Effect<EffectId>),
    /// Make this durable, with [`BindingRecord::renew`](crate::device::files::BindingRecord::renew), then answer with
    /// [`Input::Stored`].
    Renewed(Box<Renewal>),
    /// The new credential is durable: tell the relay in band, and use it for every connection from now on.
    Announce(SecretText),
    /// The last attempt brought nothing, and why; it goes on. Said again only when the reason changes.
    Trouble(Reason),
    /// Past its hard expiry: no attempt is made any more, only pairing again helps.
    RenewalExpired,
}

/// A renewed credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Renewal {
    /// Its `gen`.
    pub generation: u64,
    /// The credential and what the platform says about the relay.
    pub answer: Renewed,
}

/// What a rotation does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The next attempt to renew the credential.
    Renewal,
    /// The hard expiry of the credential.
    Lapse,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Renewal => "renew the credential",
            Self::Lapse => "the credential lapses",
        }
    }
}
