//! Inputs and outputs of [`Admission`](super::Admission).

use alloc::boxed::Box;

use crate::{
    effect::{Effect, IoEvent},
    jose::{Claims, Thumbprint},
    key::IdentityKey,
    secret::Secret,
    wire::Refused,
};

/// The answers to what it asked.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The answer to [`Output::LookUp`].
    Key(KeyAnswer),
    /// What came of [`Output::Effect`].
    Io(IoEvent<()>),
}

/// What the key set says about a key (see [`keyset`](crate::keyset)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyAnswer {
    /// This is it.
    Found(IdentityKey),
    /// There is none of that name.
    Unknown,
    /// Not known: the key set's endpoint does not answer.
    Unreachable,
}

/// What to do, and the decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Look the key of this name up; answered by [`Input::Key`].
    LookUp {
        /// The name.
        kid: Thumbprint,
    },
    /// Ask the platform; answered by [`Input::Io`].
    Effect(Effect<()>),
    /// Yes.
    Admitted(Box<Admitted>),
    /// No, and why.
    Refused(Refused),
}

/// The device that was admitted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Admitted {
    /// What the credential says, all of it checked.
    pub claims: Claims,
    /// The PSK to answer the handshake with: there under IKpsk2 and only then.
    pub psk: Option<Secret>,
}
