//! The hub's state: orgs, sessions, and the links that use them.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

use bytes::Bytes;

use super::{
    PEER_FIRST, PEER_SHARE, PEER_WINDOW, VIEWER_WINDOW,
    event::{ConnectionId, SealedRecord, SessionNumber, Tally, weight},
};
use crate::{
    Unhashed,
    id::{OrgId, PlatformId, SessionId},
    machine::time::UnixTime,
    secret::SecretText,
    wire::{Frame, Head, Listing, Outcome, Standing},
};

/// One org's part of the relay. Nothing in here refers to another org.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Org {
    /// Its sessions by their ids.
    pub(super) sessions: BTreeMap<SessionId, SessionNumber>,
    /// The link of each runtime target that has one.
    pub(super) links: BTreeMap<PlatformId, ConnectionId>,
    /// Runtime targets that run sessions, connected or not.
    pub(super) daemons: BTreeMap<PlatformId, Daemon>,
    /// Those of the links that watch.
    pub(super) viewers: BTreeSet<ConnectionId>,
}

impl Org {
    /// A session is gone; so is its runtime target, when it has no other and no link.
    pub(super) fn forget(&mut self, session: &Session) {
        self.sessions.remove(&session.id);
        let Some(daemon) = self.daemons.get_mut(&session.target) else { return };
        daemon.sessions = daemon.sessions.saturating_sub(1);
        if daemon.sessions == 0 && !self.links.contains_key(&session.target) {
            self.daemons.remove(&session.target);
        }
    }

    pub(super) fn is_unused(&self) -> bool {
        self.sessions.is_empty() && self.links.is_empty() && self.daemons.is_empty()
    }
}

/// A runtime target that is connected as a daemon or has sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Daemon {
    /// Its latest credential.
    pub(super) credential: SecretText,
    /// How many sessions it opened first.
    pub(super) sessions: u32,
    /// How many of them have not ended, durably.
    pub(super) running: u32,
}

/// One session's stream: durable up to `durable`, then what waits for the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) org: OrgId,
    pub(super) id: SessionId,
    pub(super) target: PlatformId,
    pub(super) cipher: u8,
    pub(super) life: SessionPhase,
    /// The records below this are durable.
    pub(super) durable: u64,
    /// The records from there on, given to the store already.
    pub(super) pending: VecDeque<SealedRecord>,
    /// What `pending` holds, in bytes.
    pub(super) pending_bytes: usize,
    /// The link over which it was opened and may be continued.
    pub(super) writer: Option<ConnectionId>,
    /// Who watches it, and how far each of them is.
    pub(super) subscribers: BTreeMap<ConnectionId, Cursor>,
    pub(super) envelope: EnvelopeState,
    pub(super) tally: Unhashed<Tally>,
}

/// Whether a session has an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum EnvelopeState {
    /// No.
    None,
    /// It was given to the store.
    Stored(Bytes),
    /// It is durable.
    Durable(Bytes),
}

impl EnvelopeState {
    pub(super) const fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::None => None,
            Self::Stored(bytes) | Self::Durable(bytes) => Some(bytes),
        }
    }
}

/// Whether more records may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum SessionPhase {
    /// Yes.
    Running,
    /// It ended, which is not durable yet.
    Ending(Outcome),
    /// It ended, durably.
    Ended(Outcome),
}

impl SessionPhase {
    pub(super) const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Running => None,
            Self::Ending(outcome) | Self::Ended(outcome) => Some(outcome),
        }
    }
}

/// What became of a record that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is the next one.
    New,
    /// It was here before.
    Duplicate,
    /// Others are missing before it, or the session has ended.
    OutOfPlace,
}

impl Session {
    /// A running session without records.
    pub(super) fn new(org: OrgId, id: SessionId, target: PlatformId, cipher: u8) -> Self {
        Self {
            org,
            id,
            target,
            cipher,
            life: SessionPhase::Running,
            durable: 0,
            pending: VecDeque::new(),
            pending_bytes: 0,
            writer: None,
            subscribers: BTreeMap::new(),
            envelope: EnvelopeState::None,
            tally: Unhashed(Tally::default()),
        }
    }

    /// What viewers are told of it.
    pub(super) fn listing(&self) -> Listing {
        let standing = match (self.life.outcome(), self.writer) {
            (Some(Outcome::Exited), _) => Standing::Exited,
            (Some(Outcome::Cut), _) => Standing::Cut,
            (None, Some(_)) => Standing::Live,
            (None, None) => Standing::Away,
        };
        let Tally { began, active, bytes } = self.tally.0;
        Listing { standing, began, active, bytes, records: self.received() }
    }

    /// Its daemon says something new of it: a record of so many bytes, or its end.
    pub(super) const fn tell(&mut self, now: UnixTime, bytes: usize) {
        let tally = &mut self.tally.0;
        tally.active = now;
        tally.bytes = tally.bytes.saturating_add(bytes as u64);
    }

    /// The sequence that is expected next.
    pub(super) fn received(&self) -> u64 {
        self.durable.saturating_add(self.pending.len() as u64)
    }

    /// What the daemon is to send next: an end that is durable counts as one more record (WIRE section 6).
    pub(super) fn expected(&self) -> u64 {
        self.received().saturating_add(u64::from(self.has_ended()))
    }

    /// What is acknowledged: the records that are durable, and the end once it is.
    pub(super) fn acknowledged(&self) -> u64 {
        self.durable.saturating_add(u64::from(self.has_ended()))
    }

    pub(super) const fn has_ended(&self) -> bool {
        matches!(self.life, SessionPhase::Ended(_))
    }

    /// Takes the record when it is the next one.
    pub(super) fn arrive(&mut self, sequence: u64, record: &SealedRecord) -> Arrival {
        let expected = self.received();
        if sequence < expected {
            return Arrival::Duplicate;
        }
        if sequence > expected || self.life != SessionPhase::Running {
            return Arrival::OutOfPlace;
        }
        self.pending_bytes = self.pending_bytes.saturating_add(record.body.len());
        self.pending.push_back(record.clone());
        Arrival::New
    }

    /// Lets go of what became durable; says how many bytes that was.
    pub(super) fn settle(&mut self, next: u64) -> usize {
        let mut bytes = 0_usize;
        while self.durable < next {
            let Some(record) = self.pending.pop_front() else { break };
            bytes = bytes.saturating_add(record.body.len());
            self.durable = self.durable.saturating_add(1);
        }
        self.pending_bytes = self.pending_bytes.saturating_sub(bytes);
        bytes
    }

    /// The record with this sequence, when it is still in memory.
    pub(super) fn in_memory(&self, sequence: u64) -> Option<&SealedRecord> {
        let place = sequence.checked_sub(self.durable)?;
        self.pending.get(usize::try_from(place).ok()?)
    }

    /// Every viewer that has all there is stands in its queue again; says who these are.
    pub(super) fn queue_live(&mut self) -> Vec<ConnectionId> {
        let live = self.subscribers.iter_mut().filter(|(_, cursor)| cursor.pace == Pace::Live);
        live.map(|(connection, cursor)| {
            cursor.pace = Pace::Queued;
            *connection
        })
        .collect()
    }

    /// A record as the frame that carries it.
    pub(super) fn frame(&self, sequence: u64, record: &SealedRecord) -> Frame {
        Frame { head: Head::Data { session: self.id, epoch: record.epoch, sequence }, body: record.body.clone() }
    }
}

/// How far a viewer is in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cursor {
    /// The sequence it gets next. It may be ahead of the session: after a crash of the relay it can have seen records live that
    /// had not become durable, and they come again from the daemon.
    pub(super) next: u64,
    pub(super) pace: Pace,
}

/// Where a viewer's next record of a session comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pace {
    /// It has all there is: the next record is sent as it arrives.
    Live,
    /// It is behind, and stands in its link's queue.
    Queued,
    /// It is behind, and the store was asked.
    Reading,
}

/// A confirmed connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Link {
    pub(super) org: OrgId,
    pub(super) target: PlatformId,
    /// What was sent and not taken by the socket, and what was asked of the store for it, in [`weight`].
    pub(super) outstanding: usize,
    pub(super) role: LinkRole,
}

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum LinkRole {
    Daemon(DaemonLink),
    Viewer(ViewerLink),
}

/// The daemon's side of the traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct DaemonLink {
    /// The sessions opened over this link.
    pub(super) opened: BTreeMap<SessionId, SessionNumber>,
    /// Bytes of their records that are not durable.
    pub(super) unstored: usize,
    /// The `Peer` frames under way to it.
    pub(super) peers: Peers,
}

/// The `Peer` frames under way to one daemon, among other frames, and whose they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Peers {
    /// Oldest first.
    frames: VecDeque<PeerFrame>,
    /// The weight of other frames that were sent after the last of them.
    others_after: usize,
    /// What each viewer has under way.
    shares: BTreeMap<ConnectionId, usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PeerFrame {
    from: ConnectionId,
    weight: usize,
    /// The weight of other frames that were sent since the one before.
    others_before: usize,
}

impl Peers {
    /// What a viewer has under way.
    pub(super) fn share(&self, of: ConnectionId) -> usize {
        self.shares.get(&of).copied().unwrap_or_default()
    }

    /// What all viewers have under way.
    pub(super) fn total(&self) -> usize {
        self.shares.values().fold(0, |sum, share| sum.saturating_add(*share))
    }

    /// Another frame is sent.
    pub(super) const fn send_other(&mut self, weight: usize) {
        self.others_after = self.others_after.saturating_add(weight);
    }

    /// A viewer's frame is sent.
    pub(super) fn send(&mut self, from: ConnectionId, weight: usize) {
        let others_before = core::mem::take(&mut self.others_after);
        self.frames.push_back(PeerFrame { from, weight, others_before });
        let share = self.shares.entry(from).or_default();
        *share = share.saturating_add(weight);
    }

    /// The socket took so much, oldest first.
    pub(super) fn taken(&mut self, mut weight: usize) {
        while weight > 0 {
            let Some(frame) = self.frames.front_mut() else {
                self.others_after = self.others_after.saturating_sub(weight);
                return;
            };
            let others = frame.others_before.min(weight);
            frame.others_before = frame.others_before.saturating_sub(others);
            weight = weight.saturating_sub(others);
            let part = frame.weight.min(weight);
            frame.weight = frame.weight.saturating_sub(part);
            weight = weight.saturating_sub(part);
            let (from, is_out) = (frame.from, frame.weight == 0);
            if let Some(share) = self.shares.get_mut(&from) {
                *share = share.saturating_sub(part);
                if *share == 0 {
                    self.shares.remove(&from);
                }
            }
            if is_out {
                self.frames.pop_front();
            }
        }
    }
}

/// The viewer's side of the traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ViewerLink {
    /// The sessions it has not heard of yet.
    pub(super) unannounced: BTreeSet<SessionNumber>,
    /// Those that it has heard of, and whose envelope came later.
    pub(super) unenveloped: BTreeSet<SessionNumber>,
    /// The sessions it asked for and has not seen the end of.
    pub(super) subscriptions: BTreeSet<SessionNumber>,
    /// Those of them that are [`Pace::Queued`], served in turn.
    pub(super) queue: VecDeque<SessionNumber>,
}

impl Link {
    pub(super) fn has_room(&self) -> bool {
        self.outstanding < VIEWER_WINDOW
    }

    pub(super) fn charge(&mut self, frame: &Frame) {
        self.outstanding = self.outstanding.saturating_add(weight(frame));
        if let LinkRole::Daemon(daemon) = &mut self.role {
            daemon.peers.send_other(weight(frame));
        }
    }

    /// The same for a `Peer` frame of this viewer.
    pub(super) fn charge_to(&mut self, viewer: ConnectionId, frame: &Frame) {
        self.outstanding = self.outstanding.saturating_add(weight(frame));
        if let LinkRole::Daemon(daemon) = &mut self.role {
            daemon.peers.send(viewer, weight(frame));
        }
    }

    /// Whether a `Peer` frame of this viewer may go to this daemon: within the viewer's own share and the window of all; a first,
    /// small one always, so that viewers who fill the window cannot keep a session's key from another.
    pub(super) fn has_room_for(&self, viewer: ConnectionId, weight: usize) -> bool {
        let LinkRole::Daemon(daemon) = &self.role else { return false };
        match daemon.peers.share(viewer) {
            0 => self.outstanding < PEER_WINDOW || weight <= PEER_FIRST,
            share => share < PEER_SHARE && self.outstanding < PEER_WINDOW,
        }
    }

    /// The socket took so much of what was charged.
    pub(super) fn settle(&mut self, weight: usize) {
        self.outstanding = self.outstanding.saturating_sub(weight);
        if let LinkRole::Daemon(daemon) = &mut self.role {
            daemon.peers.taken(weight);
        }
    }

    /// What is under way of the relay's own answers to a daemon; what others sent is not the daemon's doing.
    pub(super) fn answers(&self) -> usize {
        match &self.role {
            LinkRole::Daemon(daemon) => self.outstanding.saturating_sub(daemon.peers.total()),
            LinkRole::Viewer(_) => 0,
        }
    }

    pub(super) const fn daemon_mut(&mut self) -> Option<&mut DaemonLink> {
        match &mut self.role {
            LinkRole::Daemon(daemon) => Some(daemon),
            LinkRole::Viewer(_) => None,
        }
    }

    /// A session stands in the viewer's queue again.
    pub(super) fn enqueue(&mut self, number: SessionNumber) {
        match &mut self.role {
            LinkRole::Viewer(viewer) => viewer.queue.push_back(number),
            LinkRole::Daemon(_) => {}
        }
    }

    pub(super) const fn viewer_mut(&mut self) -> Option<&mut ViewerLink> {
        match &mut self.role {
            LinkRole::Viewer(viewer) => Some(viewer),
            LinkRole::Daemon(_) => None,
        }
    }
}
