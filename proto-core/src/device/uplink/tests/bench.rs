//! An uplink whose relay, platform and clock are played by the test.

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};
use core::mem;

use bytes::Bytes;
use serde_json::json;

pub(super) use super::super::testing::*;
use super::super::*;
use crate::{
    effect::{Close, Closed, Effect, HttpAnswer, HttpRequest},
    noise::{
        Symbolic,
        channel::{Channel, Tails},
    },
    secret::SecretBytes,
    wire::{Answer, Frame, Refused, Welcome},
};

/// What the uplink wanted, by kind.
pub(super) struct Bench {
    pub(super) uplink: Uplink<Symbolic>,
    pub(super) now: Instant,
    pub(super) http: Vec<(EffectId, HttpRequest)>,
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
        let uplink = Uplink::new(START, clock, Role::Daemon, &record(), &device(), None, settings, JitterRng::new(7)).unwrap();
        let mut bench = Self { uplink, now: START, http: vec![], connects: vec![], closes: vec![], sent: vec![], said: vec![] };
        bench.drain();
        bench
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.uplink.poll_output() {
            match output {
                Output::Effect(Effect::Http(effect_id, request)) => self.http.push((effect_id, request)),
                Output::Effect(Effect::Connect(EffectId::Link, connect)) => self.connects.push(connect.url),
                Output::Effect(Effect::Send(EffectId::Link, message)) => self.sent.push(message),
                Output::Effect(Effect::Close(EffectId::Link, close)) => self.closes.push(close),
                Output::Effect(other) => panic!("{other:?}"),
                said => self.said.push(said),
            }
        }
    }

    pub(super) fn input(&mut self, input: Input) {
        self.uplink.handle_input(self.now, input).unwrap();
        self.drain();
    }

    /// Time passes, and is noticed at its end.
    pub(super) fn pass(&mut self, time: core::time::Duration) {
        self.now = self.now.after(time);
        self.uplink.handle_timeout(self.now);
        self.drain();
    }

    /// The machine slept, or its wall clock was set.
    pub(super) fn clock(&mut self, wall: WallClock) {
        self.uplink.handle_clock(self.now, wall);
        self.drain();
    }

    pub(super) fn io_event(&mut self, event: IoEvent<EffectId>) {
        self.input(Input::Io(event));
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
        let (effect_id, _) = self.http.remove(0);
        let answer = HttpAnswer { status, retry_after: None, date: None, body: SecretBytes::new(body.to_owned()) };
        self.io_event(IoEvent::Answered(effect_id, answer));
    }

    /// The next connection comes about, and message 1 is answered.
    fn shake_hands(&mut self, answer: &Answer) -> Symbolic {
        while self.connects.is_empty() {
            self.fire();
        }
        self.io_event(IoEvent::Connected(EffectId::Link, Entropy::new([4; 32])));
        let message_1 = self.sent.remove(0);
        let (mut noise, _) = Symbolic::respond(relay().static_keys(), Entropy::new([6; 32]), &message_1).unwrap();
        let message_2 = noise.answer(None, &answer.encode()).unwrap();
        self.io_event(IoEvent::Received(EffectId::Link, message_2.into()));
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
        self.io_event(IoEvent::Closed(EffectId::Link, Closed::ByUs));
    }

    pub(super) fn tell(&mut self, relay: &mut Channel<Symbolic>, frame: impl Into<Frame>) {
        let message = relay.seal(&frame.into()).unwrap();
        self.io_event(IoEvent::Received(EffectId::Link, message));
    }

    /// What arrived at the relay since it was looked at last.
    pub(super) fn sent_to(&mut self, relay: &mut Channel<Symbolic>) -> Vec<Frame> {
        self.sent.drain(..).map(|message| relay.open(&message).unwrap()).collect()
    }

    /// The credential's whole lifetime passes at once, as in a suspend: its renewal is asked for.
    pub(super) fn expire(&mut self) {
        self.clock(WallClock::new(self.now, UNIX.plus(LIFETIME)));
        assert!(self.http.iter().any(|(effect_id, _)| matches!(effect_id, EffectId::Rotation(_))), "{:?}", self.http);
        self.http.retain(|(effect_id, _)| matches!(effect_id, EffectId::Rotation(_)));
    }

    /// The platform renews the credential.
    pub(super) fn renew(&mut self, token: &SecretText) {
        self.http.retain(|(effect_id, _)| matches!(effect_id, EffectId::Rotation(_)));
        let key = relay().static_key().to_base64url();
        let body = json!({"issue_token": token.expose(), "relay": {"url": RELAY_URL, "static_keys": [key]}});
        self.answer(200, &serde_json::to_string(&body).unwrap());
        let said = self.take_said();
        assert!(matches!(said.last(), Some(Output::Renewed(renewal)) if renewal.answer.issue_token == *token), "{said:?}");
    }
}
