//! What viewers get: announcements, live records, and the rest at their own pace.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{
    Hub, READ_MAX, SUBSCRIPTIONS_PER_VIEWER,
    event::{ConnectionId, Output, Read, Records, SealedRecord, SessionNumber},
    state::{Cursor, Pace, Session},
};
use crate::{
    Reason,
    id::{OrgId, SessionId},
    wire::{Frame, Head},
};

/// How many records a viewer gets of one session before the next session in its queue has its turn.
const TURN: usize = 64;

impl Hub {
    /// A session is new: its org's viewers hear of it.
    pub(super) fn announce(&mut self, number: SessionNumber) {
        let Some(org) = self.sessions.get(&number).and_then(|session| self.orgs.get(&session.org)) else { return };
        let viewers: Vec<_> = org.viewers.iter().copied().collect();
        for connection in viewers {
            if let Some(viewer) = self.links.get_mut(&connection).and_then(|link| link.viewer_mut()) {
                viewer.unannounced.insert(number);
            }
            self.pump(connection);
        }
    }

    /// `Resume`: the viewer wants this session from `next` on, whatever it had before.
    pub(super) fn subscribe(&mut self, from: ConnectionId, id: SessionId, next: u64) {
        let Some(link) = self.links.get_mut(&from) else { return };
        let number = self.orgs.get(&link.org).and_then(|org| org.sessions.get(&id)).copied();
        let (Some(number), Some(viewer)) = (number, link.viewer_mut()) else {
            return self.close(from, Reason::SessionUnknown);
        };
        let Some(session) = self.sessions.get_mut(&number) else { return };
        if viewer.subscriptions.insert(number) && viewer.subscriptions.len() > SUBSCRIPTIONS_PER_VIEWER {
            return self.close(from, Reason::RelayFull);
        }
        let cursor = session.subscribers.entry(from).or_insert(Cursor { next, pace: Pace::Live });
        cursor.next = next;
        if cursor.pace == Pace::Live {
            cursor.pace = Pace::Queued;
            viewer.queue.push_back(number);
        }
        self.pump(from);
    }

    /// `Peer` from a viewer: to the daemon whose session it is, under the viewer's number. Also about one that has ended: its
    /// daemon still gives out the key.
    pub(super) fn peer_to_daemon(&mut self, from: ConnectionId, id: SessionId, body: Bytes) {
        let Some(link) = self.links.get(&from) else { return };
        let owner = self.session_of(&link.org, id).map(|session| &session.target);
        let daemon = owner.and_then(|target| self.orgs.get(&link.org)?.links.get(target)).copied();
        match daemon {
            Some(daemon) => self.pass_on(daemon, Frame { head: Head::Peer { session: id, viewer: from.0 }, body }, Output::Send),
            None => self.counters.0.peer_without_receiver += 1,
        }
    }

    /// The session of that name in an org.
    pub(super) fn session_of(&self, org: &OrgId, id: SessionId) -> Option<&Session> {
        self.sessions.get(self.orgs.get(org)?.sessions.get(&id)?)
    }

    /// The record goes at once to every viewer that has all before it and room for it.
    pub(super) fn deliver_live(&mut self, number: SessionNumber, sequence: u64, record: &SealedRecord) {
        let Self { sessions, links, outbox, counters, .. } = self;
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
                outbox.push(Output::SendTail(*connection, frame.clone()));
            } else if let Some(viewer) = link.viewer_mut() {
                cursor.pace = Pace::Queued;
                viewer.queue.push_back(number);
            }
        }
    }

    /// The session ended: every viewer that has all of it hears so, the others when they have.
    pub(super) fn deliver_end_live(&mut self, number: SessionNumber) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let mut live = Vec::new();
        for (connection, cursor) in session.subscribers.iter_mut().filter(|(_, cursor)| cursor.pace == Pace::Live) {
            if let Some(viewer) = self.links.get_mut(connection).and_then(|link| link.viewer_mut()) {
                cursor.pace = Pace::Queued;
                viewer.queue.push_back(number);
                live.push(*connection);
            }
        }
        for connection in live {
            self.pump(connection);
        }
    }

    /// The socket took something: there may be room for more.
    pub(super) fn taken(&mut self, connection: ConnectionId, weight: usize) {
        let Some(link) = self.links.get_mut(&connection) else {
            self.counters.0.unknown_connection += 1;
            return;
        };
        link.outstanding = link.outstanding.saturating_sub(weight);
        self.pump(connection);
        self.release();
    }

    /// Sends a viewer what it lacks, as far as its window goes.
    pub(super) fn pump(&mut self, connection: ConnectionId) {
        while let Some(link) = self.links.get_mut(&connection).filter(|link| link.has_room()) {
            let Some(viewer) = link.viewer_mut() else { return };
            if let Some(number) = viewer.unannounced.pop_first() {
                self.send_open(connection, number);
            } else if let Some(number) = viewer.queue.pop_front() {
                self.serve(connection, number);
            } else {
                return;
            }
        }
    }

    fn send_open(&mut self, connection: ConnectionId, number: SessionNumber) {
        let Some(session) = self.sessions.get(&number) else { return };
        let daemon = self.orgs.get(&session.org).and_then(|org| org.daemons.get(&session.target));
        let body = daemon.map(|daemon| Bytes::copy_from_slice(daemon.credential.expose().as_bytes())).unwrap_or_default();
        let frame = Frame { head: Head::Open { session: session.id, cipher: session.cipher }, body };
        self.send(connection, frame, Output::Send);
    }

    fn send(&mut self, to: ConnectionId, frame: Frame, send: impl FnOnce(ConnectionId, Frame) -> Output) {
        if let Some(link) = self.links.get_mut(&to) {
            link.charge(&frame);
            self.outbox.push(send(to, frame));
        }
    }

    /// One turn of a session in a viewer's queue: from the store, or from memory, or its end.
    fn serve(&mut self, connection: ConnectionId, number: SessionNumber) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let Some(cursor) = session.subscribers.get_mut(&connection) else { return };
        if cursor.next < session.durable {
            cursor.pace = Pace::Reading;
            let read = Read { viewer: connection, session: number, from: cursor.next, max_bytes: READ_MAX };
            return self.ask(read);
        }
        self.serve_from_memory(connection, number);
    }

    /// What is asked for counts against the window from now on, so that answers cannot pile up.
    fn ask(&mut self, read: Read) {
        if let Some(link) = self.links.get_mut(&read.viewer) {
            link.outstanding = link.outstanding.saturating_add(READ_MAX);
            self.outbox.push(Output::Read(read));
        }
    }

    fn serve_from_memory(&mut self, connection: ConnectionId, number: SessionNumber) {
        let Self { sessions, links, outbox, counters, .. } = self;
        let (Some(session), Some(link)) = (sessions.get_mut(&number), links.get_mut(&connection)) else { return };
        let Some(mut cursor) = session.subscribers.get(&connection).copied() else { return };
        for _ in 0..TURN {
            let Some(record) = session.in_memory(cursor.next).filter(|_| link.has_room()) else { break };
            let frame = session.frame(cursor.next, record);
            link.charge(&frame);
            cursor.next = cursor.next.saturating_add(1);
            counters.0.delivered_later += 1;
            outbox.push(Output::SendTail(connection, frame));
        }
        let caught_up = cursor.next >= session.received();
        if let Some(frame) = end_frame(session).filter(|_| caught_up) {
            session.subscribers.remove(&connection);
            link.charge(&frame);
            if let Some(viewer) = link.viewer_mut() {
                viewer.subscriptions.remove(&number);
            }
            outbox.push(Output::Send(connection, frame));
            return;
        }
        cursor.pace = if caught_up { Pace::Live } else { Pace::Queued };
        session.subscribers.insert(connection, cursor);
        if let Some(viewer) = link.viewer_mut().filter(|_| !caught_up) {
            viewer.queue.push_back(number);
        }
    }

    /// The store's answer: sent unless the viewer has asked for another place since.
    pub(super) fn records(&mut self, answer: Records) {
        let Records { viewer, session: number, from, records } = answer;
        if records.is_empty() {
            return self.unreadable(viewer, number);
        }
        let Some(mut cursor) = self.take_answer(viewer, number) else { return };
        if cursor.next == from {
            cursor.next = from.saturating_add(records.len() as u64);
            self.send_records(viewer, number, from, &records);
        } else {
            self.counters.0.stale_store_answers += 1;
        }
        self.queue_again(viewer, number, cursor);
        self.pump(viewer);
    }

    /// Ends the wait for the store, if there is one, and frees what was set aside for its answer.
    fn take_answer(&mut self, viewer: ConnectionId, number: SessionNumber) -> Option<Cursor> {
        let session = self.sessions.get(&number);
        let cursor = session.and_then(|session| session.subscribers.get(&viewer)).filter(|cursor| cursor.pace == Pace::Reading);
        let (Some(cursor), Some(link)) = (cursor.copied(), self.links.get_mut(&viewer)) else {
            self.counters.0.stale_store_answers += 1;
            return None;
        };
        link.outstanding = link.outstanding.saturating_sub(READ_MAX);
        Some(cursor)
    }

    fn send_records(&mut self, to: ConnectionId, number: SessionNumber, from: u64, records: &[SealedRecord]) {
        for (sequence, record) in (from..).zip(records) {
            let Some(frame) = self.sessions.get(&number).map(|session| session.frame(sequence, record)) else { return };
            self.counters.0.delivered_later += 1;
            self.send(to, frame, Output::SendTail);
        }
    }

    fn queue_again(&mut self, viewer: ConnectionId, number: SessionNumber, cursor: Cursor) {
        if let Some(session) = self.sessions.get_mut(&number) {
            session.subscribers.insert(viewer, Cursor { pace: Pace::Queued, ..cursor });
        }
        if let Some(link) = self.links.get_mut(&viewer).and_then(|link| link.viewer_mut()) {
            link.queue.push_back(number);
        }
    }

    /// The store lost what it had: the viewer is told to come again rather than shown a gap.
    pub(super) fn unreadable(&mut self, viewer: ConnectionId, number: SessionNumber) {
        if self.take_answer(viewer, number).is_some() {
            self.close(viewer, Reason::RelayClosed);
        }
    }
}

fn end_frame(session: &Session) -> Option<Frame> {
    let outcome = session.life.outcome()?;
    Some(Head::End { session: session.id, next: session.received(), outcome }.into())
}
