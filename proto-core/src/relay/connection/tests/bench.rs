//! A connection with a device at its other end, and a platform that the test plays.

use alloc::{format, string::ToString, vec::Vec};
use core::time::Duration;

use super::super::*;
use crate::{
    SessionId, UnixTime,
    crypto::Identity,
    effect::HttpAnswer,
    id::DeviceKind,
    jose::{Claims, Confirmation, RELAY_AUDIENCE, SigningKey, Thumbprint, sign},
    noise::{
        InitiatorKeys,
        channel::Tails,
        handshake::{Initiator, initiator},
    },
    relay::admission::KeyAnswer,
    secret::{Secret, SecretBytes, SecretText},
    wire::{Frame, Head, Hello, Preamble, Role, Suite},
};

pub(super) const START: Instant = Instant::from_nanos(1_000);
pub(super) const NOW: UnixTime = UnixTime(1_700_000_000);
pub(super) const S: SessionId = SessionId([1; 16]);

pub(super) fn signer() -> SigningKey {
    SigningKey::from_seed(&Secret::new([9; 32]))
}

fn device() -> Identity {
    Identity::from_seed(Secret::new([3; 32]))
}

pub(super) fn claims(role: Role, generation: u64) -> Claims {
    Claims {
        issuer: "https://viewport.example".into(),
        audience: RELAY_AUDIENCE.into(),
        install: "install_1".parse().unwrap(),
        org: "org_1".parse().unwrap(),
        runtime_target: "rt_1".parse().unwrap(),
        machine: "m_1".parse().unwrap(),
        role: if role == Role::Daemon { DeviceKind::Daemon } else { DeviceKind::Viewer },
        generation,
        confirmation: Confirmation {
            static_key: device().static_key(),
            identity: Thumbprint::of_identity_key(device().identity_key()),
        },
        issued_at: NOW,
        not_before: NOW,
        expires_at: NOW.plus(3600),
        renewable_until: NOW.plus(30 * 86_400),
        id: format!("t_{generation}").parse().unwrap(),
    }
}

pub(super) fn token(claims: &Claims) -> SecretText {
    sign(claims, &signer())
}

fn relay_keys() -> StaticKeys {
    StaticKeys::from_private(Secret::new([4; 32]))
}

fn settings() -> Arc<Settings> {
    let gate = PlatformAccess {
        validate_url: "https://viewport.example/api/relay/validate".into(),
        internal_key: SecretText::new("internal"),
        issuer: None,
    };
    Arc::new(Settings { gate: Arc::new(gate), keys: relay_keys(), frame_max: 65_536, software: "relay".to_string() })
}

/// What the platform answers.
#[derive(Clone, Debug)]
pub(super) struct Platform {
    pub(super) key: KeyAnswer,
    pub(super) status: u16,
    pub(super) body: serde_json::Value,
}

impl Platform {
    pub(super) fn content() -> Self {
        Self {
            key: KeyAnswer::Found(signer().public_key()),
            status: 200,
            body: serde_json::json!({"active": true, "policy_mode": "standard"}),
        }
    }

    pub(super) fn refusing(reason: &str) -> Self {
        Self { body: serde_json::json!({"active": false, "reason": reason}), ..Self::content() }
    }
}

#[derive(Debug)]
pub(super) struct Bench<N> {
    pub(super) now: Instant,
    pub(super) connection: Connection<N>,
    pub(super) platform: Platform,
    pub(super) outputs: Vec<Output>,
    pub(super) to_device: Vec<Bytes>,
    pub(super) closed: Option<Close>,
    initiator: Option<Initiator<N>>,
    pub(super) channel: Option<Channel<N>>,
}

impl<N: Noise> Bench<N> {
    pub(super) fn new(suite: Suite, role: Role, psk: Option<&Secret>, token: SecretText) -> Self {
        let clock = WallClock::new(START, NOW);
        let connection = Connection::new(START, settings(), clock, &Entropy::new([5; 32]));
        let identity = device();
        let local = identity.static_keys();
        let keys = InitiatorKeys { preamble: Preamble { suite, role }, local, responder: relay_keys().public(), psk };
        let hello = Hello { token, software: "vpd".to_string() };
        let initiator = Initiator::start(START, keys, Entropy::new([6; 32]), &hello);
        Self {
            now: START,
            connection,
            platform: Platform::content(),
            outputs: Vec::new(),
            to_device: Vec::new(),
            closed: None,
            initiator: Some(initiator),
            channel: None,
        }
    }

    /// A device that has been let in and has confirmed.
    pub(super) fn admitted(role: Role) -> Self {
        let mut bench = Self::new(Suite::IkAesGcm, role, None, token(&claims(role, 1)));
        bench.knock();
        bench.shake_hands();
        bench.say(Head::Ping { nonce: 1 });
        let [Output::Confirmed(_)] = &bench.take()[..] else { panic!("not confirmed") };
        assert_eq!(bench.hear(), [Head::Pong { nonce: 1 }.into()]);
        bench
    }

    pub(super) fn input(&mut self, input: Input) {
        self.connection.handle_input(self.now, input).unwrap();
        self.drain();
    }

    pub(super) fn wait(&mut self, wait: Duration) {
        let until = self.now.after(wait);
        while let Some(deadline) = self.connection.poll_timeout().filter(|deadline| deadline.at <= until) {
            self.now = self.now.max(deadline.at);
            self.connection.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.connection.poll_output() {
            match output {
                Output::Effect(Effect::Send(EffectId::Socket, message)) => self.to_device.push(message),
                Output::Effect(Effect::Close(EffectId::Socket, close)) => self.closed = Some(close),
                Output::LookUp(effect_id, _) => {
                    self.connection.handle_input(self.now, Input::Key(effect_id, self.platform.key)).unwrap();
                }
                Output::Effect(Effect::Http(effect_id, _)) => {
                    let body = SecretBytes::new(self.platform.body.to_string());
                    let answer = HttpAnswer { status: self.platform.status, retry_after: None, date: None, body };
                    let answered = Input::Io(IoEvent::Answered(effect_id, answer));
                    self.connection.handle_input(self.now, answered).unwrap();
                }
                other => self.outputs.push(other),
            }
        }
    }

    pub(super) fn take(&mut self) -> Vec<Output> {
        core::mem::take(&mut self.outputs)
    }

    pub(super) fn message_1(&mut self) -> Bytes {
        match self.initiator.as_mut().unwrap().poll_output() {
            Some(initiator::Output::Send(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn receive(&mut self, message: impl Into<Bytes>) {
        self.input(Input::Io(IoEvent::Received(EffectId::Socket, message.into())));
    }

    pub(super) fn knock(&mut self) {
        let message = self.message_1();
        self.receive(message);
    }

    /// The device reads message 2: it is in, or it learns why not.
    pub(super) fn shake_hands(&mut self) -> Option<Reason> {
        let message = self.to_device.remove(0);
        let initiator = self.initiator.as_mut().unwrap();
        initiator.handle_input(self.now, initiator::Input::Received(message)).unwrap();
        match initiator.poll_output().unwrap() {
            initiator::Output::Established { noise, .. } => self.channel = Some(Channel::new(noise, Tails::Accepted)),
            initiator::Output::Failed(failure) => return Some(failure.reason()),
            initiator::Output::Send(_) => panic!("one message is enough"),
        }
        None
    }

    pub(super) fn sealed(&mut self, frame: impl Into<Frame>) -> Bytes {
        self.channel.as_mut().unwrap().seal(&frame.into()).unwrap()
    }

    /// The device sends a frame.
    pub(super) fn say(&mut self, frame: impl Into<Frame>) {
        let message = self.sealed(frame);
        self.receive(message);
    }

    /// The frames that have arrived at the device.
    pub(super) fn hear(&mut self) -> Vec<Frame> {
        let channel = self.channel.as_mut().unwrap();
        self.to_device.drain(..).map(|message| channel.open(&message).unwrap()).collect()
    }

    pub(super) fn ended(&mut self) -> (Option<Reason>, Stage) {
        let outputs = self.take();
        let Some(Output::Ended(Ended { reason, stage })) = outputs.last() else { panic!("{outputs:?}") };
        assert_eq!(self.connection.poll_timeout(), None);
        (*reason, *stage)
    }
}
