//! `peer`: a device that proves its identity, or replays, or sends what it may not; a platform that may not know; a hub.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use proto_core::{
    Entropy, Instant, Machine, Reason, SessionId, Status, Unhashed,
    effect::{Closed, Effect, IoEvent, NetFault},
    noise::{
        InitiatorKeys, Noise, Symbolic,
        channel::{Channel, Tails},
    },
    relay::{
        admission::{KeyAnswer, PlatformAccess},
        connection::{Connection, EffectId, Input, Output, Settings},
    },
    secret::SecretText,
    wire::{Frame, Head, Hello, MAX_FRAME_DEFAULT, Pattern, Preamble, Role, Suite},
};

use super::{answered, effect, link::name_of};
use crate::{
    explore::{Action, Broken, Seen, Situation, Subject},
    fixtures::{clock, identity, platform_key, secret, token},
    laws::START,
};

/// One connection at the relay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entering;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    /// Message 1 of the device, or of an attacker who recorded it.
    First,
    Garbage,
    KeyFound,
    KeyUnknown,
    Active,
    Revoked,
    Unanswered,
    /// The device is there: its first transport message.
    Ping,
    /// A frame that a daemon may send.
    Frame,
    /// A frame that only a relay sends.
    WrongFrame,
    Rotate,
    /// A renewed credential that is another device's.
    RotateStolen,
    SocketTook,
    SocketClosed,
    HubSends,
    HubRevokes,
    HubSupersedes,
    Hold,
    Release,
    Revalidate,
}

const FACTS: [Fact; 20] = [
    Fact::First,
    Fact::Garbage,
    Fact::KeyFound,
    Fact::KeyUnknown,
    Fact::Active,
    Fact::Revoked,
    Fact::Unanswered,
    Fact::Ping,
    Fact::Frame,
    Fact::WrongFrame,
    Fact::Rotate,
    Fact::RotateStolen,
    Fact::SocketTook,
    Fact::SocketClosed,
    Fact::HubSends,
    Fact::HubRevokes,
    Fact::HubSupersedes,
    Fact::Hold,
    Fact::Release,
    Fact::Revalidate,
];

/// The device's end.
#[derive(Clone, Debug, Hash)]
enum Device {
    Knocks(Symbolic),
    In(Channel<Symbolic>),
}

/// What the outside and the properties remember.
#[derive(Clone, Debug, Hash)]
pub struct Memory {
    device: Device,
    first: Bytes,
    decision: Unhashed<u32>,
    /// Messages that the socket has not taken.
    untaken: u8,
    is_confirmed: bool,
    in_since: Option<Instant>,
    has_ended: bool,
    /// What has been decided about the device.
    was_admitted: bool,
}

impl Memory {
    fn say(&self, frame: &Frame) -> (Device, Bytes) {
        let mut device = self.device.clone();
        let message = if let Device::In(channel) = &mut device { channel.seal(frame).ok() } else { None };
        (device, message.unwrap_or_default())
    }

    fn said(&self, fact: Fact) -> Option<(Device, Bytes)> {
        let session = SessionId([1; 16]);
        let head = match fact {
            Fact::Ping => Head::Ping { nonce: 1 },
            Fact::Frame => Head::Open { session, cipher: 1 },
            Fact::WrongFrame => Head::Acknowledge { session, next: 1 },
            Fact::Rotate => Head::Rotate { token: token(&secret(1), "A", "r", 2) },
            Fact::RotateStolen => Head::Rotate { token: token(&secret(2), "A", "r", 2) },
            _ => return None,
        };
        Some(self.say(&head.into()))
    }
}

impl Subject for Entering {
    type Machine = Connection<Symbolic>;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "connection";
    const MAX_OUTPUTS: usize = 5;
    const LATE: Duration = Duration::from_mins(1);

    fn bounds(&self) -> String {
        "IK; the first two minutes after the device is in; two messages that the socket has not taken".into()
    }

    fn memory(&self) -> Duration {
        Duration::from_hours(2)
    }

    fn starts(&self) -> Vec<(Self::Machine, Memory)> {
        let gate = PlatformAccess {
            validate_url: "https://api.example/api/relay/validate".into(),
            internal_key: SecretText::new("internal"),
            issuer: None,
        };
        let frame_max = u32::try_from(MAX_FRAME_DEFAULT).unwrap_or(u32::MAX);
        let keys = identity(2).static_keys().clone();
        let settings = Settings { gate: Arc::new(gate), keys, frame_max, software: "relay".into() };
        let connection = Connection::new(START, Arc::new(settings), clock(), &Entropy::new([6; 32]));
        let hello = Hello { token: token(&secret(1), "A", "r", 1), software: "vpd".into() };
        let preamble = Preamble { suite: Suite::choose(Pattern::Ik, true), role: Role::Daemon };
        let device = identity(1);
        let keys = InitiatorKeys { preamble, local: device.static_keys(), responder: identity(2).static_key(), psk: None };
        let (noise, first) = Symbolic::initiate(keys, Entropy::new([5; 32]), &hello.encode()).expect("a handshake");
        let memory = Memory {
            device: Device::Knocks(noise),
            first: first.into(),
            decision: Unhashed(0),
            untaken: 0,
            is_confirmed: false,
            in_since: None,
            has_ended: false,
            was_admitted: false,
        };
        vec![(connection, memory)]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        if at.memory.is_beyond(at.now) {
            return Vec::new();
        }
        let has_room = |fact: &Fact| !matches!(fact, Fact::HubSends | Fact::Ping | Fact::Rotate) || at.memory.untaken < 2;
        FACTS.into_iter().filter(has_room).collect()
    }

    fn times(&self, at: &Situation<Self>) -> Vec<Action<Fact>> {
        if at.memory.is_beyond(at.now) { Vec::new() } else { vec![Action::Early, Action::Due, Action::Late] }
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let decide = EffectId::Decide(at.memory.decision.0);
        let received = |message| IoEvent::Received(EffectId::Socket, message);
        if let Some((_, message)) = at.memory.said(*fact) {
            return Input::Io(received(message));
        }
        Input::Io(match fact {
            Fact::First => received(at.memory.first.clone()),
            Fact::KeyFound => return Input::Key(decide, KeyAnswer::Found(platform_key().public_key())),
            Fact::KeyUnknown => return Input::Key(decide, KeyAnswer::Unknown),
            Fact::Active => answered(decide, 200, None, r#"{"active":true,"policy_mode":"standard"}"#),
            Fact::Revoked => answered(decide, 200, None, r#"{"active":false,"reason":"machine_revoked"}"#),
            Fact::Unanswered => IoEvent::Unanswered(decide, NetFault::TimedOut),
            Fact::SocketTook => IoEvent::Sent(EffectId::Socket, 1),
            Fact::SocketClosed => IoEvent::Closed(EffectId::Socket, Closed::ByPeer(None)),
            Fact::HubSends => return Input::Send(Head::Acknowledge { session: SessionId([1; 16]), next: 1 }.into()),
            Fact::HubRevokes => return Input::Close(Reason::MachineRevoked),
            Fact::HubSupersedes => return Input::Close(Reason::Superseded),
            Fact::Hold => return Input::PauseReading,
            Fact::Release => return Input::ResumeReading,
            Fact::Revalidate => return Input::Revalidate,
            _ => received(Bytes::from_static(&[0x42; 80])),
        })
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        let said = seen.fact.and_then(|fact| memory.said(*fact));
        let speaks = said.is_some();
        if let Some((device, _)) = said.filter(|_| seen.before.stage().is_some()) {
            memory.device = device;
        }
        if seen.fact == Some(&Fact::SocketTook) {
            memory.untaken = memory.untaken.saturating_sub(1);
        }
        for output in seen.outputs {
            memory.judge(output, seen, speaks)?;
        }
        if seen.after.stage().is_none() {
            memory.untaken = 0;
        }
        Ok(())
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::Effect(asked) => effect(asked),
            Output::LookUp(..) => "LookUp".into(),
            Output::Confirmed(_) => "Confirmed".into(),
            Output::Frame(frame) => format!("Frame({})", name_of(&frame.head)),
            Output::Renewed(_) => "Renewed".into(),
            Output::Taken(_) => "Taken".into(),
            Output::Ended(ended) => format!("Ended({:?}, {})", ended.reason, ended.stage.name()),
        }
    }

    fn state(&self, machine: &Self::Machine) -> String {
        match machine.status() {
            Status::Running { waiting_for } if !machine.is_reading() => format!("waiting for {waiting_for}, held"),
            Status::Running { waiting_for } => format!("waiting for {waiting_for}"),
            Status::Finished => "finished".into(),
            Status::Failed(_) => "failed".into(),
        }
    }
}

impl Memory {
    /// Whether the walk goes no further.
    fn is_beyond(&self, now: Instant) -> bool {
        self.in_since.is_some_and(|since| now.since(since) > Duration::from_mins(2))
    }

    fn judge(&mut self, output: &Output, seen: &Seen<'_, Entering>, speaks: bool) -> Result<(), Broken> {
        match output {
            Output::LookUp(EffectId::Decide(number), _) => self.decision = Unhashed(*number),
            Output::Effect(Effect::Send(_, message)) => {
                self.untaken = self.untaken.saturating_add(1);
                match &mut self.device {
                    Device::Knocks(noise) => {
                        let mut noise = noise.clone();
                        if noise.read_answer(message).is_ok() {
                            self.was_admitted = seen.fact == Some(&Fact::Active);
                            self.device = Device::In(Channel::new(noise, Tails::Refused));
                        }
                    }
                    Device::In(channel) => drop(channel.open(message)),
                }
            }
            Output::Confirmed(_) if !speaks || !self.was_admitted => {
                return Err(Broken::new("NOI-4", format!("{:?} confirmed a device that is not there", seen.fact)));
            }
            Output::Confirmed(_) if self.is_confirmed => return Err(Broken::new("NOI-4", "confirmed twice")),
            Output::Confirmed(_) => (self.is_confirmed, self.in_since) = (true, Some(seen.now)),
            Output::Frame(_) | Output::Renewed(_) if !self.is_confirmed => {
                return Err(Broken::new("NOI-4", "something counts before the device showed that it is there"));
            }
            Output::Renewed(_) if seen.fact != Some(&Fact::Active) => {
                return Err(Broken::new("ADM-2", "a credential was taken without the platform's word"));
            }
            Output::Frame(_) if seen.fact != Some(&Fact::Frame) => {
                return Err(Broken::new("NOI-8", format!("{:?} reached the hub as a frame", seen.fact)));
            }
            Output::Ended(_) if self.has_ended => return Err(Broken::new("L4", "ended twice")),
            Output::Ended(_) => self.has_ended = true,
            _ => {}
        }
        Ok(())
    }
}
