//! Where a connection stands.

use alloc::boxed::Box;

use super::{admitted::Admitted, event::Device};
use crate::{Reason, key::StaticKey, noise::handshake::Responder, relay::admission::Admission, wire::Preamble};

/// Boxed, so that a connection that waits is no larger than what it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State<N> {
    /// The handshake is under way.
    Entering(Box<Entering<N>>),
    /// The device is admitted.
    Admitted(Box<Admitted<N>>),
    /// It is over.
    Ended(Option<Reason>),
}

/// Before the device is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entering<N> {
    pub(super) responder: Responder<N>,
    pub(super) progress: Progress,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Progress {
    /// Message 1 has not come.
    AwaitingFirstMessage,
    /// The credential is being decided about.
    Deciding(Box<Deciding>),
    /// The verdict was yes; the device has not shown yet that it is there.
    Unconfirmed(Box<Confirming>),
}

/// What was said in message 1, and what is made of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Deciding {
    pub(super) admission: Admission,
    pub(super) preamble: Preamble,
    pub(super) static_key: StaticKey,
    pub(super) software: alloc::string::String,
    pub(super) token: crate::secret::SecretText,
}

/// The device that it will be once confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Confirming {
    pub(super) device: Device,
    pub(super) preamble: Preamble,
    pub(super) static_key: StaticKey,
}
