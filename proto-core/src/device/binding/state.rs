//! Where a binding stands, and where the disk stands.

use alloc::{boxed::Box, collections::BTreeSet};

use crate::{
    BindingId, Instant, Reason, SessionId, Unhashed,
    api::Workspace,
    crypto::Identity,
    device::{
        bridge::MAX_SESSIONS,
        files::{BindingRecord, BindingState, Config},
    },
    effect::StateFile,
};

/// One binding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    pub(super) record: BindingRecord,
    pub(super) phase: Phase,
    pub(super) sessions: BTreeSet<SessionId>,
}

/// Where a binding stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It takes new sessions.
    Active(Identity),
    /// It lives until its last session ended.
    Draining(Identity),
    /// Its key is missing, damaged or not the one that its credential names. Only a person ends it.
    Broken(Reason),
    /// Disconnected; on its way out of the disk.
    Leaving,
}

impl Binding {
    /// What `config.json` says about it.
    pub const fn record(&self) -> &BindingRecord {
        &self.record
    }

    /// Where it stands.
    pub const fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The sessions that are pinned to it.
    pub const fn sessions(&self) -> &BTreeSet<SessionId> {
        &self.sessions
    }

    /// Its key, while it may connect.
    pub const fn identity(&self) -> Option<&Identity> {
        match &self.phase {
            Phase::Active(identity) | Phase::Draining(identity) => Some(identity),
            Phase::Broken(_) | Phase::Leaving => None,
        }
    }

    /// Its organization as people know it.
    pub fn workspace(&self) -> Workspace {
        let BindingRecord { workspace_id, slug, name, .. } = &self.record;
        Workspace { id: workspace_id.clone(), slug: slug.clone(), name: name.clone() }
    }

    /// Whether this session can be pinned to it: there are at most [`MAX_SESSIONS`].
    pub(super) fn has_room_for(&self, session: SessionId) -> bool {
        self.sessions.len() < MAX_SESSIONS || self.sessions.contains(&session) || !matches!(self.phase, Phase::Active(_))
    }

    /// Whether another pairing with this org would overwrite it.
    pub(super) const fn is_current(&self) -> bool {
        matches!(self.phase, Phase::Active(_) | Phase::Broken(_))
    }

    /// What of it belongs on disk.
    pub(super) fn wanted(&self) -> Option<BindingRecord> {
        let state = match self.phase {
            Phase::Active(_) | Phase::Broken(_) => self.record.state,
            Phase::Draining(_) => BindingState::Draining,
            Phase::Leaving => return None,
        };
        Some(BindingRecord { state, ..self.record.clone() })
    }
}

/// A binding that is being made durable. Until then everything else is as before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Joining {
    pub(super) id: BindingId,
    pub(super) record: BindingRecord,
    pub(super) file: StateFile,
    pub(super) identity: Identity,
    /// The bindings that drain as soon as this one is durable.
    pub(super) replaces: BTreeSet<BindingId>,
}

/// What the adapter is doing with the disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Disk {
    /// Nothing.
    Idle,
    /// One store or removal.
    Writing { number: Unhashed<u32>, change: Change },
    /// Nothing: the last one failed, the next one starts then.
    Pausing { until: Instant },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    Identity(StateFile),
    Config(Box<Config>),
    Removal(StateFile),
}
