//! What the hub is told and what it asks for.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::{
    Reason,
    id::{OrgId, PlatformId, SessionId},
    machine::time::UnixTime,
    secret::SecretText,
    wire::{Frame, Outcome},
};

/// The relay's number for one connection. Never used twice while the relay runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The store's number for one session of one org. Never used twice in the life of a store, so that the records of two orgs
/// cannot share a key, whatever session ids their daemons choose (ADM-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionNumber(pub u64);

/// Facts for the hub.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Before the first connection of its org, at boot or later: a session that the store has.
    Stored(StoredSession),
    /// A connection sent its first authentic transport message: from now on it counts.
    Confirmed(ConnectionId, Confirmed),
    /// A frame of a confirmed connection, allowed in its direction.
    Received(ConnectionId, Frame),
    /// A daemon's credential was renewed in band; viewers get this one from now on.
    Renewed(ConnectionId, SecretText),
    /// The socket took frames that weigh this much together, see [`weight`].
    Taken(ConnectionId, usize),
    /// A connection ended by itself.
    Gone(ConnectionId),
    /// The records of a session below this sequence are durable.
    Appended(SessionNumber, u64),
    /// The end of a session is durable.
    Ended(SessionNumber),
    /// The envelope of a session is durable.
    Enveloped(SessionNumber),
    /// Whether the store can make records of this org durable, when that changes. It can at first.
    Storing(OrgId, bool),
    /// Retention wants to evict this session. It leaves when it has ended and is not watched; the store may ask again.
    Leaving(SessionNumber),
    /// The answer to [`Output::Read`].
    Records(Records),
    /// The answer to [`Output::Read`] when the store cannot give what it once took.
    Unreadable(ConnectionId, SessionNumber),
    /// Access was withdrawn: of machines, and of whole orgs that are gone.
    Revoked {
        /// Runtime targets that were revoked.
        targets: Vec<PlatformId>,
        /// Orgs that were deleted.
        orgs: Vec<OrgId>,
    },
    /// What was revoked until now is not known: every connection that was validated before has to be validated again.
    Revalidate,
}

/// Who a confirmed connection is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Confirmed {
    /// Its org.
    pub org: OrgId,
    /// Its runtime target: one link each.
    pub target: PlatformId,
    /// What it may do.
    pub kind: Kind,
}

/// What a connection may do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Runs sessions; viewers get its credential, which vouches for its static key.
    Daemon(SecretText),
    /// Watches sessions.
    Viewer,
}

/// A session as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoredSession {
    /// The store's number for it.
    pub number: SessionNumber,
    /// Whose it is.
    pub org: OrgId,
    /// Its id, unique within the org.
    pub session: SessionId,
    /// The runtime target that opened it first.
    pub target: PlatformId,
    /// How its records are sealed: 1 or 2.
    pub cipher: u8,
    /// The latest known credential of that runtime target.
    pub credential: SecretText,
    /// How many records are durable.
    pub next: u64,
    /// How it ended, when it did.
    pub ended: Option<Outcome>,
    /// What the store knows of it for those who look for it.
    pub tally: Tally,
    /// Its envelope (WIRE section 12), when it has one.
    pub envelope: Option<Bytes>,
}

/// When and how much: what viewers are told of a session, so that people find it. Nothing depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    /// When it was opened first; zero where that is not known.
    pub began: UnixTime,
    /// When the last record came, or the end; zero where that is not known.
    pub active: UnixTime,
    /// What its sealed records take, in bytes.
    pub bytes: u64,
}

/// Records in order, without gaps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Records {
    /// For which viewer they were read.
    pub viewer: ConnectionId,
    /// Of which session.
    pub session: SessionNumber,
    /// The sequence of the first.
    pub from: u64,
    /// At least one.
    pub records: Vec<SealedRecord>,
}

/// One record as the daemon sealed it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SealedRecord {
    /// The epoch whose secret opens it.
    pub epoch: u32,
    /// The sealed bytes.
    pub body: Bytes,
}

/// Commands of the hub, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Send this frame, all of it inside Noise.
    Send(ConnectionId, Frame),
    /// Send this frame to a viewer with its body, which is sealed already, as the message's tail.
    SendTail(ConnectionId, Frame),
    /// Tell the connection why it ends, and close it. The hub has forgotten it already.
    Close(ConnectionId, Reason),
    /// Read no more from this connection until [`Output::ResumeReading`]: the store is behind, or the peer does not read its
    /// answers.
    PauseReading(ConnectionId),
    /// Read from it again.
    ResumeReading(ConnectionId),
    /// Have the connection's credential validated again.
    Revalidate(ConnectionId),
    /// Make this durable, after all writes before it.
    Write(Write),
    /// Read records; answered with [`Input::Records`] or [`Input::Unreadable`].
    Read(Read),
}

/// Something to make durable. Writes become durable in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// The latest credential of a runtime target with sessions. Not answered.
    Credential {
        /// Its org.
        org: OrgId,
        /// Whose credential.
        target: PlatformId,
        /// The token.
        credential: SecretText,
    },
    /// A new session without records. Not answered.
    Session {
        /// Its number from now on.
        number: SessionNumber,
        /// Its org.
        org: OrgId,
        /// Its id within the org.
        session: SessionId,
        /// Who runs it.
        target: PlatformId,
        /// How its records are sealed.
        cipher: u8,
    },
    /// The next record of a session. Answered, alone or with others, by [`Input::Appended`].
    Record {
        /// Of which session.
        number: SessionNumber,
        /// Its place.
        sequence: u64,
        /// What it says, sealed.
        record: SealedRecord,
    },
    /// What opens a session for who holds the organization's key: once for a session. Answered by [`Input::Enveloped`].
    Envelope {
        /// Of which session.
        number: SessionNumber,
        /// It.
        envelope: Bytes,
    },
    /// The session ended. Answered by [`Input::Ended`].
    End {
        /// Which session.
        number: SessionNumber,
        /// How.
        outcome: Outcome,
    },
    /// The session is gone for good. Not answered.
    Remove {
        /// Which session.
        number: SessionNumber,
    },
}

/// A request for records that are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    /// For which viewer.
    pub viewer: ConnectionId,
    /// Of which session.
    pub session: SessionNumber,
    /// From which sequence on; that one is durable.
    pub from: u64,
    /// Stop before the bodies exceed this together, but give at least one record.
    pub max_bytes: usize,
}

/// What a frame counts against a connection's window, in bytes: its body and a lump sum for the rest.
pub const fn weight(frame: &Frame) -> usize {
    frame.body.len().saturating_add(FRAME_WEIGHT)
}

/// The lump sum of [`weight`]: head, seal, WebSocket header and bookkeeping.
pub const FRAME_WEIGHT: usize = 96;
