//! Inputs and outputs of the daemon.

use alloc::{string::String, sync::Arc, vec::Vec};

use crate::{
    BindingId, Entropy, Obstacle, Reason, SessionId,
    api::Workspace,
    device::{
        binding,
        bridge::{self, SourceId},
        consent::{Change, Directory, Looked},
        control::{Attach, Attached, Bound, PairEvent, PairRequest, Unbound, UnpairRequest, Unpaired},
        incarnation::Incarnation,
        orgkey, pairing, spool, uplink,
    },
    effect::{Effect, IoEvent},
    machine::TimerKind,
    wire::Frame,
};

/// The driver's number for a request; the answer carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// On whose behalf a directory is looked at or changed, or the ledger written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskId {
    /// A request's.
    Request(RequestId),
    /// A session's that is about to start.
    Source(SourceId),
}

/// Who in the daemon asked for an effect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectId {
    /// The pairing.
    Pairing(Incarnation, pairing::EffectId),
    /// The bindings' files.
    Bindings(binding::EffectId),
    /// The running part of one binding.
    Bridge(Arc<BindingId>, Incarnation, uplink::EffectId),
    /// The ledger of grants, for a request.
    Ledger(RequestId),
    /// The pin of a session that is about to start.
    Pin(SourceId),
    /// The pin of a session whose binding is gone.
    Unpin(SessionId),
    /// What is kept of a session until the relay takes it.
    Spool(SessionId, Incarnation, spool::EffectId),
    /// What is kept of a session, which is to go.
    Erase(SessionId),
    /// What one binding keeps of its organization's key.
    Keep(Arc<BindingId>, Incarnation),
    /// What was kept of the key of an organization that this daemon is no longer paired with.
    ForgetKey,
}

/// Facts and requests for the daemon.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// What came of an effect, or what a connection brought.
    Io(IoEvent<EffectId>),
    /// A request through the control socket. Answered by [`Output::Answer`], exactly once.
    Request(RequestId, Request),
    /// A process that makes records came. The entropy is for a session's id and secret. Answered by [`Output::Attached`].
    Attach(SourceId, Attach, Entropy),
    /// It says this.
    Frame(SourceId, Frame),
    /// It is gone.
    Detach(SourceId),
    /// What stands in the directory of an [`Output::Look`].
    Looked(TaskId, Looked),
    /// What became of an [`Output::Change`].
    Changed(TaskId, Result<(), Reason>),
}

/// What can be asked through the local interface. Directories are absolute and canonical.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Pair; the entropy is for the new identity. Answered when the pairing was begun or refused; [`Output::Pairing`] follows.
    Pair(PairRequest, Entropy),
    /// Leave a pairing that waits.
    CancelPairing,
    /// Remove a binding.
    Unpair(UnpairRequest),
    /// Bind a directory.
    Bind(Bind),
    /// Take a binding of a directory back.
    Unbind(Directory),
    /// Try every waiting link now.
    Reconnect,
}

/// A directory to bind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bind {
    /// Which.
    pub directory: Directory,
    /// To which organization, by id or slug.
    pub org: Option<String>,
    /// Nested repositories too.
    pub recursive: bool,
    /// The user knows that it takes the place of a binding to another organization (F40).
    pub confirmed: bool,
}

impl Bind {
    /// This directory, up to the next nested repository.
    pub const fn new(directory: Directory, org: Option<String>) -> Self {
        Self { directory, org, recursive: false, confirmed: false }
    }
}

/// What the daemon wants, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// For the adapter.
    Effect(Effect<EffectId>),
    /// The answer to a request.
    Answer(RequestId, Result<Answer, Reason>),
    /// For all clients that wait for the pairing.
    Pairing(PairEvent),
    /// The answer to a process that makes records.
    Attached(SourceId, Attached),
    /// Hand this to it.
    ToSource(SourceId, Frame),
    /// Look what stands in this directory. Answered by [`Input::Looked`].
    Look(TaskId, Directory),
    /// Change these files, in their order. Answered by [`Input::Changed`].
    Change(TaskId, Vec<Change>),
    /// For the log.
    Log(Event),
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It is done.
    Done,
    /// The binding is gone.
    Unpaired(Unpaired),
    /// The directory is bound.
    Bound(Bound),
    /// The directory is not bound any more.
    Unbound(Unbound),
}

/// What happened, for people who read the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A pairing waits for its approval.
    PairingShown,
    /// Something is in the way of the pairing; it goes on.
    PairingTrouble(Reason, Option<Obstacle>),
    /// Paired.
    Paired(Workspace),
    /// The pairing did not come about.
    PairingFailed(Reason, Option<Obstacle>),
    /// The relay of this org admitted the daemon.
    Connected(BindingId),
    /// It is not connected any more, or an attempt failed.
    Disconnected(BindingId, Reason, Option<Obstacle>),
    /// The credential was renewed.
    Renewed(BindingId),
    /// It was not, for now.
    NotRenewed(BindingId, Reason, Option<Obstacle>),
    /// It cannot be renewed any more.
    RenewalExpired(BindingId),
    /// The binding takes no new sessions.
    Draining(BindingId),
    /// The binding has ended: revoked, unpaired here, or drained (then without a reason).
    Cut(BindingId, Option<Reason>),
    /// Nothing of the binding is left.
    Gone(BindingId),
    /// A session streams to this binding.
    SessionStarted(SessionId, BindingId),
    /// The relay has all of it, or the process that made its records stayed away.
    SessionEnded(SessionId, BindingId),
    /// Something happened to the organization's key.
    Key(BindingId, orgkey::KeyEvent),
    /// The relay does not take this session for now; it is asked again by itself.
    SessionDeclined(SessionId, BindingId, Reason),
    /// A state file could not be written or read.
    Trouble(Reason),
}

/// What the daemon does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The bindings.
    Bindings(binding::Timer),
    /// The bridge of a binding.
    Bridge(bridge::Timer),
    /// The pairing.
    Pairing(pairing::Timer),
    /// What stands between a session and its bridge.
    Spool(spool::Timer),
    /// A session whose process stays away is given up.
    SessionAbandoned,
    /// What is left of a session is removed again.
    Remove,
}

impl TimerKind for Timer {
    fn why(self) -> &'static str {
        match self {
            Self::Bindings(timer) => timer.why(),
            Self::Bridge(timer) => timer.why(),
            Self::Pairing(timer) => timer.why(),
            Self::Spool(timer) => timer.why(),
            Self::SessionAbandoned => "a session that stays away is given up",
            Self::Remove => "remove what is left of a session again",
        }
    }
}
