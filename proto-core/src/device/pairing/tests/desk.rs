//! A pairing on a desk: its platform, its disk and its clock are played by the test.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use serde_json::{Value, json};

use super::super::*;
use crate::{
    UnixTime,
    crypto::Identity,
    effect::{Effect, HttpAnswer, HttpRequest, IoEvent, NetFault, StateFile},
    jose::{self, Claims, JwkSet, SigningKey},
    key::StaticKey,
    secret::{Secret, SecretBytes},
    testing,
};

pub(super) const API: &str = "https://api.example/";
pub(super) const UNIX: UnixTime = UnixTime(1_800_000_000);
pub(super) const START: Instant = Instant::from_nanos(7_000_000_000);

/// A machine, its virtual clock, and what it wants and has not been given yet.
pub(super) struct Harness {
    pub(super) machine: Pairing,
    pub(super) now: Instant,
    pub(super) http: Vec<(EffectId, HttpRequest)>,
    pub(super) files: Vec<(EffectId, Option<SecretBytes>)>,
    pub(super) said: Vec<Output>,
    /// The platform's clock, where its answers say what it shows.
    pub(super) date: Option<UnixTime>,
}

impl Harness {
    pub(super) fn new(machine: Pairing, now: Instant) -> Self {
        let mut desk = Self { machine, now, http: Vec::new(), files: Vec::new(), said: Vec::new(), date: None };
        desk.drain();
        desk
    }

    pub(super) fn start() -> Self {
        Self::start_with(None)
    }

    pub(super) fn start_with(org: Option<&str>) -> Self {
        let settings = Settings {
            api_endpoint: API.into(),
            kind: DeviceKind::Daemon,
            mode: PairingMode::New,
            org: org.map(Into::into),
            name: "laptop".repeat(20),
            software: "vpd 0.1.0".into(),
        };
        Self::new(Pairing::start(START, clock(), settings, &Entropy::new([7; 32])), START)
    }

    /// A code is shown, and nothing else is under way.
    pub(super) fn shown() -> Self {
        let mut desk = Self::start();
        desk.answer(201, mint_answer());
        desk.stored();
        desk
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Effect(Effect::Http(effect_id, request)) => self.http.push((effect_id, request)),
                Output::Effect(Effect::Store(effect_id, StateFile::PendingPairing, bytes)) => {
                    self.files.push((effect_id, Some(bytes)));
                }
                Output::Effect(Effect::Remove(effect_id, StateFile::PendingPairing)) => self.files.push((effect_id, None)),
                Output::Effect(other) => panic!("{other:?}"),
                said => self.said.push(said),
            }
        }
    }

    pub(super) fn input(&mut self, input: Input) {
        self.machine.handle_input(self.now, input).unwrap();
        self.drain();
    }

    #[expect(clippy::needless_pass_by_value, reason = "bodies are made where they are used")]
    pub(super) fn answer(&mut self, status: u16, body: impl ToString) {
        self.answer_later(status, &body.to_string(), None);
    }

    pub(super) fn answer_later(&mut self, status: u16, body: &str, retry_after: Option<u32>) {
        let (effect_id, _) = self.http.remove(0);
        let answer = HttpAnswer { status, retry_after, date: self.date, body: SecretBytes::new(body) };
        self.input(Input::Io(IoEvent::Answered(effect_id, answer)));
    }

    pub(super) fn fault(&mut self, fault: NetFault) {
        let (effect_id, _) = self.http.remove(0);
        self.input(Input::Io(IoEvent::Unanswered(effect_id, fault)));
    }

    /// The oldest store or removal becomes durable.
    pub(super) fn stored(&mut self) -> Option<SecretBytes> {
        let (effect_id, bytes) = self.files.remove(0);
        self.input(Input::Io(IoEvent::Stored(effect_id)));
        bytes
    }

    /// Time passes up to the next request, and how long that took.
    pub(super) fn wait(&mut self) -> Duration {
        if self.http.is_empty() { self.fire() } else { Duration::ZERO }
    }

    /// Time passes up to the next deadline, and how long that took.
    pub(super) fn fire(&mut self) -> Duration {
        let at = self.machine.poll_timeout().unwrap().at;
        let waited = at.since(self.now);
        self.now = self.now.max(at);
        self.machine.handle_timeout(self.now);
        self.drain();
        waited
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.machine.handle_timeout(self.now);
        self.drain();
    }

    pub(super) fn identity(&self) -> Identity {
        match &self.machine.state {
            State::Polling { pending, .. } | State::Verifying { pending, .. } => Identity::from_seed(pending.seed.clone()),
            state => panic!("{state:?}"),
        }
    }

    /// The user approved, and the key set is there: up to the hand-over.
    pub(super) fn approve(&mut self) {
        self.wait();
        self.answer(200, approval(&self.identity(), |_| {}));
        self.answer(200, key_set());
    }

    pub(super) fn end(&mut self) -> Status<'_, Reason> {
        self.stored();
        assert!(self.http.is_empty() && self.files.is_empty());
        assert_eq!(self.machine.poll_timeout(), None);
        self.machine.status()
    }
}

pub(super) fn clock() -> WallClock {
    WallClock::new(START, UNIX)
}

pub(crate) fn mint_answer() -> Value {
    json!({"code": "BCDF2345", "status_token": "s3cret-status-token", "url": "https://app.example/pair?code=BCDF2345",
        "expires_in": 900, "interval": 2})
}

pub(super) fn signing_key() -> SigningKey {
    SigningKey::from_seed(&Secret::new([9; 32]))
}

pub(crate) fn key_set() -> String {
    [signing_key().public_key()].into_iter().collect::<JwkSet>().to_json()
}

pub(super) fn claims(identity: &Identity) -> Claims {
    testing::claims(identity, UNIX)
}

pub(crate) fn approval(identity: &Identity, change: impl FnOnce(&mut Claims)) -> Value {
    let mut claims = claims(identity);
    change(&mut claims);
    json!({"status": "approved", "workspace": {"id": "ORG", "slug": "acme", "name": "Acme Engineering"},
        "install_id": "i1", "runtime_target_id": "r1", "machine_id": "m1",
        "issue_token": jose::sign(&claims, &signing_key()).expose(),
        "relay": {"url": "wss://relay.example/ws", "static_keys": [StaticKey([1; 32]).to_base64url()]},
        "policy_mode": "standard", "later": true})
}

pub(super) fn pending() -> Value {
    json!({"status": "pending"})
}

pub(super) fn gone() -> Value {
    json!({"status": 404, "title": "expired", "reason": "code_expired"})
}
