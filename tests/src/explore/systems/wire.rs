//! A link and the relay's connection with everything between them: losses, repetitions, reordering, replays, a relay that
//! crashes (LINK-2, LINK-4, NOI-4, NOI-8, SES-1).

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use proto_core::{
    Entropy, Instant, JitterRng, Machine, SessionId, Status, UnixTime,
    device::link::{Config, Input, Link, Output},
    effect::{Closed, Effect, IoEvent},
    jose::{self, Claims},
    noise::Symbolic,
    relay::{
        admission::{KeyAnswer, PlatformAccess},
        connection::{self, Connection, EffectId, Settings, Stage},
    },
    secret::SecretText,
    wire::{Frame, Head, MAX_FRAME_DEFAULT, Role},
};

use crate::{
    explore::{Broken, Log, System, subjects::answered},
    fixtures::{UNIX, claims, clock, identity, platform_key, relay, relay_identity, secret},
    laws::START,
};

/// The system.
#[derive(Debug)]
pub struct Connecting {
    token: SecretText,
    settings: Arc<Settings>,
    /// Faults in all, and frames that the device sends on a connection.
    faults: u8,
    frames: u64,
}

/// A state.
#[derive(Clone, Debug, Hash)]
pub struct State {
    link: Link<Symbolic>,
    now: Instant,
    socket: Option<Socket>,
    /// Message 1 as an attacker recorded it.
    recorded: Option<Bytes>,
    faults: u8,
    /// Connections so far, for fresh entropy.
    connections: u8,
}

/// One WebSocket and the relay's end of it.
#[derive(Clone, Debug, Hash)]
struct Socket {
    peer: Connection<Symbolic>,
    up: VecDeque<Bytes>,
    down: VecDeque<Bytes>,
    /// The relay closed it: the device is told after what was sent before.
    is_closed: bool,
    /// Deadlines that came at either end.
    deadlines: u8,
    /// Frames handed over by the device, and delivered to the hub.
    sent: u64,
    delivered: u64,
    is_confirmed: bool,
    is_replayed: bool,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Action {
    Opens,
    OpenFails,
    Up,
    Down,
    Closed,
    Send,
    Due,
    LoseUp,
    LoseDown,
    RepeatUp,
    RepeatDown,
    SwapUp,
    SwapDown,
    /// Message 1 of an earlier connection comes once more.
    ReplayFirst,
    RelayCrashes,
}

impl Connecting {
    /// With so many faults in all, and so many frames on a connection.
    pub fn new(faults: u8, frames: u64) -> Self {
        let gate = PlatformAccess {
            validate_url: "https://api.example/api/relay/validate".into(),
            internal_key: SecretText::new("internal"),
            issuer: None,
        };
        let frame_max = u32::try_from(MAX_FRAME_DEFAULT).unwrap_or(u32::MAX);
        let keys = relay_identity().static_keys().clone();
        let settings = Arc::new(Settings { gate: Arc::new(gate), keys, frame_max, software: "relay".into() });
        let stamps = Claims { expires_at: UnixTime(UNIX.0 + 864_000), ..claims(&secret(1), "A", "r", 1) };
        Self { token: jose::sign(&stamps, &platform_key()), settings, faults, frames }
    }

    fn open(&self, state: &mut State) {
        state.connections += 1;
        let entropy = Entropy::new([0x80 + state.connections; 32]);
        let peer = Connection::new(state.now, Arc::clone(&self.settings), clock(), &entropy);
        state.socket = Some(Socket {
            peer,
            up: VecDeque::new(),
            down: VecDeque::new(),
            is_closed: false,
            deadlines: 0,
            sent: 0,
            delivered: 0,
            is_confirmed: false,
            is_replayed: false,
        });
        let connected = IoEvent::Connected((), Entropy::new([state.connections; 32]));
        let _ = state.link.handle_input(state.now, Input::Io(connected));
    }

    fn is_waiting(state: &State, what: &str) -> bool {
        matches!(state.link.status(), Status::Running { waiting_for } if waiting_for == what)
    }

    fn fault(state: &mut State, action: Action) {
        state.faults += 1;
        let recorded = state.recorded.clone();
        let Some(socket) = &mut state.socket else { return };
        let is_up = matches!(action, Action::LoseUp | Action::RepeatUp | Action::SwapUp);
        let queue = if is_up { &mut socket.up } else { &mut socket.down };
        match action {
            Action::LoseUp | Action::LoseDown => drop(queue.pop_front()),
            Action::RepeatUp | Action::RepeatDown => {
                if let Some(message) = queue.front().cloned() {
                    queue.push_front(message);
                }
            }
            Action::SwapUp | Action::SwapDown => queue.swap(0, 1),
            Action::ReplayFirst => {
                socket.is_replayed = true;
                socket.up.clear();
                socket.up.extend(recorded);
            }
            _ => state.socket = None,
        }
    }
}

impl System for Connecting {
    type State = State;
    type Action = Action;

    fn bounds(&self) -> String {
        format!("{} faults in all, {} frames and four deadlines on a connection, three connections", self.faults, self.frames)
    }

    fn starts(&self) -> Vec<State> {
        let config = Config {
            role: Role::Daemon,
            url: relay().url,
            relay_keys: relay().static_keys,
            identity: identity(1),
            psk: None,
            token: self.token.clone(),
            software: "vpd".into(),
            aes_in_hardware: true,
        };
        let link = Link::new(config, JitterRng::constant(0), START);
        vec![State { link, now: START, socket: None, recorded: None, faults: 0, connections: 0 }]
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        if state.connections > 3 {
            return actions;
        }
        let disturbs = state.faults < self.faults;
        if Self::is_waiting(state, "the WebSocket") {
            actions.push(Action::Opens);
            actions.extend(disturbs.then_some(Action::OpenFails));
        }
        let Some(socket) = &state.socket else {
            if !matches!(state.link.status(), Status::Running { waiting_for: "the next attempt" | "the WebSocket" }) {
                actions.push(Action::Closed);
            }
            actions.push(Action::Due);
            return actions;
        };
        actions.extend((!socket.up.is_empty()).then_some(Action::Up));
        if socket.down.is_empty() {
            let closes = socket.is_closed || Self::is_waiting(state, "the close");
            actions.extend(closes.then_some(Action::Closed));
        } else {
            actions.push(Action::Down);
        }
        actions.extend((state.link.is_up() && socket.sent < self.frames).then_some(Action::Send));
        actions.extend((socket.deadlines < 4).then_some(Action::Due));
        if disturbs {
            if !socket.up.is_empty() {
                actions.extend([Action::LoseUp, Action::RepeatUp]);
            }
            if !socket.down.is_empty() {
                actions.extend([Action::LoseDown, Action::RepeatDown]);
            }
            actions.extend((socket.up.len() > 1).then_some(Action::SwapUp));
            actions.extend((socket.down.len() > 1).then_some(Action::SwapDown));
            let can_replay =
                state.recorded.is_some() && socket.peer.stage() == Some(Stage::Unauthenticated) && state.connections > 1;
            actions.extend(can_replay.then_some(Action::ReplayFirst));
            actions.push(Action::RelayCrashes);
        }
        actions
    }

    fn step(&self, state: &mut State, action: &Action, log: &mut Log) -> Result<(), Broken> {
        let now = state.now;
        match action {
            Action::Opens => self.open(state),
            Action::OpenFails => {
                state.faults += 1;
                let closed = IoEvent::Closed((), Closed::Fault(proto_core::effect::NetFault::Refused));
                let _ = state.link.handle_input(now, Input::Io(closed));
            }
            Action::Up => {
                if let Some(socket) = &mut state.socket
                    && let Some(message) = socket.up.pop_front()
                {
                    let received = connection::Input::Io(IoEvent::Received(EffectId::Socket, message));
                    let _ = socket.peer.handle_input(now, received);
                }
            }
            Action::Down => {
                let message = state.socket.as_mut().and_then(|socket| socket.down.pop_front());
                if let Some(message) = message {
                    let _ = state.link.handle_input(now, Input::Io(IoEvent::Received((), message)));
                }
            }
            Action::Closed => {
                state.socket = None;
                let _ = state.link.handle_input(now, Input::Io(IoEvent::Closed((), Closed::ByPeer(None))));
            }
            Action::Send => {
                if let Some(socket) = &mut state.socket {
                    let head = Head::Data { session: SessionId([1; 16]), epoch: 0, sequence: socket.sent };
                    socket.sent += 1;
                    let frame = Frame { head, body: Bytes::from_static(b"sealed") };
                    let _ = state.link.handle_input(now, Input::Send(frame));
                }
            }
            Action::Due => {
                state.now = due(state).map_or(now, |at| at.max(now));
                state.link.handle_timeout(state.now);
                if let Some(socket) = &mut state.socket {
                    socket.peer.handle_timeout(state.now);
                    socket.deadlines += 1;
                }
            }
            fault => Self::fault(state, *fault),
        }
        hear(state, log)
    }

    fn now(&self, state: &State) -> Instant {
        state.now
    }

    fn check(&self, state: &State) -> Result<(), Broken> {
        let Some(socket) = &state.socket else { return Ok(()) };
        if socket.delivered > socket.sent {
            return Err(Broken::new("SES-1", "more frames are delivered than were sent"));
        }
        Ok(())
    }

    /// LINK-4: with no more faults, the link comes up on both ends, and stays.
    fn settle(&self, state: &mut State, log: &mut Log) -> Result<(), Broken> {
        for _ in 0..80 {
            let is_in =
                state.socket.as_ref().is_some_and(|socket| socket.is_confirmed && socket.up.is_empty() && socket.down.is_empty());
            if is_in && state.link.is_up() {
                return Ok(());
            }
            let action = match &state.socket {
                None if Self::is_waiting(state, "the WebSocket") => Action::Opens,
                None if Self::is_waiting(state, "the next attempt") => Action::Due,
                None => Action::Closed,
                Some(socket) if !socket.up.is_empty() => Action::Up,
                Some(socket) if !socket.down.is_empty() => Action::Down,
                Some(socket) if socket.is_closed || Self::is_waiting(state, "the close") => Action::Closed,
                Some(_) => Action::Due,
            };
            log.say(|| format!("{action:?}"));
            self.step(state, &action, log)?;
        }
        Err(Broken::new("LINK-4", "the link does not come up"))
    }

    fn show(&self, state: &State) -> String {
        let relay = state.socket.as_ref().map(|socket| (socket.peer.stage(), socket.up.len(), socket.down.len()));
        format!("{:?} at {} s, relay {relay:?}", state.link.status(), state.now.since(START).as_secs())
    }
}

fn due(state: &State) -> Option<Instant> {
    let relay = state.socket.as_ref().and_then(|socket| socket.peer.poll_timeout()).map(|deadline| deadline.at);
    state.link.poll_timeout().map(|deadline| deadline.at).into_iter().chain(relay).min()
}

/// Carries what both ends want to the other one; the key set and the platform answer at once.
fn hear(state: &mut State, log: &mut Log) -> Result<(), Broken> {
    loop {
        if let Some(output) = state.link.poll_output() {
            log.say(|| format!("device: {output:?}").chars().take(100).collect());
            if let Output::Effect(Effect::Send((), message)) = output {
                if state.recorded.is_none() {
                    state.recorded = Some(message.clone());
                }
                state.socket.iter_mut().for_each(|socket| socket.up.push_back(message.clone()));
            }
        } else if let Some(output) = state.socket.as_mut().and_then(|socket| socket.peer.poll_output()) {
            log.say(|| format!("relay: {output:?}").chars().take(100).collect());
            let now = state.now;
            if let Some(socket) = &mut state.socket {
                socket.relay_said(now, output, state.link.is_up())?;
            }
        } else {
            return Ok(());
        }
    }
}

impl Socket {
    fn relay_said(&mut self, now: Instant, output: connection::Output, is_up: bool) -> Result<(), Broken> {
        let answer = match output {
            connection::Output::Effect(Effect::Send(_, message)) => {
                self.down.push_back(message);
                connection::Input::Io(IoEvent::Sent(EffectId::Socket, 1))
            }
            connection::Output::Effect(Effect::Http(effect_id, _)) => {
                connection::Input::Io(answered(effect_id, 200, None, r#"{"active":true,"policy_mode":"standard"}"#))
            }
            connection::Output::LookUp(effect_id, _) => {
                connection::Input::Key(effect_id, KeyAnswer::Found(platform_key().public_key()))
            }
            connection::Output::Confirmed(_) if self.is_replayed && !is_up => {
                return Err(Broken::new("NOI-4", "a replayed message 1 counts"));
            }
            connection::Output::Confirmed(_) if self.is_confirmed => return Err(Broken::new("NOI-4", "confirmed twice")),
            connection::Output::Confirmed(_) => {
                self.is_confirmed = true;
                return Ok(());
            }
            connection::Output::Frame(frame) => return self.deliver(&frame),
            connection::Output::Ended(_) => {
                self.is_closed = true;
                return Ok(());
            }
            connection::Output::Effect(_) | connection::Output::Renewed(_) | connection::Output::Taken(_) => return Ok(()),
        };
        let _ = self.peer.handle_input(now, answer);
        Ok(())
    }

    /// SES-1, for one connection: in order, none twice, none left out.
    fn deliver(&mut self, frame: &Frame) -> Result<(), Broken> {
        if !self.is_confirmed {
            return Err(Broken::new("NOI-8", "a frame is delivered before the device showed that it is there"));
        }
        match frame.head {
            Head::Data { sequence, .. } if sequence == self.delivered => {
                self.delivered += 1;
                Ok(())
            }
            ref head => Err(Broken::new("SES-1", format!("{head:?} is delivered, {} was due", self.delivered))),
        }
    }
}
