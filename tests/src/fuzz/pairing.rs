//! A pairing at the hands of a platform, a disk and a person who do anything, in any order, with kills in between (PAIR-1 to
//! PAIR-9).

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use proto_core::{
    Entropy, Instant, Machine, Reason, Status, UnixTime, WallClock,
    api::PairingMode,
    crypto::Identity,
    device::{
        files::{Document, PendingPairing},
        pairing::{EffectId, Input, Output, Paired, Pairing, Settings},
    },
    effect::{Effect, HttpAnswer, IoEvent, NetFault, StateFile},
    id::DeviceKind,
    jose::{self, Claims, Confirmation, JwkSet, RELAY_AUDIENCE, SigningKey, Thumbprint},
    key::StaticKey,
    secret::{Secret, SecretBytes},
};
use serde_json::json;

use super::driven::Driven;

const UNIX: UnixTime = UnixTime(1_800_000_000);
const START: Instant = Instant::from_nanos(7_000_000_000);
/// The longest life of a code, whatever a platform says.
const MAX_LIFETIME: Duration = Duration::from_hours(1);

#[derive(Arbitrary, Debug)]
enum Step {
    /// The platform answers the request under way.
    Answer {
        body: Body,
        status: Option<u16>,
        retry_after: Option<u32>,
    },
    /// It does not.
    Fault(u8),
    /// An answer to a request of long ago.
    Stale {
        number: u8,
        body: Body,
    },
    /// The disk is done with the oldest write.
    Disk {
        is_durable: bool,
    },
    Adopt,
    Reject,
    Cancel,
    Wait {
        millis: u32,
    },
    Fire,
    /// The wall clock is read again and has jumped.
    ClockJump {
        seconds: i32,
    },
    /// The process dies and starts again with what is durable.
    Kill,
}

#[derive(Arbitrary, Debug)]
enum Body {
    Minted { expires_in: u64, interval: Option<u64> },
    Pending,
    Approved { is_forged: bool, is_for_another: bool },
    Denied,
    Gone,
    SlowDown,
    Keys { is_right: bool },
    Html,
    Raw(Vec<u8>),
}

/// Whatever happens: one request at a time, no sooner than the interval; no poll from the expiry on; no code is shown before it
/// is durable; and a binding comes only of a credential that the platform signed for this very key.
pub fn pairing(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(steps) = data.arbitrary_iter::<Step>() else { return };
    let mut desk = Harness::new();
    for step in steps.take(200).flatten() {
        desk.apply(step);
    }
}

/// The machine and everything around it.
struct Harness {
    pairing: Driven<Pairing>,
    clock: WallClock,
    starts: u8,
    asked: Option<EffectId>,
    writes: Vec<(EffectId, Option<SecretBytes>)>,
    durable: Option<SecretBytes>,
    last_poll: Option<Instant>,
    shown_until: Option<Instant>,
    has_said_approved: bool,
    is_approved: bool,
}

impl Harness {
    fn new() -> Self {
        let clock = WallClock::new(START, UNIX);
        let mut desk = Self {
            pairing: Driven::new(fresh(START, clock, 0), START),
            clock,
            starts: 1,
            asked: None,
            writes: Vec::new(),
            durable: None,
            last_poll: None,
            shown_until: None,
            has_said_approved: false,
            is_approved: false,
        };
        let outputs = desk.pairing.drain();
        desk.perform(outputs);
        desk
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Answer { body, status, retry_after } => {
                let Some(effect_id) = self.asked.take() else { return };
                let (usual, bytes) = self.body(&body);
                let is_genuine = matches!(body, Body::Approved { is_forged: false, is_for_another: false });
                self.is_approved |= is_genuine && status.is_none_or(|status| status == 200);
                let answer =
                    HttpAnswer { status: status.unwrap_or(usual), retry_after, date: None, body: SecretBytes::new(bytes) };
                self.input(Input::Io(IoEvent::Answered(effect_id, answer)));
            }
            Step::Fault(which) => {
                let faults = [NetFault::Dns, NetFault::TimedOut, NetFault::NotUnderstood, NetFault::TooLarge, NetFault::BadUrl];
                let Some(effect_id) = self.asked.take() else { return };
                self.input(Input::Io(IoEvent::Unanswered(effect_id, faults[usize::from(which) % faults.len()])));
            }
            Step::Stale { number, body } => self.stale(number, &body),
            Step::Disk { is_durable } => self.disk(is_durable),
            Step::Adopt => self.input(Input::Adopted),
            Step::Reject => self.input(Input::Rejected(Reason::AlreadyPaired)),
            Step::Cancel => self.input(Input::Cancel),
            Step::Wait { millis } => {
                let outputs = self.pairing.pass(Duration::from_millis(millis.into()));
                self.perform(outputs.unwrap_or_default());
            }
            Step::Fire => {
                let outputs = self.pairing.fire();
                self.perform(outputs.unwrap_or_default());
            }
            Step::ClockJump { seconds } => {
                let unix = self.clock.unix_at(self.pairing.now).0.saturating_add_signed(seconds.into());
                self.clock = WallClock::new(self.pairing.now, UnixTime(unix));
                self.pairing.clock(self.clock);
            }
            Step::Kill => self.kill(),
        }
    }

    fn input(&mut self, input: Input) {
        let outputs = self.pairing.input(input).expect("room");
        self.perform(outputs);
    }

    /// An answer to a request that is not under way changes nothing but a counter (PAIR-2).
    fn stale(&mut self, number: u8, body: &Body) {
        let number = u32::from(number);
        let stale = [EffectId::Mint(number), EffectId::Poll(number), EffectId::KeySet(number)]
            .into_iter()
            .filter(|effect_id| self.asked != Some(*effect_id));
        for effect_id in stale.collect::<Vec<_>>() {
            let (status, bytes) = self.body(body);
            let answer = HttpAnswer { status, retry_after: None, date: None, body: SecretBytes::new(bytes) };
            let ignored = self.pairing.machine.ignored();
            let before = self.pairing.machine.poll_timeout();
            let outputs = self.pairing.input(Input::Io(IoEvent::Answered(effect_id, answer))).expect("room");
            assert_eq!(self.pairing.machine.ignored(), ignored + 1, "PAIR-2: {effect_id:?}");
            if before.is_none_or(|deadline| deadline.at > self.pairing.now) {
                assert_eq!(outputs, [], "PAIR-2: {effect_id:?}");
            }
            self.perform(outputs);
        }
    }

    fn disk(&mut self, is_durable: bool) {
        if self.writes.is_empty() {
            return;
        }
        let (effect_id, contents) = self.writes.remove(0);
        if is_durable {
            self.durable = contents;
        }
        self.input(Input::Io(if is_durable { IoEvent::Stored(effect_id) } else { IoEvent::NotStored(effect_id) }));
    }

    /// What is not durable is gone; what is must be enough to go on (PAIR-6).
    fn kill(&mut self) {
        self.asked = None;
        self.writes.clear();
        let now = self.pairing.now;
        let machine = if let Some(contents) = &self.durable {
            let pending = PendingPairing::parse(contents.expose()).expect("PAIR-6: what was durable can be read");
            Pairing::resume(now, self.clock, pending)
        } else {
            self.starts = self.starts.wrapping_add(1);
            fresh(now, self.clock, self.starts)
        };
        self.pairing = Driven::new(machine, now);
        self.shown_until = self.pairing.machine.shown().map(|shown| shown.expires_at);
        (self.last_poll, self.has_said_approved) = (None, false);
        let outputs = self.pairing.drain();
        self.perform(outputs);
    }

    fn perform(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Effect(Effect::Http(effect_id, _)) => self.asks(effect_id),
                Output::Effect(Effect::Store(effect_id, StateFile::PendingPairing, contents)) => {
                    self.writes.push((effect_id, Some(contents)));
                }
                Output::Effect(Effect::Remove(effect_id, StateFile::PendingPairing)) => self.writes.push((effect_id, None)),
                Output::ShowCode(shown) => {
                    let durable = self.durable.as_ref().and_then(|bytes| PendingPairing::parse(bytes.expose()).ok());
                    assert_eq!(durable.map(|pending| pending.code), Some(shown.code), "PAIR-5");
                    assert!(shown.expires_at <= self.pairing.now.after(MAX_LIFETIME));
                    self.shown_until = Some(shown.expires_at);
                }
                Output::Approved(paired) => self.approved(&paired),
                Output::Trouble(_) => {}
                Output::Effect(other) => panic!("not asked of a pairing: {other:?}"),
            }
        }
        if !matches!(self.pairing.machine.status(), Status::Running { .. }) {
            assert_eq!(self.pairing.machine.shown(), None, "PAIR-3: a code to approve after the end");
        }
    }

    fn asks(&mut self, effect_id: EffectId) {
        assert_eq!(self.asked, None, "PAIR-2: two requests under way");
        if let EffectId::Poll(_) = effect_id {
            let now = self.pairing.now;
            assert!(self.shown_until.is_some_and(|end| now < end), "PAIR-3: a poll from the expiry on");
            let is_paced = self.last_poll.is_none_or(|last| now.since(last) >= Duration::from_secs(1));
            assert!(is_paced, "PAIR-1: polls in quick succession");
            self.last_poll = Some(now);
        }
        self.asked = Some(effect_id);
    }

    fn approved(&mut self, paired: &Paired) {
        assert!(self.is_approved, "PAIR-7: not approved");
        assert!(!core::mem::replace(&mut self.has_said_approved, true), "PAIR-9: approved twice");
        let claims = jose::Unverified::parse(&paired.approval.issue_token).expect("a credential").into_unproven();
        let identity = Identity::from_seed(paired.seed.clone());
        assert_eq!(claims.confirmation, confirmation(&identity), "PAIR-7: a credential for another key");
        assert_eq!((claims.org, claims.generation), (paired.approval.workspace.id.clone(), paired.generation));
    }

    /// The identity that the platform made the code for.
    fn identity(&self) -> Identity {
        let stored = self.writes.iter().find_map(|(_, contents)| contents.as_ref()).or(self.durable.as_ref());
        let pending = stored.and_then(|bytes| PendingPairing::parse(bytes.expose()).ok());
        Identity::from_seed(pending.map_or_else(|| Secret::new([0; 32]), |pending| pending.seed))
    }

    fn body(&self, body: &Body) -> (u16, Vec<u8>) {
        let (status, json) = match body {
            Body::Minted { expires_in, interval } => {
                let minted = json!({"code": "BCDF2345", "status_token": "s", "url": "https://app.example/pair?code=BCDF2345",
                    "expires_in": expires_in, "interval": interval});
                (201, minted)
            }
            Body::Pending => (200, json!({"status": "pending"})),
            Body::Approved { is_forged, is_for_another } => (200, self.approval(*is_forged, *is_for_another)),
            Body::Denied => (200, json!({"status": "denied"})),
            Body::Gone => (404, json!({"status": 404, "title": "expired", "reason": "code_expired"})),
            Body::SlowDown => (400, json!({"error": "slow_down"})),
            Body::Keys { is_right } => {
                let set: JwkSet = [signing_key(if *is_right { 9 } else { 7 }).public_key()].into_iter().collect();
                return (200, set.to_json().into());
            }
            Body::Html => return (200, b"<html><title>Sign in to the hotel</title></html>".to_vec()),
            Body::Raw(bytes) => return (200, bytes.clone()),
        };
        (status, json.to_string().into())
    }

    fn approval(&self, is_forged: bool, is_for_another: bool) -> serde_json::Value {
        let identity = if is_for_another { Identity::from_seed(Secret::new([99; 32])) } else { self.identity() };
        let token = jose::sign(&claims(&identity), &signing_key(if is_forged { 8 } else { 9 }));
        json!({"status": "approved", "workspace": {"id": "ORG", "slug": "acme", "name": "Acme"},
            "install_id": "i", "runtime_target_id": "r", "machine_id": "m", "issue_token": token.expose(),
            "relay": {"url": "wss://relay.example/ws", "static_keys": [StaticKey([1; 32]).to_base64url()]},
            "policy_mode": "standard"})
    }
}

/// A pairing that was just asked for.
fn fresh(now: Instant, clock: WallClock, number: u8) -> Pairing {
    let settings = Settings {
        api_endpoint: "https://api.example/".into(),
        kind: DeviceKind::Daemon,
        mode: PairingMode::New,
        org: None,
        name: "laptop".into(),
        software: "vpd 0.1.0".into(),
    };
    Pairing::start(now, clock, settings, &Entropy::new([number; 32]))
}

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([seed; 32]))
}

fn confirmation(identity: &Identity) -> Confirmation {
    Confirmation { static_key: identity.static_key(), identity: Thumbprint::of_identity_key(identity.identity_key()) }
}

fn claims(identity: &Identity) -> Claims {
    Claims {
        issuer: "https://api.example".into(),
        audience: RELAY_AUDIENCE.into(),
        install: "i".parse().expect("an id"),
        org: "ORG".parse().expect("an id"),
        runtime_target: "r".parse().expect("an id"),
        machine: "m".parse().expect("an id"),
        role: DeviceKind::Daemon,
        generation: 1,
        confirmation: confirmation(identity),
        issued_at: UNIX,
        not_before: UNIX,
        expires_at: UNIX.plus(3_600),
        renewable_until: UNIX.plus(2_592_000),
        id: "t".parse().expect("an id"),
    }
}
