//! What viewers get: announcements, live records, and the rest at their own pace.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{
    Counters, Hub, MAX_READ, SUBSCRIPTIONS_PER_VIEWER,
    event::{ConnectionId, Output, Read, Records, SealedRecord, SessionNumber, weight},
    state::{Cursor, Link, Pace, Session},
};
use crate::{
    Reason,
    id::{OrgId, SessionId},
    machine::base::MachineBase,
    wire::{Frame, Head},
};

/// How many records a viewer gets of one session before the next session in its queue has its turn.
const TURN: usize = 64;

impl Hub {
    /// A session is new: it is announced to the viewers of its org.
    pub(super) fn announce(&mut self, number: SessionNumber, viewers: Vec<ConnectionId>) {
        for connection in viewers {
            self.links.get_mut(&connection).and_then(Link::viewer_mut).map(|viewer| viewer.unannounced.insert(number));
            self.pump(connection);
        }
    }

    /// `Resume`: the viewer wants this session from `next` on, whatever it had before.
    pub(super) fn subscribe(&mut self, from: ConnectionId, id: SessionId, next: u64) -> Result<(), Reason> {
        let link = self.links.get_mut(&from).ok_or(Reason::PeerError)?;
        let number = self.orgs.get(&link.org).and_then(|org| org.sessions.get(&id)).copied();
        let number = number.ok_or(Reason::SessionUnknown)?;
        let session = self.sessions.get_mut(&number).ok_or(Reason::SessionUnknown)?;
        let viewer = link.viewer_mut().ok_or(Reason::SessionUnknown)?;
        if viewer.subscriptions.insert(number) && viewer.subscriptions.len() > SUBSCRIPTIONS_PER_VIEWER {
            return Err(Reason::RelayFull);
        }
        let cursor = session.subscribers.entry(from).or_insert(Cursor { next, pace: Pace::Live });
        cursor.next = next;
        if cursor.pace == Pace::Live {
            cursor.pace = Pace::Queued;
            viewer.queue.push_back(number);
        }
        self.pump(from);
        Ok(())
    }

    /// `Peer` from a viewer: to the daemon whose session it is, under the viewer's number. Also about one that has ended: its
    /// daemon still gives out the key.
    pub(super) fn peer_to_daemon(&mut self, from: ConnectionId, id: SessionId, body: Bytes) {
        let Some(daemon) = self.daemon_of(from, id) else {
            self.counters.0.peer_without_receiver += 1;
            return;
        };
        let frame = Frame { head: Head::Peer { session: id, viewer: from.0 }, body };
        let Some(link) = self.links.get_mut(&daemon) else { return };
        if !link.has_room_for(from, weight(&frame)) {
            self.counters.0.peer_without_room += 1;
            return;
        }
        link.charge_to(from, &frame);
        self.counters.0.peer_frames += 1;
        self.port.push(Output::Send(daemon, frame));
    }

    /// The link of the daemon that runs a session of the viewer's org.
    fn daemon_of(&self, viewer: ConnectionId, id: SessionId) -> Option<ConnectionId> {
        let org = &self.links.get(&viewer)?.org;
        let owner = &self.session_of(org, id)?.target;
        self.orgs.get(org)?.links.get(owner).copied()
    }

    /// The session of that name in an org.
    pub(super) fn session_of(&self, org: &OrgId, id: SessionId) -> Option<&Session> {
        self.sessions.get(self.orgs.get(org)?.sessions.get(&id)?)
    }

    /// The record goes at once to every viewer that has all before it and room for it.
    pub(super) fn deliver_live(&mut self, number: SessionNumber, sequence: u64, record: &SealedRecord) {
        let Self { sessions, links, port, counters, .. } = self;
        let Some(session) = sessions.get_mut(&number).filter(|session| !session.subscribers.is_empty()) else { return };
        let frame = session.frame(sequence, record);
        for (connection, cursor) in &mut session.subscribers {
            if cursor.pace != Pace::Live || cursor.next > sequence {
                continue;
            }
            let Some(link) = links.get_mut(connection) else { continue };
            if link.has_room() {
                link.charge(&frame);
                cursor.next = sequence.saturating_add(1);
                counters.0.delivered_live += 1;
                port.push(Output::SendTail(*connection, frame.clone()));
            } else {
                cursor.pace = Pace::Queued;
                link.enqueue(number);
            }
        }
    }

    /// The session ended: every viewer that had all of it hears so, the others when they have.
    pub(super) fn deliver_end(&mut self, number: SessionNumber, live: Vec<ConnectionId>) {
        for connection in live {
            if let Some(link) = self.links.get_mut(&connection) {
                link.enqueue(number);
            }
            self.pump(connection);
        }
    }

    /// The socket took something: there may be room for more.
    pub(super) fn taken(&mut self, connection: ConnectionId, weight: usize) {
        let Some(link) = self.links.get_mut(&connection) else {
            self.counters.0.unknown_connection += 1;
            return;
        };
        link.settle(weight);
        self.pump(connection);
        self.release();
    }

    /// Sends a viewer what it lacks, as far as its window goes.
    pub(super) fn pump(&mut self, connection: ConnectionId) {
        while let Some(link) = self.links.get_mut(&connection).filter(|link| link.has_room()) {
            let Some(viewer) = link.viewer_mut() else { return };
            if let Some(number) = viewer.unannounced.pop_first() {
                self.send_open(connection, number);
                self.send_envelope(connection, number);
            } else if let Some(number) = viewer.unenveloped.pop_first() {
                self.send_envelope(connection, number);
            } else if let Some(number) = viewer.queue.pop_front() {
                self.serve(connection, number);
            } else {
                return;
            }
        }
    }

    fn send_open(&mut self, connection: ConnectionId, number: SessionNumber) {
        let Self { sessions, orgs, links, port, .. } = self;
        let (Some(session), Some(link)) = (sessions.get(&number), links.get_mut(&connection)) else { return };
        let daemon = orgs.get(&session.org).and_then(|org| org.daemons.get(&session.target));
        let credential = daemon.map_or("", |daemon| daemon.credential.expose());
        let body = session.listing().body(credential.as_bytes());
        let frame = Frame { head: Head::Open { session: session.id, cipher: session.cipher }, body };
        link.charge(&frame);
        port.push(Output::Send(connection, frame));
    }

    /// A session, the link of a viewer that watches it, and how far that is.
    fn watched(&mut self, viewer: ConnectionId, number: SessionNumber) -> Option<Watched<'_>> {
        let Self { sessions, links, port, counters, .. } = self;
        let session = sessions.get_mut(&number)?;
        let cursor = *session.subscribers.get(&viewer)?;
        Some(Watched { viewer, number, session, link: links.get_mut(&viewer)?, cursor, port, counters: &mut counters.0 })
    }

    /// One turn of a session in a viewer's queue: from the store, or from memory, or its end.
    fn serve(&mut self, connection: ConnectionId, number: SessionNumber) {
        let Some(watched) = self.watched(connection, number) else { return };
        if watched.cursor.next < watched.session.durable { watched.ask() } else { watched.serve_from_memory() }
    }

    /// The store's answer: sent unless the viewer has asked for another place since.
    pub(super) fn records(&mut self, answer: Records) {
        let Records { viewer, session: number, from, records } = answer;
        if records.is_empty() {
            return self.unreadable(viewer, number);
        }
        let Some(watched) = self.awaiting(viewer, number) else {
            self.counters.0.stale_store_answers += 1;
            return;
        };
        watched.answered(from, &records);
        self.pump(viewer);
    }

    /// Ends the wait for the store, if there is one, and frees what was set aside for its answer.
    fn awaiting(&mut self, viewer: ConnectionId, number: SessionNumber) -> Option<Watched<'_>> {
        let watched = self.watched(viewer, number).filter(|watched| watched.cursor.pace == Pace::Reading)?;
        watched.link.outstanding = watched.link.outstanding.saturating_sub(MAX_READ);
        Some(watched)
    }

    /// The store lost what it had: the viewer is told to come again rather than shown a gap.
    pub(super) fn unreadable(&mut self, viewer: ConnectionId, number: SessionNumber) {
        if self.awaiting(viewer, number).is_some() {
            self.close(viewer, Reason::RelayClosed);
        } else {
            self.counters.0.stale_store_answers += 1;
        }
    }
}

/// A session that a viewer watches, and what it takes to serve it.
struct Watched<'a> {
    viewer: ConnectionId,
    number: SessionNumber,
    session: &'a mut Session,
    link: &'a mut Link,
    cursor: Cursor,
    port: &'a mut MachineBase<Output>,
    counters: &'a mut Counters,
}

impl Watched<'_> {
    /// What is asked for counts against the window from now on, so that answers cannot pile up.
    fn ask(mut self) {
        let read = Read { viewer: self.viewer, session: self.number, from: self.cursor.next, max_bytes: MAX_READ };
        self.cursor.pace = Pace::Reading;
        self.link.outstanding = self.link.outstanding.saturating_add(MAX_READ);
        self.session.subscribers.insert(self.viewer, self.cursor);
        self.port.push(Output::Read(read));
    }

    fn serve_from_memory(mut self) {
        for _ in 0..TURN {
            let Some(record) = self.session.in_memory(self.cursor.next).filter(|_| self.link.has_room()) else { break };
            let frame = self.session.frame(self.cursor.next, record);
            self.send_later(frame);
        }
        let caught_up = self.cursor.next >= self.session.received();
        if let Some(frame) = end_frame(self.session).filter(|_| caught_up) {
            self.session.subscribers.remove(&self.viewer);
            self.link.viewer_mut().map(|viewer| viewer.subscriptions.remove(&self.number));
            self.link.charge(&frame);
            self.port.push(Output::Send(self.viewer, frame));
            return;
        }
        if caught_up { self.go_on(Pace::Live) } else { self.go_on(Pace::Queued) }
    }

    fn answered(mut self, from: u64, records: &[SealedRecord]) {
        if self.cursor.next == from {
            for record in records {
                let frame = self.session.frame(self.cursor.next, record);
                self.send_later(frame);
            }
        } else {
            self.counters.stale_store_answers += 1;
        }
        self.go_on(Pace::Queued);
    }

    fn send_later(&mut self, frame: Frame) {
        self.link.charge(&frame);
        self.cursor.next = self.cursor.next.saturating_add(1);
        self.counters.delivered_later += 1;
        self.port.push(Output::SendTail(self.viewer, frame));
    }

    fn go_on(self, pace: Pace) {
        self.session.subscribers.insert(self.viewer, Cursor { pace, ..self.cursor });
        if pace == Pace::Queued {
            self.link.enqueue(self.number);
        }
    }
}

fn end_frame(session: &Session) -> Option<Frame> {
    let outcome = session.life.outcome()?;
    Some(Head::End { session: session.id, next: session.received(), outcome }.into())
}
