//! All routing of one relay: which frame goes to whom, what must be durable first, who has to wait.
//!
//! The hub knows confirmed connections, orgs, sessions and what viewers want of them; it never sees a socket, a key or the
//! content of a record. Connections bring it frames that are allowed in their direction, the store tells it what is durable.
//!
//! ```text
//!   connection         hub                                store
//!   ──────────         ───                                ─────
//!   Open        ──►    the session is its target's        ──► Write::Session
//!               ◄──    Resume { received }, Acknowledge { durable }
//!   Data n      ──►    n is the next one                  ──► Write::Record ──► Appended { next }
//!               ◄────────────────────────────── Acknowledge { next } ◄──┘
//!                      │
//!                      ├──► viewers that are Live: at once, before it is durable
//!                      └──► viewers with a full window: Queued; later from memory, or:
//!                                                         ──► Read ──► Records
//!   a viewer's pace:   Live ──window full──► Queued ──not in memory──► Reading ──Records──► Queued ──all seen──► Live
//! ```
//!
//! Before the first connection of an org the driver feeds [`Input::Stored`] for every session that the store has of it. It performs
//! outputs in order, and writes become durable in order. No connection is closed for being slow, and nothing is dropped silently: a
//! slow viewer is caught up from the store, a slow store holds the daemons back. A session for which there is no room is declined
//! by itself: its daemon's link and other sessions go on. While the store cannot write, the org's daemons are told so
//! ([`Input::Storing`]).

mod daemon;
mod envelope;
mod event;
mod links;
mod state;
#[cfg(test)]
mod tests;
mod viewer;

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use core::{convert::Infallible, time::Duration};

pub use event::{
    Confirmed, ConnectionId, FRAME_WEIGHT, Input, Kind, Output, Read, Records, SealedRecord, SessionNumber, StoredSession, Tally,
    Write, weight,
};
use state::{Link, LinkRole, Org, Session};

use crate::{
    Reason, Unhashed,
    id::{OrgId, PlatformId},
    machine::{
        Deadline, Machine, Misuse, Status,
        base::MachineBase,
        time::{Instant, UnixTime, WallClock},
    },
    wire::{Frame, Head},
};

/// Confirmed connections at most; more are told `relay_full`.
pub const MAX_CONFIRMED: usize = 65_536;
/// Viewers of one org at most, each of which may make the relay hold a [`VIEWER_WINDOW`]; more are told `relay_full`.
pub const VIEWERS_PER_ORG: usize = 512;
/// Sessions of one org at most; one more is declined with `session_limit`.
pub const SESSIONS_PER_ORG: usize = 65_536;
/// Sessions of one daemon that have not ended, at most, so that one daemon cannot use up what its org has; one more is declined
/// with `session_limit`.
pub const RUNNING_PER_DAEMON: u32 = 8_192;
/// Seconds after which a daemon may open a session again that was declined.
pub const DECLINED_FOR: u32 = 60;
/// Sessions that one viewer follows at once at most; asking for more is answered with `relay_full`.
pub const SUBSCRIPTIONS_PER_VIEWER: usize = 4_096;
/// What is under way to one viewer at most before the rest waits, in [`weight`]; one frame may exceed it.
pub const VIEWER_WINDOW: usize = 1024 * 1024;
/// `Peer` frames are dropped and counted while this much is under way to their receiver.
pub const PEER_WINDOW: usize = 2 * VIEWER_WINDOW;
/// And at most this much of one viewer is under way to one daemon before its next `Peer` frames are dropped and counted; one
/// frame may exceed it.
pub const PEER_SHARE: usize = 64 * 1024;
/// A viewer's `Peer` frame of this [`weight`] at most reaches a daemon to which it has none under way, whatever other viewers
/// have: enough for a request for a session's key.
pub const PEER_FIRST: usize = 8 * 1024;
/// What one [`Output::Read`] asks for at most.
pub const MAX_READ: usize = 256 * 1024;
/// A daemon is held back while this many bytes of answers are under way to it.
pub const REPLY_WINDOW: usize = 256 * 1024;
/// A daemon is held back while this much of it is not durable.
pub const UNSTORED_PER_DAEMON: usize = 4 * 1024 * 1024;
/// Every daemon that sends is held back while this much is not durable in all.
pub const MAX_UNSTORED: usize = 64 * 1024 * 1024;
/// How long a revocation is remembered, for connections that were validated before it and confirm after it.
pub const REVOCATION_MEMORY: Duration = Duration::from_mins(1);
/// A connection confirms at most so long after the platform said that its credential is valid: what such an answer and a
/// handshake may take, and more.
pub const MAX_CONFIRMATION: Duration = Duration::from_secs(20);
/// How many revocations are remembered at most.
pub const REVOCATIONS_REMEMBERED: usize = 16_384;

/// The routing of one relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hub {
    orgs: BTreeMap<OrgId, Org>,
    /// The orgs in which a runtime target has a link: one, unless two orgs chose the same id.
    linked: BTreeMap<PlatformId, BTreeSet<OrgId>>,
    sessions: BTreeMap<SessionNumber, Session>,
    links: BTreeMap<ConnectionId, Link>,
    /// Daemons that are held back.
    held: BTreeSet<ConnectionId>,
    /// Bytes of records that are not durable.
    unstored: usize,
    /// Orgs whose records the store cannot make durable at the moment.
    failing: BTreeSet<OrgId>,
    /// The latest revocations, oldest first.
    revoked: VecDeque<(Instant, Revoked)>,
    next_number: u64,
    /// For the tallies of sessions; without one they have no times.
    wall: Unhashed<Option<WallClock>>,
    counters: Unhashed<Counters>,
    port: MachineBase<Output>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Revoked {
    Target(PlatformId),
    Org(OrgId),
    /// It is not known which: see [`Input::Revalidate`].
    Unknown,
}

/// What the hub has done and what it ignored, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Records taken from daemons.
    pub records: u64,
    /// Records sent to viewers as they arrived.
    pub delivered_live: u64,
    /// Records sent to viewers later, from memory or the store.
    pub delivered_later: u64,
    /// `Peer` frames passed on.
    pub peer_frames: u64,
    /// Sessions that were not taken, because their daemon or org had too many.
    pub declined_sessions: u64,
    /// Ignored: records that were here already.
    pub duplicate_records: u64,
    /// Ignored: inputs of a connection that the hub does not have, or no longer.
    pub unknown_connection: u64,
    /// Ignored: a connection that is confirmed twice.
    pub confirmed_twice: u64,
    /// Ignored: frames that no such connection sends.
    pub misdirected: u64,
    /// Ignored: answers of the store to requests that are no longer pending.
    pub stale_store_answers: u64,
    /// Ignored: evictions of sessions that run, or are watched.
    pub kept_sessions: u64,
    /// Ignored, and answered so: envelopes of sessions that are not here, or of another daemon.
    pub envelopes_of_no_session: u64,
    /// Ignored: stored sessions that contradict one another.
    pub contradicting_sessions: u64,
    /// Dropped: `Peer` frames whose receiver is not connected or not of that session.
    pub peer_without_receiver: u64,
    /// Dropped: `Peer` frames whose receiver has [`PEER_WINDOW`] under way already, or [`PEER_SHARE`] of this viewer.
    pub peer_without_room: u64,
}

impl Counters {
    /// What was ignored or dropped, of whatever kind.
    const fn ignored(&self) -> u64 {
        let frames = self.duplicate_records.saturating_add(self.misdirected);
        let connections = self.unknown_connection.saturating_add(self.confirmed_twice);
        let store = self.stale_store_answers.saturating_add(self.kept_sessions).saturating_add(self.contradicting_sessions);
        frames
            .saturating_add(connections)
            .saturating_add(store)
            .saturating_add(self.envelopes_of_no_session)
            .saturating_add(self.peer_without_receiver)
            .saturating_add(self.peer_without_room)
    }
}

/// One org as `/state` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgState {
    /// Which.
    pub org: OrgId,
    /// Connected daemons.
    pub daemons: usize,
    /// Connected viewers.
    pub viewers: usize,
    /// Sessions in the store.
    pub sessions: usize,
    /// Those of them that a connected daemon continues.
    pub running: usize,
}

impl Hub {
    /// A hub that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a wall clock, which numbers new sessions from there on: a number that the store has never had, nor a higher
    /// one.
    pub fn numbering_from(first: SessionNumber, wall: WallClock) -> Self {
        Self { next_number: first.0, wall: Unhashed(Some(wall)), ..Self::default() }
    }

    /// What the wall clock shows; zero without one.
    fn unix(&self) -> UnixTime {
        self.wall.0.map_or(UnixTime::default(), |wall| wall.unix_at(self.port.now()))
    }

    /// What was done and ignored so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters.0
    }

    /// Bytes of records that wait for the store.
    pub const fn unstored(&self) -> usize {
        self.unstored
    }

    /// Every org that has been here since the start.
    pub fn orgs(&self) -> Vec<OrgState> {
        self.orgs.iter().map(|(id, org)| self.org_state(id, org)).collect()
    }

    fn org_state(&self, id: &OrgId, org: &Org) -> OrgState {
        let running = org.sessions.values().filter_map(|number| self.sessions.get(number)).filter(|s| s.writer.is_some());
        OrgState {
            org: id.clone(),
            daemons: org.links.len().saturating_sub(org.viewers.len()),
            viewers: org.viewers.len(),
            sessions: org.sessions.len(),
            running: running.count(),
        }
    }

    fn received(&mut self, from: ConnectionId, frame: Frame) {
        let Some(link) = self.links.get(&from) else {
            self.counters.0.unknown_connection += 1;
            return;
        };
        let is_daemon = matches!(link.role, LinkRole::Daemon(_));
        let done = match (is_daemon, frame.head) {
            (true, Head::Data { session, epoch, sequence }) => {
                self.data(from, session, sequence, SealedRecord { epoch, body: frame.body })
            }
            (true, Head::Open { session, cipher }) => self.open(from, session, cipher),
            (true, Head::End { session, next, outcome }) => self.end(from, session, next, outcome),
            (true, Head::Envelope { session }) => self.envelope(from, session, frame.body),
            (false, Head::Resume { session, next }) => self.subscribe(from, session, next),
            (true, Head::Peer { session, viewer }) => return self.peer_to_viewer(from, session, viewer, frame.body),
            (false, Head::Peer { session, .. }) => return self.peer_to_daemon(from, session, frame.body),
            _ => return self.counters.0.misdirected += 1,
        };
        if let Err(reason) = done {
            self.close(from, reason);
        }
    }

    /// Tells a connection why it ends, and forgets it.
    fn close(&mut self, connection: ConnectionId, reason: Reason) {
        self.port.push(Output::Close(connection, reason));
        self.forget(connection);
    }
}

impl Machine for Hub {
    type Input = Input;
    type Output = Output;
    type Failure = Infallible;
    type Timer = Infallible;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        self.port.enter(now)?;
        match input {
            Input::Received(from, frame) => self.received(from, frame),
            Input::Taken(connection, weight) => self.taken(connection, weight),
            Input::Appended(session, next) => self.appended(session, next),
            Input::Ended(session) => self.ended(session),
            Input::Storing(org, works) => self.storing(org, works),
            Input::Leaving(session) => self.leaving(session),
            Input::Enveloped(session) => self.enveloped(session),
            Input::Records(records) => self.records(records),
            Input::Unreadable(viewer, session) => self.unreadable(viewer, session),
            Input::Confirmed(connection, confirmed) => self.confirmed(connection, confirmed),
            Input::Renewed(connection, credential) => self.renewed(connection, credential),
            Input::Gone(connection) => self.gone(connection),
            Input::Revoked { targets, orgs } => self.revoked(targets, orgs),
            Input::Stored(session) => self.stored(session),
            Input::Revalidate => self.recheck(),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn handle_clock(&mut self, _now: Instant, wall: WallClock) {
        if self.wall.0.is_some() {
            self.wall = Unhashed(Some(wall));
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Infallible>> {
        None
    }

    fn status(&self) -> Status<'_, Infallible> {
        Status::Running { waiting_for: "connections and the store" }
    }

    fn ignored(&self) -> u64 {
        self.counters.0.ignored()
    }
}
