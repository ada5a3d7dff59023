//! The sessions of a daemon: those that make records, those whose maker is away for now, and those that are over.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::mem;

use crate::{
    BindingId, Instant, SessionId,
    device::{bridge::SourceId, files::SessionFile},
};

/// A session that may still make records, or did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionEntry {
    pub(super) file: SessionFile,
    presence: Presence,
}

/// Whether a process makes records of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Presence {
    /// This process does.
    Here(SourceId),
    /// The process that did is away, and counts as gone for good from then on.
    Away { until: Instant },
    /// The process that did does not come back; what there is of its records is still on its way to the relay.
    Closing,
    /// It ended. Its key is still given to viewers, and its maker may ask again whether all of it arrived.
    Delivered,
    /// Its maker stayed away, so the daemon ended it. Its key is still given to viewers; it does not go on.
    Abandoned,
}

impl SessionEntry {
    pub(super) const fn presence(&self) -> Presence {
        self.presence
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.presence, Presence::Delivered | Presence::Abandoned)
    }

    pub(super) fn pin(&self) -> BindingId {
        self.file.pin()
    }

    pub(super) fn is_pinned_to(&self, binding: &BindingId) -> bool {
        self.file.workspace_id == binding.org && self.file.runtime_target_id == binding.runtime_target
    }
}

/// All of them. Thousands may be over, so those that are away are found without a look at each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Sessions {
    by_id: BTreeMap<SessionId, SessionEntry>,
    /// Every session that is away, by when it counts as over.
    away: BTreeSet<(Instant, SessionId)>,
}

impl Sessions {
    pub(super) fn get(&self, session: SessionId) -> Option<&SessionEntry> {
        self.by_id.get(&session)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, &SessionEntry)> {
        self.by_id.iter().map(|(session, running)| (*session, running))
    }

    pub(super) fn insert(&mut self, file: SessionFile, presence: Presence) {
        let session = file.session;
        self.remove(session);
        self.by_id.insert(session, SessionEntry { file, presence: Presence::Delivered });
        self.set(session, presence);
    }

    pub(super) fn remove(&mut self, session: SessionId) {
        self.set(session, Presence::Delivered);
        self.by_id.remove(&session);
    }

    /// Sets whether a process makes records of a session now; returns the previous value.
    pub(super) fn set(&mut self, session: SessionId, presence: Presence) -> Option<Presence> {
        let was = mem::replace(&mut self.by_id.get_mut(&session)?.presence, presence);
        if let Presence::Away { until } = was {
            self.away.remove(&(until, session));
        }
        if let Presence::Away { until } = presence {
            self.away.insert((until, session));
        }
        Some(was)
    }

    /// When the next session that is away counts as over.
    pub(super) fn next_abandonment(&self) -> Option<Instant> {
        self.away.first().map(|(until, _)| *until)
    }

    /// Those that count as over at `now`, in the order in which that came.
    pub(super) fn overdue(&self, now: Instant) -> Vec<SessionId> {
        self.away.iter().take_while(|(until, _)| *until <= now).map(|(_, session)| *session).collect()
    }
}
