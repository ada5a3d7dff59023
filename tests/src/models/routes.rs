//! Which connection may receive what from a relay (ADM-4, LINK-2, ISO-3): sets of tuples.

use std::collections::{BTreeMap, BTreeSet};

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its org.
    pub org: &'static str,
    /// Its runtime target.
    pub target: &'static str,
    /// Whether it runs sessions or watches them.
    pub is_daemon: bool,
}

/// Everything a relay may be told.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// The confirmed connections.
    pub members: BTreeMap<u64, Member>,
    /// Which runtime target each session of each org belongs to: the one that opened it first.
    pub owners: BTreeMap<(&'static str, u8), &'static str>,
    /// Which sessions each viewer asked for.
    pub asked: BTreeSet<(u64, u8)>,
    /// The store's numbers of sessions.
    pub numbers: BTreeMap<u64, (&'static str, u8)>,
}

/// What a frame of a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The list entry, or the end, of a session: for viewers.
    Listing,
    /// A record: for viewers who asked.
    Record,
    /// A frame for the session's daemon.
    Word,
    /// A datagram.
    Peer,
}

impl Routes {
    /// A connection is confirmed: it takes the place of an older one of the same runtime target.
    pub fn join(&mut self, connection: u64, member: Member) {
        self.members.retain(|_, other| (other.org, other.target) != (member.org, member.target));
        self.members.insert(connection, member);
        self.asked.retain(|(viewer, _)| *viewer != connection);
    }

    /// A daemon opens a session: it is its own, or has no owner yet. Returns whether it may.
    pub fn open(&mut self, connection: u64, session: u8) -> bool {
        let Some(member) = self.members.get(&connection).filter(|member| member.is_daemon) else { return false };
        *self.owners.entry((member.org, session)).or_insert(member.target) == member.target
    }

    /// Whether this connection may be sent a frame of this kind about this session, with content of this org.
    pub fn may_receive(&self, connection: u64, what: What, session: u8, of_org: Option<&str>) -> bool {
        let Some(member) = self.members.get(&connection) else { return false };
        let Some(owner) = self.owners.get(&(member.org, session)) else { return false };
        let fits = match what {
            What::Listing => !member.is_daemon,
            What::Record => !member.is_daemon && self.asked.contains(&(connection, session)),
            What::Word => member.is_daemon && member.target == *owner,
            What::Peer => !member.is_daemon || member.target == *owner,
        };
        fits && of_org.is_none_or(|org| org == member.org)
    }
}
