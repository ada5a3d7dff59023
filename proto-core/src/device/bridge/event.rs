//! Inputs and outputs of a bridge.

use alloc::boxed::Box;

use crate::{
    Reason, SessionId,
    crypto::{Cipher, seal::EpochSecret},
    device::{
        credential::Renewal,
        files::{OrganizationKeyFile, RelayRecord},
        orgkey::KeyEvent,
        uplink::{self, EffectId},
    },
    effect::{Effect, IoEvent},
    machine::TimerKind,
    noise::handshake::responder,
    wire::Frame,
};

/// The driver's number for a process that makes records: one connection of `vpd run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u64);

impl SourceId {
    /// The daemon itself, which hands over what it kept of a session: no driver's number for a process.
    pub const SPOOL: Self = Self(u64::MAX);
}

/// Facts and commands for a bridge.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// What came of an effect, or what the relay sent.
    Io(IoEvent<EffectId>),
    /// The credential of [`Output::Renewed`] is durable.
    Stored(RelayRecord),
    /// A session is pinned to this binding: its key may be given to viewers. It has no source until one attaches.
    Know {
        /// Which.
        session: SessionId,
        /// How it is sealed.
        cipher: Cipher,
        /// Epoch 0's secret.
        secret: EpochSecret,
    },
    /// The key of this session is given to no viewer any more.
    Forget(SessionId),
    /// A process makes records of this session now.
    Attach(SourceId, SessionId),
    /// It says this.
    Frame(SourceId, Frame),
    /// It is gone.
    Detach(SourceId),
    /// Whether the file of [`Output::Keep`] is durable.
    Kept(bool),
    /// Try now: a restart, a wake-up, a changed network.
    RetryNow,
    /// The binding ends: tell the sources why, close the link.
    Cut(Reason),
    /// Close the link; the sources are told nothing, as another bridge of the same binding takes over.
    Stop,
}

/// What a bridge wants, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// For the adapter.
    Effect(Effect<EffectId>),
    /// Hand this to the process that makes records.
    ToSource(SourceId, Frame),
    /// The relay has all of this session, its end too.
    SessionOver(SessionId),
    /// The relay does not take this session for now, and why; it is asked again by itself. Said once until it takes it.
    Declined(SessionId, Reason),
    /// Make this credential durable, then answer with [`Input::Stored`].
    Renewed(Box<Renewal>),
    /// The credential was not renewed, and why; it tries again by itself.
    NotRenewed(Reason),
    /// The credential cannot be renewed any more: only pairing again helps (D8).
    RenewalExpired,
    /// The link came up.
    Up,
    /// The link was lost or an attempt failed, and why; it tries again by itself.
    Down(Reason),
    /// Make this durable, then answer with [`Input::Kept`].
    Keep(Box<OrganizationKeyFile>),
    /// What happened to the organization's key.
    KeyNews(KeyEvent),
    /// The relay ended this binding, under its pinned key: delete it.
    Ended(Reason),
}

/// What a bridge's deadlines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The uplink.
    Uplink(uplink::Timer),
    /// The handshake of a viewer.
    KeyRequest(responder::Timer),
    /// Sessions that the relay declined.
    OpenAgain,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Uplink(timer) => timer.why(),
            Self::KeyRequest(timer) => timer.why(),
            Self::OpenAgain => "open a session again that the relay declined",
        }
    }
}
