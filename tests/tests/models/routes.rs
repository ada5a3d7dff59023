//! [`Hub`] beside [`Routes`].

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use proto_core::{
    SessionId,
    relay::hub::{Confirmed, ConnectionId, Hub, Input, Kind, Output, Records, SealedRecord, SessionNumber, Write},
    secret::SecretText,
    wire::{Frame, Head, Listing, Outcome},
};
use verification::models::{
    bench::Bench,
    config,
    given::id,
    routes::{Member, Routes, What},
};

const ORGS: [&str; 2] = ["A", "B"];
const TARGETS: [&str; 3] = ["r1", "r2", "r3"];

#[derive(Clone, Debug)]
enum Event {
    Join(u64, Member),
    Leave(u64),
    /// A frame about a session, by number.
    Frame(u64, u8, Kin),
    Renew(u64),
    Revoke(Option<&'static str>, &'static str),
    /// The store makes so many of the writes before it durable.
    Commit(usize),
    /// The store answers a read.
    Read,
    Taken(u64, usize),
}

#[derive(Clone, Copy, Debug)]
enum Kin {
    Open,
    /// The next record, or one that does not fit.
    Data(Option<u64>),
    End(u64),
    Resume(u64),
    Peer(u64),
}

fn events() -> impl Strategy<Value = Event> {
    let connection = || 0_u64..6;
    let member = (proptest::sample::select(&ORGS), proptest::sample::select(&TARGETS), any::<bool>())
        .prop_map(|(org, target, is_daemon)| Member { org, target, is_daemon });
    let kin = prop_oneof![
        4 => Just(Kin::Open),
        8 => proptest::option::weighted(0.2, 0_u64..4).prop_map(Kin::Data),
        1 => (0_u64..4).prop_map(Kin::End),
        5 => (0_u64..3).prop_map(Kin::Resume),
        3 => (0_u64..7).prop_map(Kin::Peer),
    ];
    prop_oneof![
        2 => (connection(), member).prop_map(|(connection, member)| Event::Join(connection, member)),
        1 => connection().prop_map(Event::Leave),
        20 => (connection(), 0_u8..2, kin).prop_map(|(connection, session, kin)| Event::Frame(connection, session, kin)),
        1 => connection().prop_map(Event::Renew),
        1 => (proptest::option::weighted(0.3, proptest::sample::select(&ORGS)), proptest::sample::select(&TARGETS))
            .prop_map(|(org, target)| Event::Revoke(org, target)),
        4 => (0_usize..6).prop_map(Event::Commit),
        4 => Just(Event::Read),
        1 => (connection(), 0_usize..400_000).prop_map(|(connection, weight)| Event::Taken(connection, weight)),
    ]
}

/// The hub, who is connected, and a store.
struct Relay {
    bench: Bench<Hub>,
    routes: Routes,
    /// What was written and not answered yet.
    writes: Vec<Write>,
    /// Durable records: whose, and the bytes.
    stored: BTreeMap<u64, Vec<Bytes>>,
    reads: Vec<proto_core::relay::hub::Read>,
    /// The next record of each session.
    next: BTreeMap<(&'static str, u8), u64>,
}

/// Content names the org that it comes from, and must not be seen elsewhere.
fn content(org: &str, connection: u64) -> Bytes {
    Bytes::from(format!("content of {org} from {connection} 0123456789abcdef"))
}

fn org_in(body: &Bytes) -> Option<&str> {
    std::str::from_utf8(body).ok()?.split(' ').nth(2)
}

fn session(number: u8) -> SessionId {
    SessionId([number; 16])
}

impl Relay {
    fn tell(&mut self, input: Input) {
        let said: Vec<Output> = self.bench.tell(input).iter().map(|(_, output)| output.clone()).collect();
        for output in &said {
            self.follow(output);
        }
    }

    fn follow(&mut self, output: &Output) {
        match output {
            Output::Send(to, frame) | Output::SendTail(to, frame) => self.delivered(*to, frame),
            Output::Close(to, _) => {
                self.routes.members.remove(&to.0);
            }
            Output::Write(write) => {
                self.written(write);
                self.writes.push(write.clone());
            }
            Output::Read(read) => {
                let (org, number) = self.routes.numbers[&read.session.0];
                let may = self.routes.may_receive(read.viewer.0, What::Record, number, Some(org));
                assert!(may, "ADM-4: {read:?} of {org}");
                self.reads.push(*read);
            }
            Output::PauseReading(_) | Output::ResumeReading(_) | Output::Revalidate(_) => {}
        }
    }

    /// ADM-4: this connection may be told this.
    fn delivered(&self, to: ConnectionId, frame: &Frame) {
        let Some(id) = frame.head.session() else { return };
        let what = match frame.head {
            Head::Open { .. } | Head::End { .. } => What::Listing,
            Head::Data { .. } => What::Record,
            Head::Peer { .. } => What::Peer,
            Head::Acknowledge { .. } | Head::Resume { .. } => What::Word,
            _ => return,
        };
        let org = org_in(&frame.body).filter(|_| !matches!(frame.head, Head::Open { .. }));
        let may = self.routes.may_receive(to.0, what, id.0[0], org);
        assert!(may, "ADM-4: {frame:?} to {to:?}, {:?}", self.routes.members.get(&to.0));
        if let Head::Open { .. } = frame.head {
            let member = self.routes.members[&to.0];
            let owner = self.routes.owners[&(member.org, id.0[0])];
            let credential = format!("token {} {owner}", member.org);
            let (said, _) = Listing::split(&frame.body);
            assert!(said.starts_with(credential.as_bytes()), "ADM-4: {said:?} is not {credential}");
        }
    }

    /// ADM-4: what is stored, under whose number.
    fn written(&mut self, write: &Write) {
        match write {
            Write::Session { number, org, session, target, .. } => {
                let org = ORGS.into_iter().find(|known| *known == org.as_str()).unwrap();
                assert_eq!(self.routes.owners.get(&(org, session.0[0])).copied(), Some(target.as_str()), "ADM-4");
                let before = self.routes.numbers.insert(number.0, (org, session.0[0]));
                assert_eq!(before, None, "ADM-4: a number is given once");
            }
            Write::Record { number, sequence, record } => {
                let (org, session) = self.routes.numbers[&number.0];
                assert_eq!(org_in(&record.body), Some(org), "ADM-4: {record:?}");
                self.next.insert((org, session), sequence + 1);
            }
            Write::Credential { org, target, credential } => {
                assert!(credential.expose().starts_with(&format!("token {org} {target}")), "ADM-4");
            }
            Write::End { .. } | Write::Envelope { .. } | Write::Remove { .. } => {}
        }
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::Join(connection, member) if !self.routes.members.contains_key(connection) => {
                // A target is one org's; the platform names each only once.
                let target = format!("{}-{}", member.org, member.target);
                let target: &'static str = NAMES.iter().find(|name| **name == target).unwrap();
                let member = Member { target, ..*member };
                self.routes.join(*connection, member);
                let token = SecretText::new(format!("token {} {} {connection}", member.org, member.target));
                let kind = if member.is_daemon { Kind::Daemon(token) } else { Kind::Viewer };
                let confirmed = Confirmed { org: id(member.org), target: id(member.target), kind };
                self.tell(Input::Confirmed(ConnectionId(*connection), confirmed));
            }
            Event::Leave(connection) => {
                self.routes.members.remove(connection);
                self.tell(Input::Gone(ConnectionId(*connection)));
            }
            Event::Frame(connection, about, kin) => self.frame(*connection, *about, *kin),
            Event::Renew(connection) => {
                let Some(member) = self.routes.members.get(connection).filter(|member| member.is_daemon) else { return };
                let token = SecretText::new(format!("token {} {} renewed", member.org, member.target));
                self.tell(Input::Renewed(ConnectionId(*connection), token));
            }
            Event::Revoke(org, target) => {
                let targets = ORGS.map(|org| id(&format!("{org}-{target}"))).to_vec();
                self.tell(Input::Revoked { targets, orgs: org.map(id).into_iter().collect() });
            }
            Event::Commit(writes) => self.commit(*writes),
            Event::Read => self.read(),
            Event::Taken(connection, weight) => self.tell(Input::Taken(ConnectionId(*connection), *weight)),
            Event::Join(..) => {}
        }
    }

    fn frame(&mut self, connection: u64, about: u8, kin: Kin) {
        let Some(member) = self.routes.members.get(&connection).copied() else { return };
        let session = session(about);
        let body = content(member.org, connection);
        let frame = match kin {
            Kin::Open if member.is_daemon => {
                self.routes.open(connection, about);
                Head::Open { session, cipher: 1 }.into()
            }
            Kin::Data(sequence) if member.is_daemon => {
                let next = self.next.get(&(member.org, about)).copied().unwrap_or(0);
                Frame { head: Head::Data { session, epoch: 0, sequence: sequence.unwrap_or(next) }, body }
            }
            Kin::End(next) if member.is_daemon => Head::End { session, next, outcome: Outcome::Exited }.into(),
            Kin::Resume(next) if !member.is_daemon => {
                self.routes.asked.insert((connection, about));
                Head::Resume { session, next }.into()
            }
            Kin::Peer(viewer) if member.is_daemon => Frame { head: Head::Peer { session, viewer }, body },
            Kin::Peer(_) => Frame { head: Head::Peer { session, viewer: 0 }, body },
            _ => return,
        };
        self.tell(Input::Received(ConnectionId(connection), frame));
    }

    fn commit(&mut self, writes: usize) {
        let writes: Vec<_> = self.writes.drain(..writes.min(self.writes.len())).collect();
        for write in writes {
            match write {
                Write::Record { number, sequence, record } => {
                    self.stored.entry(number.0).or_default().push(record.body);
                    self.tell(Input::Appended(number, sequence + 1));
                }
                Write::End { number, .. } => self.tell(Input::Ended(number)),
                Write::Envelope { number, .. } => self.tell(Input::Enveloped(number)),
                Write::Session { .. } | Write::Credential { .. } | Write::Remove { .. } => {}
            }
        }
    }

    fn read(&mut self) {
        let Some(read) = self.reads.pop() else { return };
        let stored = self.stored.get(&read.session.0).into_iter().flatten();
        let records: Vec<_> =
            stored.skip(usize::try_from(read.from).unwrap()).map(|body| SealedRecord { epoch: 0, body: body.clone() }).collect();
        assert!(!records.is_empty(), "only what is durable is read");
        self.tell(Input::Records(Records {
            viewer: read.viewer,
            session: SessionNumber(read.session.0),
            from: read.from,
            records,
        }));
    }
}

const NAMES: [&str; 6] = ["A-r1", "A-r2", "A-r3", "B-r1", "B-r2", "B-r3"];

proptest! {
    #![proptest_config(config(512))]

    /// ADM-4, LINK-2, ISO-3: whatever session ids, targets and orders, nobody is told, and nothing is stored, that is another
    /// org's, and within an org only those are told who may be.
    #[test]
    fn a_hub_routes_like_its_model(events in vec(events(), 0..120)) {
        let mut relay = Relay {
            bench: Bench::new(Hub::new()),
            routes: Routes::default(),
            writes: Vec::new(),
            stored: BTreeMap::new(),
            reads: Vec::new(),
            next: BTreeMap::new(),
        };
        // Of each org a daemon and a viewer are there from the beginning.
        for (connection, (org, is_daemon)) in (0..).zip([("A", true), ("A", false), ("B", true), ("B", false)]) {
            let target = if is_daemon { "r1" } else { "r2" };
            relay.hear(&Event::Join(connection, Member { org, target, is_daemon }));
        }
        for event in &events {
            relay.hear(event);
        }
    }
}
