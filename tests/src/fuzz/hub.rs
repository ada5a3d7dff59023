//! The relay's hub between connections and a store that move as they please: two orgs with the same ids for everything
//! (ADM-4, SES-1, L8).

use std::collections::{BTreeMap, VecDeque};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use proto_core::{
    Instant, SessionId,
    relay::hub::{
        Confirmed, ConnectionId, Hub, Input, Kind, MAX_UNSTORED, Output, PEER_WINDOW, Read, Records, SealedRecord, SessionNumber,
        VIEWER_WINDOW, Write, weight,
    },
    secret::SecretText,
    wire::{Frame, Head, Listing, Outcome},
};

use super::driven::Driven;

const ORGS: [&str; 2] = ["a", "b"];
/// The largest body that a step makes.
const MAX_BODY: usize = 300_000;
/// What one frame may exceed a limit by.
const SLACK: usize = MAX_BODY + 4096;

#[derive(Arbitrary, Debug)]
enum Step {
    Connect {
        org: bool,
        target: u8,
        is_viewer: bool,
    },
    Gone {
        connection: u8,
    },
    Open {
        connection: u8,
        session: u8,
        cipher: u8,
    },
    /// The next record of a session, or one that is not.
    Data {
        connection: u8,
        session: u8,
        off: Option<i8>,
        size: u16,
    },
    End {
        connection: u8,
        session: u8,
        off: Option<i8>,
    },
    Resume {
        connection: u8,
        session: u8,
        next: u64,
    },
    Peer {
        connection: u8,
        session: u8,
        viewer: u8,
        size: u16,
    },
    /// A frame of a kind that no such connection sends.
    Misdirected {
        connection: u8,
    },
    Renew {
        connection: u8,
    },
    Take {
        connection: u8,
    },
    Commit {
        count: u8,
    },
    AnswerRead {
        is_readable: bool,
    },
    /// Answers of the store that nobody asked for.
    Stale {
        number: u8,
        next: u64,
        connection: u8,
    },
    Revoke {
        target: Option<u8>,
        org: Option<bool>,
    },
}

/// Whatever happens: an org's frames, records and answers stay with it; a viewer gets the records of a session in order and
/// without gaps; nothing is sent to who is gone; and what is held in memory stays within the documented limits.
pub fn hub(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(steps) = data.arbitrary_iter::<Step>() else { return };
    let mut world = World::new();
    for step in steps.take(300).flatten() {
        world.apply(&step);
        world.check_limits();
    }
}

/// A connection as its socket sees it.
struct Socket {
    org: usize,
    is_viewer: bool,
    untaken: usize,
    is_held: bool,
    /// Where each session's records stand.
    next: BTreeMap<SessionId, u64>,
}

struct Stored {
    org: usize,
    records: Vec<SealedRecord>,
}

struct World {
    hub: Driven<Hub>,
    sockets: BTreeMap<ConnectionId, Socket>,
    connections: u64,
    uncommitted: VecDeque<Write>,
    reads: VecDeque<Read>,
    store: BTreeMap<SessionNumber, Stored>,
    /// Whose session each number stands for.
    numbers: BTreeMap<SessionNumber, (usize, SessionId)>,
    /// The sequence that each org's session has next, as its daemon counts.
    sent: BTreeMap<(usize, SessionId), u64>,
}

/// Content that shows whose it is.
fn body(org: usize, size: usize) -> Bytes {
    let mut body = vec![b'x'; size.clamp(1, MAX_BODY)];
    body[0] = ORGS[org].as_bytes()[0];
    body.into()
}

fn session(n: u8) -> SessionId {
    SessionId([n % 4; 16])
}

impl World {
    fn new() -> Self {
        Self {
            hub: Driven::new(Hub::new(), Instant::ZERO),
            sockets: BTreeMap::new(),
            connections: 0,
            uncommitted: VecDeque::new(),
            reads: VecDeque::new(),
            store: BTreeMap::new(),
            numbers: BTreeMap::new(),
            sent: BTreeMap::new(),
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Connect { org, target, is_viewer } => self.connect(usize::from(org), target, is_viewer),
            Step::Gone { connection } => {
                if let Some((id, _)) = self.pick(connection) {
                    self.sockets.remove(&id);
                    self.input(Input::Gone(id));
                }
            }
            Step::Open { connection, session: s, cipher } => {
                self.daemon_sends(
                    connection,
                    Head::Open { session: session(s), cipher: if cipher < 250 { 1 } else { cipher } },
                    0,
                );
            }
            Step::Data { connection, session: s, off, size } => self.data(connection, session(s), off, size),
            Step::End { connection, session: s, off } => {
                let next = self.next(connection, session(s), off);
                self.daemon_sends(connection, Head::End { session: session(s), next, outcome: Outcome::Exited }, 0);
            }
            Step::Resume { connection, session: s, next } => self.resume(connection, session(s), next),
            Step::Peer { connection, session: s, viewer, size } => {
                let head = Head::Peer { session: session(s), viewer: viewer.into() };
                self.send(connection, head, size.into());
            }
            Step::Misdirected { connection } => self.send(connection, Head::Acknowledge { session: session(0), next: 1 }, 0),
            Step::Renew { connection } => {
                if let Some((id, org)) = self.pick(connection) {
                    self.input(Input::Renewed(id, credential(org)));
                }
            }
            Step::Take { connection } => self.take(connection),
            Step::Commit { count } => self.commit(count.into()),
            Step::AnswerRead { is_readable } => self.answer_read(is_readable),
            Step::Stale { number, next, connection } => self.stale(SessionNumber(number.into()), next, connection),
            Step::Revoke { target, org } => {
                let targets = target.map(|t| format!("t{}", t % 3).parse().expect("an id")).into_iter().collect();
                let orgs = org.map(|org| ORGS[usize::from(org)].parse().expect("an id")).into_iter().collect();
                self.input(Input::Revoked { targets, orgs });
            }
        }
    }

    fn input(&mut self, input: Input) {
        let outputs = self.hub.input(input).expect("room");
        for output in outputs {
            self.perform(output);
        }
    }

    /// One of the open connections, and its org.
    fn pick(&self, which: u8) -> Option<(ConnectionId, usize)> {
        let at = usize::from(which).checked_rem(self.sockets.len())?;
        self.sockets.iter().nth(at).map(|(id, socket)| (*id, socket.org))
    }

    fn connect(&mut self, org: usize, target: u8, is_viewer: bool) {
        if self.sockets.len() >= 16 {
            return;
        }
        self.connections += 1;
        let id = ConnectionId(self.connections);
        self.sockets.insert(id, Socket { org, is_viewer, untaken: 0, is_held: false, next: BTreeMap::new() });
        let kind = if is_viewer { Kind::Viewer } else { Kind::Daemon(credential(org)) };
        let target = format!("t{}", target % 3).parse().expect("an id");
        self.input(Input::Confirmed(id, Confirmed { org: ORGS[org].parse().expect("an id"), target, kind }));
    }

    fn send(&mut self, connection: u8, head: Head, size: usize) {
        let Some((id, org)) = self.pick(connection) else { return };
        // A connection reads no more from a daemon that is held back.
        if self.sockets[&id].is_held {
            return;
        }
        let body = if head.carries_body() { body(org, size) } else { Bytes::new() };
        self.input(Input::Received(id, Frame { head, body }));
    }

    fn daemon_sends(&mut self, connection: u8, head: Head, size: usize) {
        if self.pick(connection).is_some_and(|(id, _)| !self.sockets[&id].is_viewer) {
            self.send(connection, head, size);
        }
    }

    fn next(&self, connection: u8, session: SessionId, off: Option<i8>) -> u64 {
        let org = self.pick(connection).map_or(0, |(_, org)| org);
        let next = self.sent.get(&(org, session)).copied().unwrap_or(0);
        next.saturating_add_signed(off.unwrap_or(0).into())
    }

    fn data(&mut self, connection: u8, session: SessionId, off: Option<i8>, size: u16) {
        let sequence = self.next(connection, session, off);
        self.daemon_sends(connection, Head::Data { session, epoch: 0, sequence }, usize::from(size) * 5);
    }

    fn resume(&mut self, connection: u8, session: SessionId, next: u64) {
        let Some((id, _)) = self.pick(connection) else { return };
        let next = if next > 64 { next } else { next % 8 };
        if let Some(socket) = self.sockets.get_mut(&id).filter(|socket| socket.is_viewer) {
            socket.next.insert(session, next);
            self.input(Input::Received(id, Head::Resume { session, next }.into()));
        }
    }

    fn take(&mut self, connection: u8) {
        let Some((id, _)) = self.pick(connection) else { return };
        let untaken = self.sockets.get_mut(&id).map_or(0, |socket| core::mem::take(&mut socket.untaken));
        self.input(Input::Taken(id, untaken));
    }

    /// The store makes the oldest writes durable.
    fn commit(&mut self, count: usize) {
        for write in self.uncommitted.drain(..count.min(self.uncommitted.len())).collect::<Vec<_>>() {
            match write {
                Write::Session { number, org, .. } => {
                    let org = ORGS.iter().position(|name| *name == org.as_str()).expect("one of ours");
                    assert!(self.store.insert(number, Stored { org, records: Vec::new() }).is_none(), "a number given twice");
                }
                Write::Record { number, sequence, record } => {
                    let stored = self.store.get_mut(&number).expect("a session before its records");
                    assert_eq!(sequence, stored.records.len() as u64, "SES-1: records out of order");
                    assert_eq!(record.body[0], ORGS[stored.org].as_bytes()[0], "ADM-4: stored under another org");
                    stored.records.push(record);
                    self.input(Input::Appended(number, sequence + 1));
                }
                Write::End { number, .. } => self.input(Input::Ended(number)),
                Write::Remove { number } => drop(self.store.remove(&number).expect("a session that is there")),
                Write::Envelope { number, .. } => self.input(Input::Enveloped(number)),
                Write::Credential { org, credential, .. } => {
                    assert!(credential.expose().ends_with(org.as_str()), "ADM-4: a credential stored under another org");
                }
            }
        }
    }

    fn answer_read(&mut self, is_readable: bool) {
        let Some(Read { viewer, session, from, max_bytes }) = self.reads.pop_front() else { return };
        let stored = &self.store[&session];
        let start = usize::try_from(from).expect("in memory");
        assert!(start < stored.records.len(), "a read of what is not durable");
        if let Some(socket) = self.sockets.get(&viewer) {
            assert_eq!(socket.org, stored.org, "ADM-4: a read for another org");
        }
        let mut left = max_bytes;
        let fits = |record: &&SealedRecord| left.checked_sub(record.body.len()).map(|rest| left = rest).is_some();
        let mut records: Vec<_> = stored.records[start..].iter().take_while(fits).cloned().collect();
        if records.is_empty() {
            records.push(stored.records[start].clone());
        }
        if is_readable {
            self.input(Input::Records(Records { viewer, session, from, records }));
        } else {
            self.input(Input::Unreadable(viewer, session));
        }
    }

    /// The store is trusted to be honest about what is durable, but it may answer late: about who is gone, and about sessions
    /// that are not there.
    fn stale(&mut self, number: SessionNumber, next: u64, connection: u8) {
        if self.store.contains_key(&number) || self.hub_may_know(number) {
            return;
        }
        self.input(Input::Appended(number, next));
        self.input(Input::Ended(number));
        let viewer = ConnectionId(u64::MAX - u64::from(connection));
        let record = SealedRecord { epoch: 0, body: body(0, 10) };
        self.input(Input::Records(Records { viewer, session: number, from: next, records: vec![record] }));
        self.input(Input::Taken(viewer, 10));
        self.input(Input::Gone(viewer));
    }

    fn hub_may_know(&self, number: SessionNumber) -> bool {
        self.uncommitted.iter().any(|write| matches!(write, Write::Session { number: n, .. } if *n == number))
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send(to, frame) | Output::SendTail(to, frame) => self.delivered(to, &frame),
            Output::Close(to, _) => drop(self.sockets.remove(&to).expect("closed what is not there")),
            Output::PauseReading(whom) => self.hold(whom, true),
            Output::ResumeReading(whom) => self.hold(whom, false),
            Output::Revalidate(whom) => assert!(self.sockets.contains_key(&whom), "a recheck of nobody"),
            Output::Write(write) => self.write(write),
            Output::Read(read) => {
                assert!(self.sockets.contains_key(&read.viewer), "a read for nobody");
                self.reads.push_back(read);
            }
        }
    }

    fn hold(&mut self, whom: ConnectionId, is_held: bool) {
        let socket = self.sockets.get_mut(&whom).expect("held or released and not there");
        assert_ne!(core::mem::replace(&mut socket.is_held, is_held), is_held, "held or released twice");
    }

    fn write(&mut self, write: Write) {
        match &write {
            Write::Session { number, org, session, .. } => {
                let org = ORGS.iter().position(|name| *name == org.as_str()).expect("one of ours");
                self.numbers.insert(*number, (org, *session));
            }
            Write::Record { number, sequence, .. } => {
                self.sent.insert(self.numbers[number], sequence + 1);
            }
            Write::Credential { .. } | Write::End { .. } | Write::Envelope { .. } | Write::Remove { .. } => {}
        }
        self.uncommitted.push_back(write);
    }

    fn delivered(&mut self, to: ConnectionId, frame: &Frame) {
        let socket = self.sockets.get_mut(&to).expect("sent to who is gone");
        socket.untaken += weight(frame);
        if !frame.body.is_empty() {
            let is_own = if let Head::Open { .. } = frame.head {
                Listing::split(&frame.body).0.ends_with(ORGS[socket.org].as_bytes())
            } else {
                frame.body[0] == ORGS[socket.org].as_bytes()[0]
            };
            assert!(is_own, "ADM-4: {:?} of another org", frame.head);
        }
        match frame.head {
            Head::Data { session, sequence, .. } => {
                let next = socket.next.get_mut(&session).expect("a record that nobody asked for");
                assert_eq!(sequence, *next, "SES-1: a gap, a duplicate, or another order");
                *next += 1;
            }
            Head::Resume { session, next } if !socket.is_viewer => {
                self.sent.insert((socket.org, session), next);
            }
            _ => {}
        }
    }

    fn check_limits(&self) {
        assert!(self.hub.machine.unstored() <= MAX_UNSTORED + SLACK, "L8: unstored");
        for socket in self.sockets.values() {
            let limit = if socket.is_viewer { PEER_WINDOW.max(VIEWER_WINDOW) + 2 * SLACK } else { usize::MAX };
            assert!(socket.untaken <= limit, "L8: {} bytes under way to one viewer", socket.untaken);
        }
    }
}

fn credential(org: usize) -> SecretText {
    SecretText::new(format!("credential of {}", ORGS[org]))
}
