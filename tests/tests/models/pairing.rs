//! [`Pairing`] beside [`Attempt`].

use std::time::Duration;

use proptest::{collection::vec, prelude::*};
use proto_core::{
    Entropy, Machine, Reason, Status,
    api::{Approval, PairingMode, PolicyMode, PollAnswer},
    crypto::Identity,
    device::{
        files::{Document, PendingPairing},
        pairing::{EffectId, Input, Output, Pairing, Settings},
    },
    effect::{Effect, IoEvent, NetFault},
    id::DeviceKind,
    jose::{self, SigningKey},
};
use verification::models::{
    START,
    bench::Bench,
    config,
    given::{self, answered, id_of},
    millis,
    pairing::{Answer, Attempt, Fate},
};

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    /// The platform answers the `back`-th latest poll.
    Answer { back: usize, says: Says },
    /// So many milliseconds pass.
    Pass(u64),
    /// A key set comes, or something that is none.
    Keys { is_good: bool },
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Approved,
    Pending,
    Denied,
    NotFound,
    SlowDown(Option<u32>),
    /// `slow_down` as RFC 8628 section 3.5 spells it.
    Rfc8628,
    Status(u16, Option<u32>),
    Body(&'static str),
    Lost(NetFault),
}

impl Says {
    fn answer(self) -> Answer {
        match self {
            Self::Approved => Answer::Approved,
            Self::Pending => Answer::Pending,
            Self::Denied => Answer::Denied,
            Self::NotFound => Answer::NotFound,
            Self::SlowDown(after) => Answer::SlowDown(after),
            Self::Rfc8628 => Answer::SlowDown(None),
            Self::Status(_, after) => Answer::Trouble(after),
            Self::Body(_) | Self::Lost(_) => Answer::Trouble(None),
        }
    }

    fn io_event(self, effect_id: EffectId, device: &Identity) -> IoEvent<EffectId> {
        match self {
            Self::Approved => answered(effect_id, 200, None, approved(&given::approval(device, "A", "r"))),
            Self::Pending => answered(effect_id, 200, None, r#"{"status":"pending"}"#),
            Self::Denied => answered(effect_id, 200, None, r#"{"status":"denied"}"#),
            Self::NotFound => answered(effect_id, 404, None, r#"{"status":404,"title":"Not StoredState"}"#),
            Self::SlowDown(after) => answered(effect_id, 429, after, ""),
            Self::Rfc8628 => answered(effect_id, 400, None, r#"{"error":"slow_down"}"#),
            Self::Status(status, after) => answered(effect_id, status, after, "<html>"),
            Self::Body(body) => answered(effect_id, 200, None, body),
            Self::Lost(fault) => IoEvent::Unanswered(effect_id, fault),
        }
    }
}

fn approved(approval: &Approval) -> String {
    serde_json::to_string(&PollAnswer::Approved(Box::new(approval.clone()))).unwrap()
}

fn says() -> impl Strategy<Value = Says> {
    let after = || proptest::option::of(prop_oneof![0_u32..90, Just(3_600)]);
    let bodies =
        proptest::sample::select(&["", "<html>", "{}", r#"{"status":"eaten"}"#, r#"{"status":"approved"}"#, "[", "null"]);
    let faults =
        proptest::sample::select(&[NetFault::Dns, NetFault::TimedOut, NetFault::Broken, NetFault::Tls, NetFault::TooLarge]);
    prop_oneof![
        1 => Just(Says::Approved),
        12 => Just(Says::Pending),
        1 => Just(Says::Denied),
        1 => Just(Says::NotFound),
        2 => after().prop_map(Says::SlowDown),
        1 => Just(Says::Rfc8628),
        3 => (proptest::sample::select(&[500_u16, 502, 503, 504, 302, 404]), after()).prop_map(|(s, a)| Says::Status(s, a)),
        3 => bodies.prop_map(Says::Body),
        3 => faults.prop_map(Says::Lost),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    let back = prop_oneof![8 => Just(0_usize), 1 => 1_usize..4];
    let time = prop_oneof![4 => 0_u64..3_000, 2 => 3_000_u64..28_000, 1 => 100_000_u64..300_000];
    prop_oneof![
        5 => (back, says()).prop_map(|(back, says)| Event::Answer { back, says }),
        5 => time.prop_map(Event::Pass),
        1 => any::<bool>().prop_map(|is_good| Event::Keys { is_good }),
    ]
}

/// How long a request may take.
const MAX_REQUEST: u64 = 30_000;

struct Device {
    bench: Bench<Pairing>,
    model: Attempt,
    identity: Identity,
    keys_were_good: bool,
}

fn settings(org: Option<&str>) -> Settings {
    Settings {
        api_endpoint: given::ISSUER.into(),
        kind: DeviceKind::Daemon,
        mode: PairingMode::New,
        org: org.map(Into::into),
        name: "laptop".into(),
        software: "vpd".into(),
    }
}

impl Device {
    /// A device that shows its code. PAIR-5: not before the pending file is durable.
    fn shown(interval: Option<u64>, expires_in: u64, org: Option<&str>) -> Self {
        let machine = Pairing::start(START, given::clock(), settings(org), &Entropy::new([7; 32]));
        let mut bench = Bench::new(machine);
        let minted = mint_answer(interval, expires_in);
        let seed = match bench.tell(Input::Io(answered(mint(&bench), 201, None, minted))) {
            [(_, Output::Effect(Effect::Store(EffectId::Save, _, bytes)))] => PendingPairing::parse(bytes.expose()).unwrap().seed,
            other => panic!("PAIR-5: first the pending file, not {other:?}"),
        };
        bench.pass(Duration::from_secs(1));
        assert!(!bench.said.iter().any(|(_, output)| matches!(output, Output::ShowCode(_))), "PAIR-5");
        bench.tell(Input::Io(IoEvent::Stored(EffectId::Save)));
        let shown = bench.said.iter().filter(|(_, output)| matches!(output, Output::ShowCode(_))).count();
        assert_eq!(shown, 1, "PAIR-5");
        let model = Attempt::shown(millis(bench.now), 0, interval, expires_in);
        let mut device = Self { bench, model, identity: Identity::from_seed(seed), keys_were_good: false };
        device.follow(0);
        device
    }

    /// Hands what was said since `from` to the model.
    fn follow(&mut self, from: usize) {
        for (at, output) in &self.bench.said[from..] {
            match output {
                Output::Effect(Effect::Http(EffectId::Poll(number), _)) => self.model.poll(millis(*at), *number),
                Output::Approved(_) => {
                    assert_eq!((self.model.fate, self.keys_were_good), (Fate::Approved, true), "PAIR-7");
                }
                _ => {}
            }
        }
        let approvals = self.bench.said.iter().filter(|(_, output)| matches!(output, Output::Approved(_))).count();
        assert!(approvals <= 1, "PAIR-9: approved {approvals} times");
    }

    fn hear(&mut self, event: &Event) {
        let from = self.bench.said.len();
        match event {
            Event::Answer { back, says } => {
                let Some(number) = polls(&self.bench).rev().nth(*back) else { return };
                self.model.answer(millis(self.bench.now), number, says.answer());
                self.bench.tell(Input::Io(says.io_event(EffectId::Poll(number), &self.identity)));
            }
            Event::Pass(time) => return self.pass(*time),
            Event::Keys { is_good } => {
                let asks = self.bench.said.iter().rev().find_map(|(_, output)| match output {
                    Output::Effect(Effect::Http(effect_id @ EffectId::KeySet(_), _)) => Some(*effect_id),
                    _ => None,
                });
                let Some(effect_id) = asks else { return };
                self.keys_were_good |= is_good;
                let body = if *is_good { given::key_set() } else { "<html>".into() };
                self.bench.tell(Input::Io(answered(effect_id, 200, None, body)));
            }
        }
        self.follow(from);
        self.model.pass(millis(self.bench.now));
        self.compare();
    }

    /// Time passes. An adapter answers in time: a request that is under way for as long as it may be has timed out.
    fn pass(&mut self, time: u64) {
        let until = millis(self.bench.now) + time;
        while millis(self.bench.now) < until {
            let times_out = self.model.under_way.map(|(number, started)| (number, started + MAX_REQUEST));
            let next =
                self.bench.machine.poll_timeout().map_or(until, |deadline| millis(deadline.at).max(millis(self.bench.now)));
            let step = times_out.map_or(next, |(_, at)| at).min(until);
            let from = self.bench.said.len();
            self.bench.pass(Duration::from_millis(step - millis(self.bench.now)));
            self.follow(from);
            self.model.pass(millis(self.bench.now));
            if let Some((number, _)) = times_out.filter(|(_, at)| *at == step) {
                let from = self.bench.said.len();
                self.model.answer(step, number, Answer::Trouble(None));
                self.bench.tell(Input::Io(IoEvent::Unanswered(EffectId::Poll(number), NetFault::TimedOut)));
                self.follow(from);
            }
            self.compare();
        }
    }

    /// The machine polls when the model says so, and says the same about the end.
    fn compare(&self) {
        let now = millis(self.bench.now);
        let deadline = self.bench.machine.poll_timeout().map(|deadline| millis(deadline.at));
        let is_waiting = self.model.fate == Fate::Open && self.model.under_way.is_none();
        if is_waiting {
            assert!(
                deadline.is_some_and(|at| at <= self.model.due.1.min(self.model.expires_at)),
                "PAIR-11: next at {deadline:?}"
            );
            assert!(now <= self.model.due.1, "PAIR-11: no poll at {now}, due {:?}", self.model.due);
        }
        let is_over = !matches!(self.bench.machine.status(), Status::Running { .. });
        assert!(!(is_over && self.model.fate == Fate::Open), "PAIR-4: it ended early: {:?}", self.bench.machine.status());
    }

    /// PAIR-3: whatever is left unanswered, the end comes at most one request after the expiry.
    fn end(&mut self) {
        let until = self.model.expires_at + MAX_REQUEST + 1;
        let from = self.bench.said.len();
        self.bench.pass(Duration::from_millis(until.saturating_sub(millis(self.bench.now))));
        self.follow(from);
        // Files of an attempt that ended are removed; nothing else is under way.
        for _ in 0..3 {
            self.bench.tell(Input::Io(IoEvent::Stored(EffectId::Forget)));
        }
        let handed_over = self.bench.said.iter().any(|(_, output)| matches!(output, Output::Approved(_)));
        let expected = match self.model.fate {
            Fate::Denied => Reason::PairingDenied,
            _ if handed_over => return,
            _ => Reason::CodeExpired,
        };
        match self.bench.machine.status() {
            // Approved, but what could prove it was not to be had.
            Status::Failed(reason) if self.model.fate == Fate::Approved && reason.is_temporary() => {}
            Status::Failed(reason) => assert_eq!(*reason, expected, "PAIR-4"),
            other => panic!("PAIR-3: {other:?} after the end of {:?}", self.model),
        }
    }
}

fn mint_answer(interval: Option<u64>, expires_in: u64) -> String {
    let mut answer = serde_json::json!({
        "code": "BCDF2345", "status_token": "s", "url": "https://app.example/pair?code=BCDF2345", "expires_in": expires_in
    });
    if let Some(interval) = interval {
        answer["interval"] = interval.into();
    }
    answer.to_string()
}

fn mint(bench: &Bench<Pairing>) -> EffectId {
    let asks = bench.said.iter().rev().filter_map(|(_, output)| match output {
        Output::Effect(effect) => Some(id_of(effect)),
        _ => None,
    });
    asks.into_iter().find(|effect_id| matches!(effect_id, EffectId::Mint(_))).unwrap()
}

fn polls(bench: &Bench<Pairing>) -> impl DoubleEndedIterator<Item = u32> {
    bench.said.iter().filter_map(|(_, output)| match output {
        Output::Effect(Effect::Http(EffectId::Poll(number), _)) => Some(*number),
        _ => None,
    })
}

proptest! {
    #![proptest_config(config(256))]

    /// PAIR-1 to PAIR-5, PAIR-7, PAIR-9, PAIR-11, S8, S13, D13: polls start exactly when the model says, whatever is answered,
    /// late, twice or never, and only what may end an attempt does.
    #[test]
    fn a_pairing_polls_like_its_model(
        interval in proptest::option::of(1_u64..20),
        expires_in in prop_oneof![Just(900_u64), 30_u64..900],
        events in vec(events(), 0..80),
    ) {
        let mut device = Device::shown(interval, expires_in, None);
        for event in &events {
            device.hear(event);
        }
        device.end();
    }
}

/// PAIR-1: whatever interval the platform names, polls are at least a second apart, and there are several in a code's life.
#[test]
fn an_odd_interval_is_clamped() {
    for interval in ["0", "1", "1000000", "18446744073709551615", "-1", "-9223372036854775808", "null", "0.5", "1e30"] {
        let mut bench = Bench::new(Pairing::start(START, given::clock(), settings(None), &Entropy::new([7; 32])));
        let answer = mint_answer(None, 900).replace("900", &format!("900,\"interval\":{interval}"));
        let asked = mint(&bench);
        bench.tell(Input::Io(answered(asked, 201, None, answer)));
        bench.tell(Input::Io(IoEvent::Stored(EffectId::Save)));
        let mut starts = Vec::new();
        for _ in 0..400 {
            let Some(number) = polls(&bench).last() else { break };
            starts
                .push(bench.said.iter().rev().find(|(_, output)| matches!(output, Output::Effect(Effect::Http(..)))).unwrap().0);
            bench.tell(Input::Io(answered(EffectId::Poll(number), 200, None, r#"{"status":"pending"}"#)));
            let before = polls(&bench).count();
            while polls(&bench).count() == before && matches!(bench.machine.status(), Status::Running { .. }) {
                let Some(deadline) = bench.machine.poll_timeout() else { break };
                bench.pass(deadline.at.since(bench.now));
            }
        }
        assert!(starts.len() > 5, "{interval}: {} polls", starts.len());
        assert!(
            starts.windows(2).all(|pair| pair[1].since(pair[0]) >= Duration::from_secs(1) || pair[0] == pair[1]),
            "{interval}"
        );
    }
}

/// Long ago.
const START_OF_TIME: proto_core::UnixTime = proto_core::UnixTime(0);

/// What may be wrong with an approval.
fn defects() -> Vec<(&'static str, Approval, Option<Reason>)> {
    let device = Device::shown(None, 900, Some("a")).identity;
    let good = given::approval(&device, "A", "r");
    let claims = given::claims(&device, "A", "r", 1);
    let signed = |claims: &jose::Claims, key: &SigningKey| Approval { issue_token: jose::sign(claims, key), ..good.clone() };
    let with = |change: &dyn Fn(&mut jose::Claims)| {
        let mut claims = claims.clone();
        change(&mut claims);
        signed(&claims, &given::platform_key())
    };
    let stranger = given::identity(9);
    let rejected = Some(Reason::CredentialRejected);
    vec![
        ("signed by another", signed(&claims, &SigningKey::from_seed(&given::secret(8))), rejected),
        ("another org in the token", with(&|c| c.org = given::id("B")), rejected),
        ("another static key", with(&|c| c.confirmation.static_key = stranger.static_key()), rejected),
        (
            "another identity key",
            with(&|c| c.confirmation.identity = given::claims(&stranger, "A", "r", 1).confirmation.identity),
            rejected,
        ),
        ("past its hard expiry", with(&|c| (c.expires_at, c.renewable_until) = (START_OF_TIME, START_OF_TIME)), rejected),
        ("not valid yet", with(&|c| c.not_before = given::UNIX.plus(3_600)), Some(Reason::TokenNotYetValid)),
        ("another audience", with(&|c| c.audience = "x".into()), rejected),
        ("a viewer's", with(&|c| c.role = DeviceKind::Viewer), rejected),
        ("another machine", with(&|c| c.machine = given::id("m2")), rejected),
        ("another install", with(&|c| c.install = given::id("i2")), rejected),
        ("another runtime target", with(&|c| c.runtime_target = given::id("r2")), rejected),
        // Not what the page says, so no answer at all.
        ("a PSK under the standard policy", Approval { psk: Some(given::secret(1)), ..good.clone() }, None),
        ("no PSK under crypto_pairing", Approval { policy_mode: PolicyMode::CryptoPairing, ..good.clone() }, None),
        ("another org than asked for", given::approval(&device, "B", "r"), Some(Reason::OrgMismatch)),
    ]
}

/// PAIR-7, one defect at a time: nothing is handed over; the attempt ends and leaves nothing behind, or takes it for no answer.
#[test]
fn an_approval_with_a_defect_is_never_taken() {
    for (defect, approval, expected) in defects() {
        let mut device = Device::shown(None, 900, Some("a"));
        let poll = EffectId::Poll(polls(&device.bench).last().unwrap());
        device.bench.tell(Input::Io(answered(poll, 200, None, approved(&approval))));
        let keys = device.bench.said.iter().rev().find_map(|(_, output)| match output {
            Output::Effect(Effect::Http(effect_id @ EffectId::KeySet(_), _)) => Some(*effect_id),
            _ => None,
        });
        if let Some(keys) = keys {
            device.bench.tell(Input::Io(answered(keys, 200, None, given::key_set())));
        }
        assert!(!device.bench.said.iter().any(|(_, output)| matches!(output, Output::Approved(_))), "PAIR-7: {defect}");
        device.bench.tell(Input::Io(IoEvent::Stored(EffectId::Forget)));
        let ended = match device.bench.machine.status() {
            Status::Failed(reason) => Some(*reason),
            Status::Finished => panic!("PAIR-7: {defect}"),
            Status::Running { .. } => None,
        };
        assert_eq!(ended, expected, "{defect}");
    }
}
