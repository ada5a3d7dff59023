//! A relay: the real connections and the real hub, and a store that keeps what was committed.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use proto_core::{
    Entropy, GivenId, Instant, Machine, OrgId, SessionId, WallClock,
    crypto::{StaticKeys, noise::Symbolic},
    hub::{self, ConnectionId, Hub, Read, Records, SealedRecord, SessionNumber, StoredSession, Write},
    key::StaticKey,
    peer::{self, Connection},
    secret::{Secret, SecretText},
    wire::{FRAME_MAX_DEFAULT, Frame, Head, Outcome},
};

use super::platform::Platform;

/// What a dishonest relay does to the records that it sends to viewers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// Nothing.
    None,
    /// Changes a bit of this record.
    Forges(u64),
    /// Leaves this record out.
    Omits(u64),
    /// Shows this record under the number of the next one, and that one under its number.
    Swaps(u64),
    /// Says that the session has ended before this record.
    EndsBefore(u64),
}

/// A session as the store has it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Whose.
    pub org: OrgId,
    /// Its id.
    pub session: SessionId,
    /// Who opened it.
    pub target: GivenId,
    /// How it is sealed.
    pub cipher: u8,
    /// What is durable.
    pub records: Vec<SealedRecord>,
    /// How it ended.
    pub ended: Option<Outcome>,
}

/// A relay.
#[derive(Debug)]
pub struct Relay {
    /// Whether it answers.
    pub is_up: bool,
    /// Whether the store makes anything durable.
    pub commits: bool,
    /// What it does to viewers.
    pub tampering: Tampering,
    /// What is durable.
    pub store: BTreeMap<SessionNumber, Stored>,
    /// Frames that daemons sent it, in order.
    pub frames: Vec<(ConnectionId, Frame)>,
    /// How many credentials were renewed over live links.
    pub renewed: usize,
    pub(super) connections: BTreeMap<ConnectionId, Connection<Symbolic>>,
    pub(super) hub: Hub,
    settings: Arc<peer::Settings>,
    credentials: BTreeMap<(OrgId, GivenId), SecretText>,
    writes: VecDeque<Write>,
}

/// What a relay wants of the world.
#[derive(Debug)]
pub(super) enum Want {
    Perform(ConnectionId, proto_core::effect::Effect<peer::Errand>),
    LookUp(ConnectionId, peer::Errand, proto_core::jose::Thumbprint),
}

impl Relay {
    /// A relay with keys of its own.
    pub fn new(seed: u8) -> Self {
        let settings = peer::Settings {
            gate: Platform::gate(),
            keys: StaticKeys::from_private(Secret::new([seed; 32])),
            frame_max: u32::try_from(FRAME_MAX_DEFAULT).unwrap(),
            software: "viewport-relay 0.1.0".into(),
        };
        Self {
            is_up: true,
            commits: true,
            tampering: Tampering::None,
            store: BTreeMap::new(),
            frames: Vec::new(),
            renewed: 0,
            connections: BTreeMap::new(),
            hub: Hub::new(),
            settings: Arc::new(settings),
            credentials: BTreeMap::new(),
            writes: VecDeque::new(),
        }
    }

    /// Its static key.
    pub fn key(&self) -> StaticKey {
        self.settings.keys.public()
    }

    /// The durable sessions, by their ids.
    pub fn session(&self, session: SessionId) -> Option<&Stored> {
        self.store.values().find(|stored| stored.session == session)
    }

    pub(super) fn accept(&mut self, now: Instant, clock: WallClock, id: ConnectionId, entropy: &Entropy) {
        let connection = Connection::new(now, Arc::clone(&self.settings), clock, entropy);
        self.connections.insert(id, connection);
    }

    /// The process dies: what was not committed is lost.
    pub(super) fn restart(&mut self, now: Instant) {
        self.connections.clear();
        self.writes.clear();
        self.hub = Hub::new();
        for (number, stored) in self.store.clone() {
            let credential = self.credentials[&(stored.org.clone(), stored.target.clone())].clone();
            let session = StoredSession {
                number,
                org: stored.org,
                session: stored.session,
                target: stored.target,
                cipher: stored.cipher,
                credential,
                next: stored.records.len() as u64,
                ended: stored.ended,
            };
            self.hub.handle_input(now, hub::Input::Stored(session)).unwrap();
        }
    }

    pub(super) fn tell(&mut self, now: Instant, id: ConnectionId, input: peer::Input) -> Vec<Want> {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.handle_input(now, input).unwrap();
        }
        self.drain(now)
    }

    pub(super) fn tell_hub(&mut self, now: Instant, input: hub::Input) -> Vec<Want> {
        self.hub.handle_input(now, input).unwrap();
        self.drain(now)
    }

    pub(super) fn fire(&mut self, now: Instant) -> Vec<Want> {
        self.connections.values_mut().for_each(|connection| connection.handle_timeout(now));
        self.drain(now)
    }

    /// Everything that waits for the disk becomes durable.
    pub(super) fn commit(&mut self, now: Instant) -> Vec<Want> {
        let mut wants = Vec::new();
        while self.commits
            && let Some(write) = self.writes.pop_front()
        {
            let answer = self.make_durable(write);
            wants.extend(answer.into_iter().flat_map(|answer| self.tell_hub(now, answer)));
        }
        wants
    }

    /// Whether a commit would make something durable.
    pub(super) fn has_writes(&self) -> bool {
        self.commits && !self.writes.is_empty()
    }

    fn make_durable(&mut self, write: Write) -> Option<hub::Input> {
        match write {
            Write::Credential { org, target, credential } => {
                self.credentials.insert((org, target), credential);
                None
            }
            Write::Session { number, org, session, target, cipher } => {
                self.store.insert(number, Stored { org, session, target, cipher, records: Vec::new(), ended: None });
                None
            }
            Write::Record { number, sequence, record } => {
                let records = &mut self.store.get_mut(&number).unwrap().records;
                assert_eq!(records.len() as u64, sequence, "the store has a gap");
                records.push(record);
                Some(hub::Input::Appended(number, sequence + 1))
            }
            Write::End { number, outcome } => {
                self.store.get_mut(&number).unwrap().ended = Some(outcome);
                Some(hub::Input::Ended(number))
            }
        }
    }

    /// Passes on what connections and hub say to each other, until neither says anything.
    fn drain(&mut self, now: Instant) -> Vec<Want> {
        let mut wants = Vec::new();
        loop {
            let from_connection = self.connections.iter_mut().find_map(|(id, c)| Some((*id, c.poll_output()?)));
            if let Some((id, output)) = from_connection {
                self.connection_said(now, id, output, &mut wants);
            } else if let Some(output) = self.hub.poll_output() {
                self.hub_said(now, output);
            } else {
                return wants;
            }
        }
    }

    fn connection_said(&mut self, now: Instant, id: ConnectionId, output: peer::Output, wants: &mut Vec<Want>) {
        let input = match output {
            peer::Output::Effect(effect) => return wants.push(Want::Perform(id, effect)),
            peer::Output::LookUp(errand, kid) => return wants.push(Want::LookUp(id, errand, kid)),
            peer::Output::Confirmed(device) => hub::Input::Confirmed(id, device.for_hub()),
            peer::Output::Frame(frame) => {
                self.frames.push((id, frame.clone()));
                hub::Input::Received(id, frame)
            }
            peer::Output::Renewed(token) => {
                self.renewed += 1;
                hub::Input::Renewed(id, token)
            }
            peer::Output::Taken(weight) => hub::Input::Taken(id, weight),
            peer::Output::Ended(_) => hub::Input::Gone(id),
        };
        self.hub.handle_input(now, input).unwrap();
    }

    fn hub_said(&mut self, now: Instant, output: hub::Output) {
        let (id, input) = match output {
            hub::Output::Send(id, frame) => (id, peer::Input::Send(frame)),
            hub::Output::SendTail(id, frame) => match self.tamper(frame) {
                Some(frame) if matches!(frame.head, Head::End { .. }) => (id, peer::Input::Send(frame)),
                Some(frame) => (id, peer::Input::SendTail(frame)),
                None => return,
            },
            hub::Output::Close(id, reason) => (id, peer::Input::Close(reason)),
            hub::Output::Hold(id) => (id, peer::Input::Hold),
            hub::Output::Release(id) => (id, peer::Input::Release),
            hub::Output::Write(write) => return self.writes.push_back(write),
            hub::Output::Read(read) => {
                let records = self.read(read);
                return self.hub.handle_input(now, hub::Input::Records(records)).unwrap();
            }
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.handle_input(now, input).unwrap();
        }
    }

    fn read(&self, Read { viewer, session, from, .. }: Read) -> Records {
        let records = self.store[&session].records[usize::try_from(from).unwrap()..].to_vec();
        Records { viewer, session, from, records }
    }

    fn tamper(&self, mut frame: Frame) -> Option<Frame> {
        let Head::Data { session, sequence, epoch } = frame.head else { return Some(frame) };
        match self.tampering {
            Tampering::Forges(at) if at == sequence => {
                let mut body = frame.body.to_vec();
                body[0] ^= 1;
                frame.body = Bytes::from(body);
            }
            Tampering::Omits(at) if at == sequence => return None,
            Tampering::Swaps(at) if at == sequence => frame.head = Head::Data { session, epoch, sequence: at + 1 },
            Tampering::Swaps(at) if at + 1 == sequence => frame.head = Head::Data { session, epoch, sequence: at },
            Tampering::EndsBefore(at) if at == sequence => {
                return Some(Head::End { session, next: at, outcome: Outcome::Exited }.into());
            }
            _ => {}
        }
        Some(frame)
    }
}
