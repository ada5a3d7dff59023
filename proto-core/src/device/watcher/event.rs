//! Inputs and outputs of a watcher.

use alloc::vec::Vec;

use super::choice::Entry;
use crate::{
    Reason, SessionId,
    api::Workspace,
    device::{
        binding,
        incarnation::Incarnation,
        orgkey::KeyEvent,
        pairing::{self, Shown},
        uplink, viewer,
    },
    effect::{Effect, IoEvent},
    machine::TimerKind,
    wire::{Outcome, Record},
};

/// What a person wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Goal {
    /// Which sessions there are, with what runs in each of them. Answered by [`Output::Sessions`].
    List,
    /// This session to its end.
    This(SessionId),
    /// The one session that is [wanted](super::Settings::wanted), to its end; where nothing is said of it and there is none yet,
    /// the next one. Where several fit, those are listed.
    TheOnly,
    /// Every session that [`Input::Watch`] names, until [`Input::Stop`].
    Chosen,
    /// None: the pairing is dropped, and with it all that this device has of the organization. Nothing is asked for it.
    Leave,
}

/// Which of the watcher's machines asked for an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectId {
    /// The pairing.
    Pairing(Incarnation, pairing::EffectId),
    /// The bindings' files.
    Bindings(binding::EffectId),
    /// The viewer.
    Viewer(Incarnation, uplink::EffectId),
    /// What the viewer keeps of the organization's key.
    Keep(Incarnation),
    /// What was kept of the key of an organization that this device is no longer paired with.
    ForgetKey,
}

/// Facts and commands for a watcher.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// What came of an effect, or what a connection brought.
    Io(IoEvent<EffectId>),
    /// Show this session too. Ignored unless the goal is [`Goal::Chosen`].
    Watch(SessionId),
    /// Try to connect now: a changed network.
    RetryNow,
    /// Ctrl-C: a pairing that waits is cancelled, a link is closed. Said again, it ends at once whatever is still under way.
    Stop,
}

/// What a watcher wants, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// For the adapter.
    Effect(Effect<EffectId>),
    /// A pairing begins, or one that was interrupted goes on. [`Output::ShowCode`] follows.
    Pairing(PairingCause),
    /// Show this to a person, who approves it in a browser.
    ShowCode(Shown),
    /// Something stands in the way of the pairing, or a state file could not be written; it is tried again.
    Trouble(Reason),
    /// Paired, durably.
    Paired(Workspace),
    /// The link came up.
    Up {
        /// There is no session yet, and the first one will be shown.
        waits_for_session: bool,
    },
    /// The link was lost or an attempt failed, and why; it is tried again.
    Down(Reason),
    /// The credential was not renewed, and why; it is tried again.
    NotRenewed(Reason),
    /// Something happened to the organization's key.
    Key(KeyEvent),
    /// There is this session. Said once for each.
    Listed(SessionId),
    /// The sessions that there are, or that fit, [in order](super::choice::in_order), and what is known of them. The watcher has
    /// finished.
    Sessions(Vec<Entry>),
    /// A record of a session that is to be shown, in order, without gaps or repetitions.
    Record(SessionId, Record),
    /// That session has ended; all of its records were shown.
    Ended(SessionId, Outcome),
    /// That session cannot be shown, and why.
    Failed(SessionId, Reason),
}

/// Why the user is asked to approve a pairing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PairingCause {
    /// There is nothing to watch with yet.
    First,
    /// The pairing with this organization is of no use any more, for this reason. It stays until another one takes its place.
    Again(Workspace, Reason),
}

/// What a watcher's deadlines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The bindings.
    Bindings(binding::Timer),
    /// The pairing.
    Pairing(pairing::Timer),
    /// The viewer.
    Viewer(viewer::Timer),
    /// The relay has named all of its sessions.
    Listed,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Bindings(timer) => timer.why(),
            Self::Pairing(timer) => timer.why(),
            Self::Viewer(timer) => timer.why(),
            Self::Listed => "the relay has named its sessions",
        }
    }
}
