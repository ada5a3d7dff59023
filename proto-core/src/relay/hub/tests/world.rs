//! A hub with a store and connections around it, all in memory, where a test decides when each of them moves.

use alloc::{
    collections::{BTreeMap, VecDeque},
    format,
    string::ToString,
    vec::Vec,
};

use bytes::Bytes;

use super::super::*;
use crate::{
    id::SessionId,
    secret::SecretText,
    wire::{Frame, Head, Outcome},
};

/// What a connection has received, in order.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) frames: Vec<Frame>,
    pub(super) untaken: usize,
    pub(super) closed: Option<Reason>,
    pub(super) held: bool,
}

/// A session in the store.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) org: OrgId,
    pub(super) session: SessionId,
    pub(super) target: PlatformId,
    pub(super) records: Vec<SealedRecord>,
    pub(super) ended: Option<Outcome>,
    pub(super) envelope: Option<Bytes>,
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) hub: Hub,
    pub(super) now: Instant,
    pub(super) inboxes: BTreeMap<ConnectionId, Inbox>,
    pub(super) uncommitted: VecDeque<Write>,
    pub(super) reads: VecDeque<Read>,
    pub(super) durable: BTreeMap<SessionNumber, Stored>,
    pub(super) credentials: BTreeMap<(OrgId, PlatformId), SecretText>,
    pub(super) rechecked: Vec<ConnectionId>,
    connections: u64,
}

pub(super) fn org(name: &str) -> OrgId {
    name.parse().unwrap()
}

pub(super) fn target(name: &str) -> PlatformId {
    name.parse().unwrap()
}

pub(super) fn session(n: u8) -> SessionId {
    SessionId([n; 16])
}

pub(super) fn data(id: SessionId, sequence: u64, body: &str) -> Frame {
    Frame { head: Head::Data { session: id, epoch: 0, sequence }, body: Bytes::copy_from_slice(body.as_bytes()) }
}

impl World {
    pub(super) fn input(&mut self, input: Input) {
        self.hub.handle_input(self.now, input).unwrap();
        while let Some(output) = self.hub.poll_output() {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send(to, frame) | Output::SendTail(to, frame) => {
                let inbox = self.inboxes.get_mut(&to).unwrap();
                assert_eq!(inbox.closed, None, "sent to a closed connection");
                inbox.untaken += weight(&frame);
                inbox.frames.push(frame);
            }
            Output::Close(to, reason) => self.inboxes.get_mut(&to).unwrap().closed = Some(reason),
            Output::PauseReading(whom) => self.inboxes.get_mut(&whom).unwrap().held = true,
            Output::ResumeReading(whom) => self.inboxes.get_mut(&whom).unwrap().held = false,
            Output::Revalidate(whom) => self.rechecked.push(whom),
            Output::Write(write) => self.uncommitted.push_back(write),
            Output::Read(read) => self.reads.push_back(read),
        }
    }

    pub(super) fn daemon(&mut self, org_name: &str, target_name: &str) -> ConnectionId {
        let credential = SecretText::new(format!("credential of {target_name}"));
        self.connect(org_name, target_name, Kind::Daemon(credential))
    }

    pub(super) fn viewer(&mut self, org_name: &str, target_name: &str) -> ConnectionId {
        self.connect(org_name, target_name, Kind::Viewer)
    }

    fn connect(&mut self, org_name: &str, target_name: &str, kind: Kind) -> ConnectionId {
        self.connections += 1;
        let id = ConnectionId(self.connections);
        self.inboxes.insert(id, Inbox::default());
        self.input(Input::Confirmed(id, Confirmed { org: org(org_name), target: target(target_name), kind }));
        id
    }

    pub(super) fn send(&mut self, from: ConnectionId, frame: impl Into<Frame>) {
        self.input(Input::Received(from, frame.into()));
    }

    pub(super) fn open(&mut self, from: ConnectionId, id: SessionId) {
        self.send(from, Head::Open { session: id, cipher: 1 });
    }

    pub(super) fn resume(&mut self, from: ConnectionId, id: SessionId, next: u64) {
        self.send(from, Head::Resume { session: id, next });
    }

    /// The socket of a connection takes everything.
    pub(super) fn take(&mut self, connection: ConnectionId) {
        let untaken = core::mem::take(&mut self.inboxes.get_mut(&connection).unwrap().untaken);
        self.input(Input::Taken(connection, untaken));
    }

    /// The store makes the oldest `count` writes durable, and answers once per session.
    pub(super) fn commit(&mut self, count: usize) {
        let mut answers = Vec::new();
        for write in self.uncommitted.drain(..count).collect::<Vec<_>>() {
            answers.extend(self.make_durable(write));
        }
        for answer in answers {
            self.input(answer);
        }
    }

    pub(super) fn commit_all(&mut self) {
        self.commit(self.uncommitted.len());
    }

    fn make_durable(&mut self, write: Write) -> Option<Input> {
        match write {
            Write::Credential { org, target, credential } => {
                self.credentials.insert((org, target), credential);
                None
            }
            Write::Session { number, org, session, target, .. } => {
                let stored = Stored { org, session, target, records: Vec::new(), ended: None, envelope: None };
                assert!(self.durable.insert(number, stored).is_none(), "a number was given twice");
                None
            }
            Write::Record { number, sequence, record } => {
                let records = &mut self.durable.get_mut(&number).unwrap().records;
                assert_eq!(records.len() as u64, sequence, "the store has a gap");
                records.push(record);
                Some(Input::Appended(number, sequence + 1))
            }
            Write::Envelope { number, envelope } => {
                let stored = self.durable.get_mut(&number).unwrap();
                assert_eq!(stored.envelope.replace(envelope), None, "a session has one envelope");
                Some(Input::Enveloped(number))
            }
            Write::End { number, outcome } => {
                self.durable.get_mut(&number).unwrap().ended = Some(outcome);
                Some(Input::Ended(number))
            }
            Write::Remove { number } => {
                assert!(self.durable.remove(&number).is_some_and(|stored| stored.ended.is_some()), "a session that lives");
                None
            }
        }
    }

    /// The store answers its oldest read.
    pub(super) fn answer_read(&mut self) {
        let Some(Read { viewer, session, from, max_bytes }) = self.reads.pop_front() else { return };
        let mut left = max_bytes;
        let start = usize::try_from(from).unwrap();
        let fitting = self.durable[&session].records[start..].iter().take_while(|record| {
            let fits = left >= record.body.len();
            left = left.saturating_sub(record.body.len());
            fits
        });
        let records = fitting.cloned().collect();
        self.input(Input::Records(Records { viewer, session, from, records }));
    }

    /// Everything moves until nothing does.
    pub(super) fn settle(&mut self) {
        while !self.uncommitted.is_empty() || !self.reads.is_empty() || self.inboxes.values().any(|i| i.untaken > 0) {
            self.commit_all();
            self.answer_read();
            for connection in self.inboxes.keys().copied().collect::<Vec<_>>() {
                self.take(connection);
            }
        }
    }

    /// The relay dies: what was not durable is lost, and another one starts on the same store.
    pub(super) fn crash(&mut self) {
        let durable = core::mem::take(&mut self.durable);
        let credentials = core::mem::take(&mut self.credentials);
        *self = Self { connections: self.connections, ..Self::default() };
        for (number, stored) in &durable {
            let credential = credentials[&(stored.org.clone(), stored.target.clone())].clone();
            self.input(Input::Stored(StoredSession {
                number: *number,
                org: stored.org.clone(),
                session: stored.session,
                target: stored.target.clone(),
                cipher: 1,
                credential,
                next: stored.records.len() as u64,
                ended: stored.ended,
                tally: Tally::default(),
                envelope: stored.envelope.clone(),
            }));
        }
        (self.durable, self.credentials) = (durable, credentials);
    }

    pub(super) fn frames(&self, of: ConnectionId) -> &[Frame] {
        &self.inboxes[&of].frames
    }

    pub(super) fn heads(&self, of: ConnectionId) -> Vec<Head> {
        self.frames(of).iter().map(|frame| frame.head.clone()).collect()
    }

    /// The records of a session that a connection got: sequence and content.
    pub(super) fn records(&self, of: ConnectionId, id: SessionId) -> Vec<(u64, Bytes)> {
        let records = self.frames(of).iter().filter_map(|frame| match frame.head {
            Head::Data { session, sequence, .. } if session == id => Some((sequence, frame.body.clone())),
            _ => None,
        });
        records.collect()
    }

    pub(super) fn closed(&self, connection: ConnectionId) -> Option<Reason> {
        self.inboxes[&connection].closed
    }

    pub(super) fn reason_text(&self, connection: ConnectionId) -> alloc::string::String {
        self.closed(connection).map_or_else(|| "open".to_string(), |reason| reason.code().to_string())
    }
}
