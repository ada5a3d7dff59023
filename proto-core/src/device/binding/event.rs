//! Inputs and outputs of [`Bindings`](super::Bindings).

use alloc::boxed::Box;

use crate::{
    BindingId, OrgId, Reason, SessionId,
    device::{credential::Renewal, pairing::Paired},
    effect::{Effect, IoEvent},
    machine::TimerKind,
};

/// The n-th store or removal. There is never more than one under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u32);

/// Facts and commands.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// What came of an effect.
    Io(IoEvent<EffectId>),
    /// A pairing was approved. Answered by [`Output::Adopted`] or [`Output::Refused`].
    Adopt(Box<Paired>),
    /// The binding's credential was renewed. Answered by [`Output::Saved`], sooner or later.
    Renewed {
        /// The binding.
        binding: BindingId,
        /// The new one, and what came with it.
        renewal: Box<Renewal>,
    },
    /// `vpd unpair`: cut every binding with this org, now.
    Unpair(OrgId),
    /// A refusal or revocation was opened under the relay's pinned key. Only [`Reason::ends_binding`] reasons count (BIND-6).
    Revoked {
        /// The binding.
        binding: BindingId,
        /// Why.
        reason: Reason,
    },
    /// A session was pinned to an active binding.
    SessionStarted {
        /// To which.
        binding: BindingId,
        /// The session.
        session: SessionId,
    },
    /// The session ended, and the relay has all of it.
    SessionEnded {
        /// To which it was pinned.
        binding: BindingId,
        /// The session.
        session: SessionId,
    },
}

/// What to do, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// For the adapter.
    Effect(Effect<EffectId>),
    /// The adopted binding is durable, and was [`Output::Started`] if it is new.
    Adopted(BindingId),
    /// The pairing's binding was not taken, and why. Nothing of it is left.
    Refused(Reason),
    /// The binding has a key and a durable credential: connect it. Said again when a refresh gave it another key.
    Started(BindingId),
    /// The renewed credential is durable.
    Saved(BindingId),
    /// The binding takes no new session; its running ones go on.
    Draining(BindingId),
    /// The last session of a draining binding ended: disconnect it for good.
    Drained(BindingId),
    /// Disconnect now; its sessions stream no more. With the relay's reason, if it was revoked.
    Cut(BindingId, Option<Reason>),
    /// Neither record nor key of it is on disk any more.
    Gone(BindingId),
    /// Something could not be written; it is tried again. Said once until a write succeeds.
    Trouble(Reason),
}

/// What the bindings do by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// What could not be written is written again.
    WriteAgain,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::WriteAgain => "write again what could not be written",
        }
    }
}
