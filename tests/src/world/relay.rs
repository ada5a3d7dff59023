//! A relay: the real connections and the real hub, and a store that keeps what was committed.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use proto_core::{
    Entropy, Instant, Machine, OrgId, PlatformId, SessionId, WallClock,
    crypto::StaticKeys,
    key::StaticKey,
    noise::{Noise, Symbolic},
    relay::{
        connection::{self, Connection, Device},
        hub::{self, ConnectionId, Hub, Read, Records, SealedRecord, SessionNumber, StoredSession, Write},
    },
    secret::{Secret, SecretText},
    wire::{Frame, Head, MAX_FRAME_DEFAULT, Outcome},
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
    pub target: PlatformId,
    /// How it is sealed.
    pub cipher: u8,
    /// What is durable.
    pub records: Vec<SealedRecord>,
    /// How it ended.
    pub ended: Option<Outcome>,
    /// What opens it for who holds its organization's key.
    pub envelope: Option<Bytes>,
}

/// A relay.
#[derive(Debug)]
pub struct Relay<N = Symbolic> {
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
    /// The devices that are in.
    pub admitted: BTreeMap<ConnectionId, Device>,
    /// Who came in, or was renewed, with which credential, in order.
    pub entries: Vec<(ConnectionId, Device)>,
    /// How many credentials were renewed over live links.
    pub renewed: usize,
    pub(crate) connections: BTreeMap<ConnectionId, Connection<N>>,
    pub(crate) hub: Hub,
    settings: Arc<connection::Settings>,
    credentials: BTreeMap<(OrgId, PlatformId), SecretText>,
    writes: VecDeque<Write>,
    /// The connections that were spoken to and not listened to since.
    spoken_to: BTreeSet<ConnectionId>,
}

/// What a relay wants of the world.
#[derive(Debug)]
pub(crate) enum Want {
    Perform(ConnectionId, proto_core::effect::Effect<connection::EffectId>),
    LookUp(ConnectionId, connection::EffectId, proto_core::jose::Thumbprint),
}

impl<N: Noise> Relay<N> {
    /// A relay with keys of its own.
    pub fn new(seed: u8) -> Self {
        Self::with_keys(StaticKeys::from_private(Secret::new([seed; 32])))
    }

    /// A relay with these keys.
    pub fn with_keys(keys: StaticKeys) -> Self {
        let settings = connection::Settings {
            gate: Platform::gate(),
            keys,
            frame_max: u32::try_from(MAX_FRAME_DEFAULT).unwrap(),
            software: "viewport-relay 0.1.0".into(),
        };
        Self {
            is_up: true,
            commits: true,
            tampering: Tampering::None,
            store: BTreeMap::new(),
            frames: Vec::new(),
            admitted: BTreeMap::new(),
            entries: Vec::new(),
            renewed: 0,
            spoken_to: BTreeSet::new(),
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

    /// It has another static key from its next connection on.
    pub fn change_key(&mut self, keys: StaticKeys) {
        Arc::make_mut(&mut self.settings).keys = keys;
    }

    /// The durable sessions, by their ids.
    pub fn session(&self, session: SessionId) -> Option<&Stored> {
        self.store.values().find(|stored| stored.session == session)
    }

    pub(crate) fn accept(&mut self, now: Instant, clock: WallClock, id: ConnectionId, entropy: &Entropy) {
        let connection = Connection::new(now, Arc::clone(&self.settings), clock, entropy);
        self.connections.insert(id, connection);
    }

    /// The process dies: what was not committed is lost.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.connections.clear();
        self.admitted.clear();
        self.spoken_to.clear();
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
                tally: hub::Tally::default(),
                envelope: stored.envelope,
            };
            self.hub.handle_input(now, hub::Input::Stored(session)).unwrap();
        }
    }

    pub(crate) fn tell(&mut self, now: Instant, id: ConnectionId, input: connection::Input) -> Vec<Want> {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.handle_input(now, input).unwrap();
            self.spoken_to.insert(id);
        }
        self.drain(now)
    }

    pub(crate) fn tell_hub(&mut self, now: Instant, input: hub::Input) -> Vec<Want> {
        self.hub.handle_input(now, input).unwrap();
        self.drain(now)
    }

    pub(crate) fn fire(&mut self, now: Instant) -> Vec<Want> {
        for (id, connection) in &mut self.connections {
            if connection.poll_timeout().is_some_and(|deadline| deadline.at <= now) {
                connection.handle_timeout(now);
                self.spoken_to.insert(*id);
            }
        }
        self.drain(now)
    }

    /// Everything that waits for the disk becomes durable.
    pub(crate) fn commit(&mut self, now: Instant) -> Vec<Want> {
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
    pub(crate) fn has_writes(&self) -> bool {
        self.commits && !self.writes.is_empty()
    }

    fn make_durable(&mut self, write: Write) -> Option<hub::Input> {
        match write {
            Write::Credential { org, target, credential } => {
                self.credentials.insert((org, target), credential);
                None
            }
            Write::Session { number, org, session, target, cipher } => {
                self.store
                    .insert(number, Stored { org, session, target, cipher, records: Vec::new(), ended: None, envelope: None });
                None
            }
            Write::Record { number, sequence, record } => {
                let records = &mut self.store.get_mut(&number).unwrap().records;
                assert_eq!(records.len() as u64, sequence, "the store has a gap");
                records.push(record);
                Some(hub::Input::Appended(number, sequence + 1))
            }
            Write::Envelope { number, envelope } => {
                let replaced = self.store.get_mut(&number).unwrap().envelope.replace(envelope);
                assert_eq!(replaced, None, "a session has one envelope");
                Some(hub::Input::Enveloped(number))
            }
            Write::End { number, outcome } => {
                self.store.get_mut(&number).unwrap().ended = Some(outcome);
                Some(hub::Input::Ended(number))
            }
            Write::Remove { number } => {
                self.store.remove(&number);
                None
            }
        }
    }

    /// Passes on what connections and hub say to each other, until neither says anything.
    fn drain(&mut self, now: Instant) -> Vec<Want> {
        let mut wants = Vec::new();
        loop {
            if let Some((id, output)) = self.next_of_connections() {
                self.connection_said(now, id, output, &mut wants);
            } else if let Some(output) = self.hub.poll_output() {
                self.hub_said(now, output);
            } else {
                return wants;
            }
        }
    }

    /// What the next connection says that was spoken to. One that has ended and has nothing left to say is forgotten.
    fn next_of_connections(&mut self) -> Option<(ConnectionId, connection::Output)> {
        while let Some(id) = self.spoken_to.first().copied() {
            let output = self.connections.get_mut(&id).and_then(Machine::poll_output);
            if let Some(output) = output {
                return Some((id, output));
            }
            self.spoken_to.remove(&id);
            if self.connections.get(&id).is_some_and(|connection| connection.stage().is_none()) {
                self.connections.remove(&id);
            }
        }
        None
    }

    fn connection_said(&mut self, now: Instant, id: ConnectionId, output: connection::Output, wants: &mut Vec<Want>) {
        let input = match output {
            connection::Output::Effect(effect) => return wants.push(Want::Perform(id, effect)),
            connection::Output::LookUp(effect_id, kid) => return wants.push(Want::LookUp(id, effect_id, kid)),
            connection::Output::Confirmed(device) => {
                let confirmed = hub::Input::Confirmed(id, device.for_hub());
                self.entries.push((id, (*device).clone()));
                self.admitted.insert(id, *device);
                confirmed
            }
            connection::Output::Frame(frame) => {
                self.frames.push((id, frame.clone()));
                hub::Input::Received(id, frame)
            }
            connection::Output::Renewed(token) => {
                self.renewed += 1;
                if let Some(device) = self.admitted.get_mut(&id) {
                    device.token = token.clone();
                    self.entries.push((id, device.clone()));
                }
                hub::Input::Renewed(id, token)
            }
            connection::Output::Taken(weight) => hub::Input::Taken(id, weight),
            connection::Output::Ended(_) => {
                self.admitted.remove(&id);
                hub::Input::Gone(id)
            }
        };
        self.hub.handle_input(now, input).unwrap();
    }

    fn hub_said(&mut self, now: Instant, output: hub::Output) {
        let (id, input) = match output {
            hub::Output::Send(id, frame) => (id, connection::Input::Send(frame)),
            hub::Output::SendTail(id, frame) => match self.tamper(frame) {
                Some(frame) if matches!(frame.head, Head::End { .. }) => (id, connection::Input::Send(frame)),
                Some(frame) => (id, connection::Input::SendTail(frame)),
                None => return,
            },
            hub::Output::Close(id, reason) => (id, connection::Input::Close(reason)),
            hub::Output::PauseReading(id) => (id, connection::Input::PauseReading),
            hub::Output::ResumeReading(id) => (id, connection::Input::ResumeReading),
            hub::Output::Revalidate(id) => (id, connection::Input::Revalidate),
            hub::Output::Write(write) => return self.writes.push_back(write),
            hub::Output::Read(read) => {
                let records = self.read(read);
                return self.hub.handle_input(now, hub::Input::Records(records)).unwrap();
            }
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.handle_input(now, input).unwrap();
            self.spoken_to.insert(id);
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
