//! An attacker who is the network: it keeps every message, delivers what it likes to whom it likes, builds what it can from the
//! keys that it holds, and owns a device of another organization (NOI-3, NOI-4, NOI-9, JWT-4, PIN-1).

mod properties;

use std::sync::Arc;

use bytes::Bytes;
use proto_core::{
    Entropy, Instant, Machine, Status,
    effect::{Effect, IoEvent},
    noise::{
        InitiatorKeys, Noise,
        channel::{Channel, Tails},
        handshake::{Initiator, initiator},
    },
    relay::{
        admission::{KeyAnswer, PlatformAccess},
        connection::{self, Connection, EffectId, Settings},
    },
    secret::SecretText,
    wire::{Answer, Head, Hello, MAX_FRAME_DEFAULT, Pattern, Preamble, Role, Suite},
};

use super::algebra::{Algebra, Knowledge, Word, name};
use crate::{
    explore::{Broken, Log, System, subjects::answered},
    fixtures::{clock, handshake::welcome, identity, platform_key, secret, token},
    laws::START,
};

/// Which long-term key the attacker has got hold of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compromised {
    /// None.
    Nothing,
    /// The device's.
    Device,
    /// The relay's.
    Relay,
}

/// The system: a device of org A, a relay, and the attacker's own device of org B.
#[derive(Debug)]
pub struct Attacked {
    compromised: Compromised,
    /// Org A wants IKpsk2.
    has_psk: bool,
    /// Sessions of the device, connections of the relay, messages that the attacker builds.
    sizes: [usize; 3],
    tokens: [SecretText; 2],
    settings: Arc<Settings>,
}

/// A state.
#[derive(Clone, Debug, Hash)]
pub struct State {
    sessions: Vec<Session>,
    connections: Vec<RelayEnd>,
    /// Every message that was ever sent or built.
    known: Vec<Bytes>,
    /// The attacker's own handshakes.
    own: Vec<Algebra>,
    built: usize,
    knowledge: Knowledge,
}

/// A handshake of the device.
#[derive(Clone, Debug, Hash)]
struct Session {
    initiator: Initiator<Algebra>,
    first: Bytes,
    /// What it took for the relay's answer, and what it said then.
    second: Option<Bytes>,
    third: Option<Bytes>,
}

/// A connection at the relay.
#[derive(Clone, Debug, Hash)]
struct RelayEnd {
    connection: Connection<Algebra>,
    first: Option<Bytes>,
    second: Option<Bytes>,
    confirmed_by: Option<Bytes>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Action {
    ToRelay(usize, usize),
    ToDevice(usize, usize),
    /// A first message of its own, with its key or the device's, and its credential or the device's.
    Initiate {
        as_device: bool,
        with_devices_token: bool,
        pattern: Pattern,
    },
    /// A first message whose suite is another one now.
    Downgrade(usize),
    /// Message 2 in the relay's name.
    Answer(usize),
    /// What its own session says first, after this message 2.
    Confirm(usize),
}

const DEVICE: u8 = 1;
const RELAY: u8 = 2;
const ATTACKER: u8 = 7;

fn key(of: u8) -> Word {
    identity(of).static_key().0
}

fn suite(pattern: Pattern) -> Preamble {
    Preamble { suite: Suite::choose(pattern, true), role: Role::Daemon }
}

impl Attacked {
    /// With this key lost, with or without a PSK; so many sessions, connections and messages of the attacker's.
    pub fn new(compromised: Compromised, has_psk: bool, sizes: [usize; 3]) -> Self {
        let gate = PlatformAccess {
            validate_url: "https://api.example/api/relay/validate".into(),
            internal_key: SecretText::new("internal"),
            issuer: None,
        };
        let frame_max = u32::try_from(MAX_FRAME_DEFAULT).unwrap_or(u32::MAX);
        let keys = identity(RELAY).static_keys().clone();
        let settings = Arc::new(Settings { gate: Arc::new(gate), keys, frame_max, software: "relay".into() });
        let tokens = [token(&secret(DEVICE), "A", "r", 1), token(&secret(ATTACKER), "B", "r", 1)];
        Self { compromised, has_psk, sizes, tokens, settings }
    }

    fn pattern(&self) -> Pattern {
        if self.has_psk { Pattern::IkPsk2 } else { Pattern::Ik }
    }

    fn start(&self, state: &mut State) {
        let number = u8::try_from(state.sessions.len()).unwrap_or(0);
        let (device, psk) = (identity(DEVICE), secret(3));
        let keys = InitiatorKeys {
            preamble: suite(self.pattern()),
            local: device.static_keys(),
            responder: identity(RELAY).static_key(),
            psk: self.has_psk.then_some(&psk),
        };
        let hello = Hello { token: self.tokens[0].clone(), software: "vpd".into() };
        let mut initiator = Initiator::start(START, keys, Entropy::new([0x10 + number; 32]), &hello);
        if let Some(initiator::Output::Send(first)) = initiator.poll_output() {
            state.known.push(first.clone());
            state.sessions.push(Session { initiator, first, second: None, third: None });
        }
    }

    fn open(&self, state: &mut State) {
        let number = u8::try_from(state.connections.len()).unwrap_or(0);
        let connection = Connection::new(START, Arc::clone(&self.settings), clock(), &Entropy::new([0x20 + number; 32]));
        state.connections.push(RelayEnd { connection, first: None, second: None, confirmed_by: None });
    }

    /// Builds a message, where it can.
    fn build(&self, state: &mut State, action: Action) {
        let number = u8::try_from(state.built).unwrap_or(0);
        let built = match action {
            Action::Initiate { as_device, with_devices_token, pattern } => {
                let local = identity(if as_device { DEVICE } else { ATTACKER });
                let psk = state.knowledge.psk.clone().unwrap_or_else(|| secret(0x77));
                let keys = InitiatorKeys {
                    preamble: suite(pattern),
                    local: local.static_keys(),
                    responder: identity(RELAY).static_key(),
                    psk: (pattern == Pattern::IkPsk2).then_some(&psk),
                };
                let token = self.tokens[usize::from(!with_devices_token)].clone();
                let hello = Hello { token, software: "evil".into() };
                let made = Algebra::initiate(keys, Entropy::new([0x30 + number; 32]), &hello.encode());
                made.ok().map(|(noise, message)| {
                    state.own.push(noise);
                    message
                })
            }
            Action::Downgrade(place) => downgraded(state.known.get(place)),
            Action::Answer(place) => {
                let ephemeral = name(&[b"attacker", &[number]]);
                state.knowledge.holds.insert(ephemeral);
                let payload = Answer::Welcome(welcome()).encode();
                let known = state.known.get(place).cloned().unwrap_or_default();
                state.knowledge.forges_answer(&known, &key(RELAY), &ephemeral, &payload)
            }
            Action::Confirm(place) => confirmed(state, place),
            _ => None,
        };
        state.built += 1;
        state
            .known
            .extend(built.map(Bytes::from).filter(|message| !state.known.contains(message)).into_iter().collect::<Vec<_>>());
    }
}

fn downgraded(message: Option<&Bytes>) -> Option<Vec<u8>> {
    let (preamble, rest) = Preamble::split(message?).ok()?;
    let other = if preamble.suite.pattern() == Pattern::Ik { Pattern::IkPsk2 } else { Pattern::Ik };
    Some([suite(other).to_bytes().as_slice(), rest].concat())
}

/// The attacker reads a message 2 with one of its own sessions and answers.
fn confirmed(state: &State, place: usize) -> Option<Vec<u8>> {
    let second = state.known.get(place)?;
    state.own.iter().find_map(|noise| {
        let mut noise = noise.clone();
        noise.read_answer(second).ok()?;
        Channel::new(noise, Tails::Refused).seal(&Head::Ping { nonce: 9 }.into()).ok().map(Vec::from)
    })
}

impl System for Attacked {
    type State = State;
    type Action = Action;

    fn bounds(&self) -> String {
        let [sessions, connections, built] = self.sizes;
        let psk = if self.has_psk { "IKpsk2" } else { "IK" };
        format!(
            "{psk}; compromised: {:?}; {sessions} sessions of the device, {connections} connections at the relay, {built} messages \
             that the attacker builds; it has the device's credential and a device of another org",
            self.compromised
        )
    }

    /// With every session begun and every connection open: the network can keep them waiting for as long as it likes.
    fn starts(&self) -> Vec<State> {
        let mut knowledge = Knowledge::default();
        knowledge.holds.insert(key(ATTACKER));
        match self.compromised {
            Compromised::Nothing => {}
            Compromised::Device => drop(knowledge.holds.insert(key(DEVICE))),
            Compromised::Relay => drop(knowledge.holds.insert(key(RELAY))),
        }
        let (sessions, connections, known, own) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut state = State { sessions, connections, known, own, built: 0, knowledge };
        let [sessions, connections, _] = self.sizes;
        (0..sessions).for_each(|_| self.start(&mut state));
        (0..connections).for_each(|_| self.open(&mut state));
        vec![state]
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        let [_, _, built] = self.sizes;
        for (place, end) in state.connections.iter().enumerate().filter(|(_, end)| end.connection.stage().is_some()) {
            if end.confirmed_by.is_none() {
                actions.extend((0..state.known.len()).map(|known| Action::ToRelay(place, known)));
            }
        }
        for (place, session) in state.sessions.iter().enumerate() {
            if matches!(session.initiator.status(), Status::Running { .. }) {
                actions.extend((0..state.known.len()).map(|known| Action::ToDevice(place, known)));
            }
        }
        if state.built < built {
            let as_device: &[bool] = if self.compromised == Compromised::Device { &[false, true] } else { &[false] };
            for as_device in as_device {
                for pattern in [Pattern::Ik, Pattern::IkPsk2] {
                    actions.extend([false, true].map(|with_devices_token| Action::Initiate {
                        as_device: *as_device,
                        with_devices_token,
                        pattern,
                    }));
                }
            }
            for place in 0..state.known.len() {
                actions.extend([Action::Downgrade(place), Action::Answer(place), Action::Confirm(place)]);
            }
        }
        actions
    }

    fn step(&self, state: &mut State, action: &Action, log: &mut Log) -> Result<(), Broken> {
        match *action {
            Action::ToRelay(to, what) => {
                let message = state.known.get(what).cloned().unwrap_or_default();
                log.say(|| format!("{} bytes", message.len()));
                self.relay_hears(state, to, &message)?;
            }
            Action::ToDevice(to, what) => {
                let message = state.known.get(what).cloned().unwrap_or_default();
                log.say(|| format!("{} bytes", message.len()));
                self.device_hears(state, to, &message)?;
            }
            built => self.build(state, built),
        }
        // In which order it came to know them makes no difference.
        state.known.sort();
        self.secrecy(state)
    }

    fn now(&self, _: &State) -> Instant {
        START
    }

    fn show(&self, state: &State) -> String {
        let sessions = state.sessions.iter().map(|session| format!("{:?}", session.initiator.status()));
        let stages = state.connections.iter().map(|end| format!("{:?}", end.connection.stage()));
        format!(
            "device {:?}, relay {:?}, {} messages known",
            sessions.collect::<Vec<_>>(),
            stages.collect::<Vec<_>>(),
            state.known.len()
        )
    }
}

impl Attacked {
    fn device_hears(&self, state: &mut State, to: usize, message: &Bytes) -> Result<(), Broken> {
        let Some(session) = state.sessions.get_mut(to) else { return Ok(()) };
        let _ = session.initiator.handle_input(START, initiator::Input::Received(message.clone()));
        while let Some(output) = session.initiator.poll_output() {
            if let initiator::Output::Established { noise, .. } = output {
                session.second = Some(message.clone());
                let third = Channel::new(noise, Tails::Refused).seal(&Head::Ping { nonce: 1 }.into()).unwrap_or_default();
                session.third = Some(third.clone());
                state.known.push(third);
            }
        }
        self.authentic_relay(state, to)
    }

    fn relay_hears(&self, state: &mut State, to: usize, message: &Bytes) -> Result<(), Broken> {
        let Some(end) = state.connections.get_mut(to) else { return Ok(()) };
        if end.first.is_none() {
            end.first = Some(message.clone());
        }
        let heard = connection::Input::Io(IoEvent::Received(EffectId::Socket, message.clone()));
        let _ = end.connection.handle_input(START, heard);
        while let Some(output) = end.connection.poll_output() {
            let input = match output {
                connection::Output::Effect(Effect::Send(_, second)) => {
                    if end.second.is_none() {
                        end.second = Some(second.clone());
                    }
                    state.known.extend((!state.known.contains(&second)).then_some(second));
                    continue;
                }
                connection::Output::LookUp(effect_id, _) => {
                    connection::Input::Key(effect_id, KeyAnswer::Found(platform_key().public_key()))
                }
                connection::Output::Effect(Effect::Http(effect_id, request)) => {
                    let body = request.body.as_ref().map_or(&[][..], |body| body.expose());
                    connection::Input::Io(answered(effect_id, 200, None, self.validated(body)))
                }
                connection::Output::Confirmed(device) => {
                    end.confirmed_by = Some(message.clone());
                    if device.org.as_str() == "A" {
                        return self.authentic_device(state, to);
                    }
                    continue;
                }
                _ => continue,
            };
            let _ = end.connection.handle_input(START, input);
        }
        Ok(())
    }

    /// The platform's answer: which org wants what.
    fn validated(&self, body: &[u8]) -> String {
        let is_devices = String::from_utf8_lossy(body).contains(self.tokens[0].expose());
        if is_devices && self.has_psk {
            let psk = serde_json::to_string(&secret(3)).unwrap_or_default();
            return format!(r#"{{"active":true,"policy_mode":"crypto_pairing","psk":{psk}}}"#);
        }
        r#"{"active":true,"policy_mode":"standard"}"#.into()
    }
}
