//! Inputs and outputs of [`Connection`](super::Connection).

use alloc::boxed::Box;

use crate::{
    Reason,
    effect::{Effect, IoEvent},
    id::{OrgId, PlatformId},
    jose::Thumbprint,
    machine::TimerKind,
    noise::handshake::responder,
    relay::{
        admission::KeyAnswer,
        hub::{Confirmed, Kind},
    },
    secret::SecretText,
    wire::{Frame, Role},
};

/// What an effect or a lookup was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectId {
    /// The connection itself.
    Socket,
    /// A decision about a credential: the first one, or one that was renewed since.
    Decide(u32),
}

/// Facts for a connection.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Something arrived, was sent, or came of an [`Output::Effect`].
    Io(IoEvent<EffectId>),
    /// The answer to [`Output::LookUp`].
    Key(EffectId, KeyAnswer),
    /// The hub sends this frame.
    Send(Frame),
    /// The hub sends this frame, its body as a tail.
    SendTail(Frame),
    /// The hub ends the connection.
    Close(Reason),
    /// The hub is behind: nothing is read until [`Input::ResumeReading`].
    PauseReading,
    /// The hub has caught up.
    ResumeReading,
    /// The hub has the credential validated again: access may have ended since it was.
    Revalidate,
}

/// What to do, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Perform this.
    Effect(Effect<EffectId>),
    /// Look this key up in the key set; answered by [`Input::Key`].
    LookUp(EffectId, Thumbprint),
    /// The device is there and may be: the hub must know before any frame.
    Confirmed(Box<Device>),
    /// A frame for the hub, allowed in this direction.
    Frame(Frame),
    /// The credential was renewed.
    Renewed(SecretText),
    /// The socket took frames of the hub that weigh this much, see [`weight`](crate::relay::hub::weight).
    Taken(usize),
    /// The connection has ended. Nothing but an [`Effect::Close`] comes after this, at most.
    Ended(Ended),
}

/// The device of a confirmed connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    /// Its org.
    pub org: OrgId,
    /// Its runtime target.
    pub target: PlatformId,
    /// Daemon or viewer.
    pub role: Role,
    /// Its credential.
    pub token: SecretText,
    /// What it says it runs; not checked, at most 64 bytes.
    pub software: alloc::string::String,
}

impl Device {
    /// What the hub needs of it.
    pub fn for_hub(&self) -> Confirmed {
        let kind = if self.role == Role::Daemon { Kind::Daemon(self.token.clone()) } else { Kind::Viewer };
        Confirmed { org: self.org.clone(), target: self.target.clone(), kind }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ended {
    /// Why; `None` when the device left, or was lost, with nothing wrong.
    pub reason: Option<Reason>,
    /// How far it had come.
    pub stage: Stage,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Nothing is known of the peer.
    Unauthenticated,
    /// Its handshake is under way, and its credential is being decided about.
    Deciding,
    /// It may come in, if it is there now and not a replay.
    Unconfirmed,
    /// It is in.
    Admitted,
}

impl Stage {
    /// For logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Deciding => "deciding",
            Self::Unconfirmed => "unconfirmed",
            Self::Admitted => "admitted",
        }
    }
}

/// What a connection does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The handshake takes too long.
    Handshake(responder::Timer),
    /// A ping, because nothing was sent for a while.
    Ping,
    /// The platform is asked again about a renewed credential.
    Revalidation,
    /// The credential of the live link has expired; the platform is asked about it.
    Expiry,
    /// The end, because nothing was received for too long.
    Silence,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Handshake(timer) => timer.why(),
            Self::Ping => "peer: ping",
            Self::Revalidation => "peer: renewal",
            Self::Expiry => "peer: expiry",
            Self::Silence => "peer: silence",
        }
    }
}
