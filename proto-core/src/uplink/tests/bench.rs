//! An uplink whose relay, platform and clock are played by the test.

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};
use core::mem;

use bytes::Bytes;
use serde_json::json;

use super::super::*;
use crate::{
    api::{DeviceKind, PolicyMode},
    crypto::{
        channel::{Channel, Tails},
        noise::Symbolic,
    },
    effect::{Close, Closed, Effect, HttpAnswer, HttpRequest},
    files::{Api, BindingState, Unknown},
    jose::{self, Claims, Confirmation, RELAY_AUDIENCE, SigningKey, Thumbprint},
    secret::{Secret, SecretBytes},
    wire::{Answer, Frame, Refused, Welcome},
};

pub(super) const UNIX: UnixTime = UnixTime(1_800_000_000);
pub(super) const START: Instant = Instant::from_nanos(5_000_000_000);
pub(super) const RENEWABLE: u64 = 2_592_000;
pub(super) const RELAY_URL: &str = "wss://relay.example/ws";
const LIFETIME: u64 = 3_600;

/// What the uplink wanted, by kind.
pub(super) struct Bench {
    pub(super) uplink: Uplink<Symbolic>,
    pub(super) now: Instant,
    pub(super) http: Vec<(Ask, HttpRequest)>,
    pub(super) connects: Vec<String>,
    pub(super) closes: Vec<Close>,
    sent: Vec<Bytes>,
    said: Vec<Output>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(&settings())
    }

    pub(super) fn with(settings: &Settings) -> Self {
        let clock = WallClock::new(START, UNIX);
        let uplink = Uplink::new(START, clock, Role::Daemon, &record(), &device(), settings, Jitter::new(7)).unwrap();
        let mut bench = Self { uplink, now: START, http: vec![], connects: vec![], closes: vec![], sent: vec![], said: vec![] };
        bench.drain();
        bench
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.uplink.poll_output() {
            match output {
                Output::Effect(Effect::Http(ask, request)) => self.http.push((ask, request)),
                Output::Effect(Effect::Connect(Ask::Link, connect)) => self.connects.push(connect.url),
                Output::Effect(Effect::Send(Ask::Link, message)) => self.sent.push(message),
                Output::Effect(Effect::Close(Ask::Link, close)) => self.closes.push(close),
                Output::Effect(other) => panic!("{other:?}"),
                said => self.said.push(said),
            }
        }
    }

    pub(super) fn input(&mut self, input: Input) {
        self.uplink.handle_input(self.now, input).unwrap();
        self.drain();
    }

    pub(super) fn happen(&mut self, happening: Happening<Ask>) {
        self.input(Input::Happening(happening));
    }

    pub(super) fn take_said(&mut self) -> Vec<Output> {
        mem::take(&mut self.said)
    }

    /// Time passes up to the next deadline.
    pub(super) fn fire(&mut self) {
        self.now = self.now.max(self.uplink.poll_timeout().unwrap().at);
        self.uplink.handle_timeout(self.now);
        self.drain();
    }

    pub(super) fn unix(&self) -> UnixTime {
        WallClock::new(START, UNIX).unix_at(self.now)
    }

    /// The platform answers what it was asked first.
    pub(super) fn answer(&mut self, status: u16, body: &str) {
        let (ask, _) = self.http.remove(0);
        let answer = HttpAnswer { status, retry_after: None, body: SecretBytes::new(body.to_owned()) };
        self.happen(Happening::Answered(ask, answer));
    }

    /// The next connection comes about, and message 1 is answered.
    fn shake_hands(&mut self, answer: &Answer) -> Symbolic {
        while self.connects.is_empty() {
            self.fire();
        }
        self.happen(Happening::Connected(Ask::Link, Entropy::new([4; 32])));
        let message_1 = self.sent.remove(0);
        let (mut noise, _) = Symbolic::respond(relay().static_keys(), Entropy::new([6; 32]), &message_1).unwrap();
        let message_2 = noise.answer(None, &answer.encode()).unwrap();
        self.happen(Happening::Received(Ask::Link, message_2.into()));
        noise
    }

    /// Up to an open link; gives the relay's end of it.
    pub(super) fn come_up(&mut self) -> Channel<Symbolic> {
        let welcome = Welcome { frame_max: 65_536, time: UNIX.0, software: "relay".into() };
        let mut channel = Channel::new(self.shake_hands(&Answer::Welcome(welcome)), Tails::Refused);
        self.sent_to(&mut channel);
        channel
    }

    /// The relay says no, and its close comes through.
    pub(super) fn refuse(&mut self, reason: Reason, retry_after: u32) {
        self.shake_hands(&Answer::Refused(Refused { reason, retry_after }));
        self.happen(Happening::Closed(Ask::Link, Closed::ByUs));
    }

    pub(super) fn tell(&mut self, relay: &mut Channel<Symbolic>, frame: impl Into<Frame>) {
        let mut message = Vec::new();
        relay.seal(&frame.into(), &mut message).unwrap();
        self.happen(Happening::Received(Ask::Link, message.into()));
    }

    /// What arrived at the relay since it was looked at last.
    pub(super) fn sent_to(&mut self, relay: &mut Channel<Symbolic>) -> Vec<Frame> {
        self.sent.drain(..).map(|message| relay.open(&message).unwrap()).collect()
    }

    /// The credential's whole lifetime passes at once, as in a suspend: its renewal is asked for.
    pub(super) fn expire(&mut self) {
        let clock = WallClock::new(self.now, UNIX.plus(LIFETIME));
        self.input(Input::Clock(clock));
        assert!(self.http.iter().any(|(ask, _)| matches!(ask, Ask::Rotation(_))), "{:?}", self.http);
        self.http.retain(|(ask, _)| matches!(ask, Ask::Rotation(_)));
    }

    /// The platform renews the credential.
    pub(super) fn renew(&mut self, token: &SecretText) {
        self.http.retain(|(ask, _)| matches!(ask, Ask::Rotation(_)));
        let key = relay().static_key().to_base64url();
        let body = json!({"issue_token": token.expose(), "relay": {"url": RELAY_URL, "static_keys": [key]}});
        self.answer(200, &serde_json::to_string(&body).unwrap());
        let said = self.take_said();
        assert!(matches!(said.last(), Some(Output::Renewed(renewal)) if renewal.answer.issue_token == *token), "{said:?}");
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        api_endpoint: "https://other.example".into(),
        relay_endpoint: None,
        software: "vpd".into(),
        aes_in_hardware: false,
    }
}

pub(super) fn device() -> Identity {
    Identity::from_seed(Secret::new([3; 32]))
}

fn relay() -> Identity {
    Identity::from_seed(Secret::new([2; 32]))
}

pub(super) fn signer() -> SigningKey {
    SigningKey::from_seed(&Secret::new([9; 32]))
}

pub(super) fn token(generation: u64, issued_at: UnixTime) -> SecretText {
    let claims = Claims {
        issuer: "https://api.example".into(),
        audience: RELAY_AUDIENCE.into(),
        install: "i1".parse().unwrap(),
        org: "ORG".parse().unwrap(),
        runtime_target: "r1".parse().unwrap(),
        machine: "m1".parse().unwrap(),
        role: DeviceKind::Daemon,
        generation,
        confirmation: Confirmation {
            static_key: device().static_key(),
            identity: Thumbprint::of_identity_key(device().identity_key()),
        },
        issued_at,
        not_before: issued_at,
        expires_at: issued_at.plus(LIFETIME),
        renewable_until: issued_at.plus(RENEWABLE),
        id: "t1".parse().unwrap(),
    };
    jose::sign(&claims, &signer())
}

pub(super) fn relay_record(url: &str) -> RelayRecord {
    RelayRecord { url: url.into(), static_keys: vec![relay().static_key()], retired_keys: Vec::new(), unknown: Unknown::new() }
}

pub(super) fn record() -> BindingRecord {
    BindingRecord {
        workspace_id: "ORG".parse().unwrap(),
        slug: "org".into(),
        name: "Org".into(),
        install_id: "i1".parse().unwrap(),
        runtime_target_id: "r1".parse().unwrap(),
        machine_id: "m1".parse().unwrap(),
        issue_token: token(1, UNIX),
        generation: 1,
        identity: "relay-identities/ORG.json".into(),
        relay: relay_record(RELAY_URL),
        policy_mode: PolicyMode::Standard,
        psk: None,
        api: Some(Api { endpoint: Some("https://api.example/".into()), unknown: Unknown::new() }),
        state: BindingState::Active,
        unknown: Unknown::new(),
    }
}
