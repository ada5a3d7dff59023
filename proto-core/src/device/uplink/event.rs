//! Inputs and outputs of an uplink.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    Reason,
    api::NamedMachine,
    device::{
        credential::{self, Renewal},
        files::{OrganizationKeyFile, RelayRecord},
        link, orgkey,
    },
    effect::{Effect, IoEvent},
    jose::Thumbprint,
    keyset::{self, LookupId},
    machine::TimerKind,
    wire::Frame,
};

/// Who in the uplink asked for an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectId {
    /// The link's WebSocket.
    Link,
    /// The rotation's requests.
    Rotation(credential::EffectId),
    /// The fetch of the platform's key set.
    Keys(keyset::EffectId),
    /// A call about the organization's key.
    OrganizationKey(orgkey::EffectId),
}

/// Facts and commands for an uplink.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// What came of an effect, or what the relay sent.
    Io(IoEvent<EffectId>),
    /// The credential of [`Output::Renewed`] is durable, and so is what the platform said about the relay.
    Stored(RelayRecord),
    /// Send this frame, if the link is up; else it is dropped.
    Send(Frame),
    /// Look up which key has this name at the platform.
    Look(LookupId, Thumbprint),
    /// Whether the file of [`Output::Keep`] is durable.
    Kept(bool),
    /// Look at the organization's key now: something is to be sealed or opened.
    PollOrganizationKey,
    /// Try now: a restart, a changed network.
    RetryNow,
    /// Close and end.
    Stop,
}

/// What an uplink wants, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// For the adapter.
    Effect(Effect<EffectId>),
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
    /// The relay ended this device's access, under its pinned key.
    Ended(Reason),
    /// A frame came.
    Received(Frame),
    /// Make this durable, then answer with [`Input::Kept`].
    Keep(Box<OrganizationKeyFile>),
    /// What happened to the organization's key, which [`Uplink::organization_key`](super::Uplink::organization_key) has.
    KeyNews(orgkey::KeyEvent),
    /// The machines whose sessions there may be, as people know them.
    Machines(Vec<NamedMachine>),
    /// A lookup has ended: the key is in [`Uplink::keys`](super::Uplink::keys), or cannot be had.
    LookedUp(LookupId),
}

/// What a part of an uplink does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The key set.
    Keys(keyset::Timer),
    /// The link.
    Link(link::Timer),
    /// The organization's key.
    OrganizationKey(orgkey::Timer),
    /// The rotation.
    Rotation(credential::Timer),
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Keys(timer) => timer.why(),
            Self::Link(timer) => timer.why(),
            Self::OrganizationKey(timer) => timer.why(),
            Self::Rotation(timer) => timer.why(),
        }
    }
}
