//! Inputs and outputs of a viewer.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    Reason, SessionId,
    api::NamedMachine,
    device::{
        credential::Renewal,
        files::{OrganizationKeyFile, RelayRecord},
        orgkey::KeyEvent,
        uplink::{self, EffectId},
    },
    effect::{Effect, IoEvent},
    machine::TimerKind,
    wire::{Outcome, Record},
};

/// Facts and commands for a viewer.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// What came of an effect, or what the relay sent.
    Io(IoEvent<EffectId>),
    /// The credential of [`Output::Renewed`] is durable.
    Stored(RelayRecord),
    /// Show this session, from its beginning, as soon as there is one of that name.
    Watch(SessionId),
    /// Show no more of this session, until it is to be watched again.
    Leave(SessionId),
    /// Whether the file of [`Output::Keep`] is durable.
    Kept(bool),
    /// Try now: a wake-up, a changed network.
    RetryNow,
    /// Close and end.
    Stop,
}

/// What a viewer wants, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// For the adapter.
    Effect(Effect<EffectId>),
    /// Make this credential durable, then answer with [`Input::Stored`].
    Renewed(Box<Renewal>),
    /// The link came up; the sessions of the org follow.
    Up,
    /// The link was lost or an attempt failed, and why; it tries again by itself.
    Down(Reason),
    /// The credential was not renewed, and why; it tries again by itself. Says nothing about the link.
    NotRenewed(Reason),
    /// The credential cannot be renewed any more: only pairing again helps (D8).
    RenewalExpired,
    /// There is this session, or the relay says something else of it than before; see [`Viewer::about`](super::Viewer::about).
    Listed(SessionId),
    /// A record of a watched session, in order, without gaps.
    Record(SessionId, Record),
    /// A watched session has ended; all its records were shown.
    Ended(SessionId, Outcome),
    /// A watched session cannot be shown, and why.
    Failed(SessionId, Reason),
    /// Make this durable, then answer with [`Input::Kept`].
    Keep(Box<OrganizationKeyFile>),
    /// What happened to the organization's key.
    KeyNews(KeyEvent),
    /// The machines whose sessions there may be, as people know them.
    Machines(Vec<NamedMachine>),
    /// The relay ended this device's access, under its pinned key: delete the binding.
    Revoked(Reason),
}

/// What a viewer does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The platform's keys are asked for again, to verify the credential of a session's daemon.
    AskForKeys,
    /// The daemon of a session is asked again.
    AskAgain,
    /// The daemon of a session takes too long to answer.
    DaemonAnswer,
    /// The uplink.
    Uplink(uplink::Timer),
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::AskForKeys => "ask for the platform's keys again",
            Self::AskAgain => "ask the daemon again",
            Self::DaemonAnswer => "the daemon's answer",
            Self::Uplink(timer) => timer.why(),
        }
    }
}
