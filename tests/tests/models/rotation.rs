//! [`Rotation`] beside [`Renewals`].

use std::time::Duration;

use proptest::{collection::vec, prelude::*};
use proto_core::{
    JitterRng, Reason, UnixTime, WallClock,
    api::{Renewed, RotateRequest},
    device::credential::{EffectId, Input, Output, Rotation},
    effect::{Effect, IoEvent, NetFault},
    jose::{self, Unverified},
};
use verification::models::{
    START,
    bench::Bench,
    config,
    given::{self, answered, identity},
    millis,
    rotation::{Credential, Renewals},
};

#[derive(Clone, Debug)]
enum Event {
    /// The platform answers the latest request, or its answer is lost after it took effect.
    Answer {
        is_lost: bool,
    },
    /// It does not come that far, or something else comes back.
    Trouble(u16),
    Unanswered,
    Stored,
    RenewNow,
    Pass(u64),
    /// The device is killed and started again, with what is durable.
    Kill,
}

fn events() -> impl Strategy<Value = Event> {
    let time = prop_oneof![3 => 0_u64..30, 3 => 60_u64..3_600, 1 => 3_600_u64..100_000, 1 => 1_000_000_u64..3_000_000];
    prop_oneof![
        6 => proptest::bool::weighted(0.2).prop_map(|is_lost| Event::Answer { is_lost }),
        2 => proptest::sample::select(&[500_u16, 503, 429, 401, 403, 404, 409]).prop_map(Event::Trouble),
        1 => Just(Event::Unanswered),
        5 => Just(Event::Stored),
        3 => Just(Event::RenewNow),
        6 => time.prop_map(Event::Pass),
        1 => Just(Event::Kill),
    ]
}

struct Both {
    bench: Bench<Rotation>,
    model: Renewals,
    /// The request under way, and what it asks for.
    asked: Option<(EffectId, u64)>,
    token: proto_core::secret::SecretText,
    offered: Option<proto_core::secret::SecretText>,
}

fn seconds(bench: &Bench<Rotation>) -> u64 {
    millis(bench.now) / 1_000
}

fn token(credential: Credential, made_at: u64) -> proto_core::secret::SecretText {
    let mut claims = given::claims(&identity(1), "A", "r", credential.generation);
    claims.issued_at = given::UNIX.plus(made_at);
    claims.not_before = given::UNIX.plus(made_at);
    claims.expires_at = given::UNIX.plus(credential.soft);
    claims.renewable_until = given::UNIX.plus(credential.hard);
    jose::sign(&claims, &given::platform_key())
}

impl Both {
    fn new(seed: u64) -> Self {
        let first = Credential { generation: 1, soft: 3_600, hard: 2_592_000 };
        let token = token(first, 0);
        let machine =
            Rotation::new(START, given::clock(), given::ISSUER, identity(1), token.clone(), JitterRng::new(seed)).unwrap();
        let mut both = Self { bench: Bench::new(machine), model: Renewals::new(first), asked: None, token, offered: None };
        both.follow(0);
        both
    }

    fn follow(&mut self, from: usize) {
        for (at, output) in &self.bench.said[from..] {
            match output {
                Output::Effect(Effect::Http(effect_id, request)) => {
                    let body = request.body.as_ref().unwrap();
                    let RotateRequest { generation } = serde_json::from_slice(body.expose()).unwrap();
                    self.model.ask(millis(*at) / 1_000, generation);
                    self.asked = Some((*effect_id, generation));
                }
                Output::Effect(other) => panic!("{other:?}"),
                Output::Renewed(renewal) => {
                    let claims = Unverified::parse(&renewal.answer.issue_token).unwrap().into_unproven();
                    let soft = claims.expires_at.since(given::UNIX);
                    let hard = claims.renewable_until.since(given::UNIX);
                    self.model.offer(Credential { generation: renewal.generation, soft, hard });
                    self.offered = Some(renewal.answer.issue_token.clone());
                }
                Output::Announce(token) => {
                    assert_eq!(*token, self.token, "ROT-1: announced before it is durable");
                }
                Output::RenewalExpired => self.model.is_lapsed = true,
                Output::Trouble(_) => {}
            }
        }
        let now = seconds(&self.bench);
        assert_eq!(*self.bench.machine.credential(), self.token, "ROT-1: the durable one is used");
        assert_eq!(self.bench.machine.generation(), self.model.device.generation, "ROT-2");
        let is_over = now >= self.model.device.hard;
        assert!(!self.model.is_lapsed || is_over || self.bench.machine.has_lapsed(), "ROT-3");
    }

    fn tell(&mut self, input: Input) {
        let from = self.bench.said.len();
        self.bench.tell(input);
        self.follow(from);
    }

    fn tell_clock(&mut self, wall: WallClock) {
        let from = self.bench.said.len();
        self.bench.tell_clock(wall);
        self.follow(from);
    }

    fn hear(&mut self, event: &Event) {
        let now = seconds(&self.bench);
        match event {
            Event::Answer { is_lost } => {
                let Some((effect_id, generation)) = self.asked.take() else { return };
                let renewed = self.model.renew(now, generation);
                let io_event = match renewed {
                    _ if *is_lost => IoEvent::Unanswered(effect_id, NetFault::Broken),
                    None => answered(effect_id, 409, None, problem(Reason::TokenSuperseded)),
                    Some(credential) => {
                        self.model.attempts.clear();
                        let answer = Renewed { issue_token: token(credential, now), relay: given::relay() };
                        answered(effect_id, 200, None, serde_json::to_string(&answer).unwrap())
                    }
                };
                self.tell(Input::Io(io_event));
            }
            Event::Trouble(status) => {
                let Some((effect_id, _)) = self.asked.take() else { return };
                self.tell(Input::Io(answered(effect_id, *status, None, problem(Reason::MachineRevoked))));
            }
            Event::Unanswered => {
                let Some((effect_id, _)) = self.asked.take() else { return };
                self.tell(Input::Io(IoEvent::Unanswered(effect_id, NetFault::TimedOut)));
            }
            Event::Stored => {
                if self.model.stored() {
                    self.token = self.offered.take().unwrap();
                }
                self.tell(Input::Stored);
            }
            Event::RenewNow => self.tell(Input::RenewNow),
            Event::Pass(time) => {
                // A request is answered in time.
                let time = if self.asked.is_some() { (*time).min(20) } else { *time };
                let from = self.bench.said.len();
                self.bench.pass(Duration::from_secs(time));
                self.follow(from);
            }
            Event::Kill => {
                let clock = WallClock::new(self.bench.now, given::UNIX.plus(now));
                let machine =
                    Rotation::new(self.bench.now, clock, given::ISSUER, identity(1), self.token.clone(), JitterRng::new(now))
                        .unwrap();
                self.bench = Bench::at(self.bench.now, machine);
                (self.asked, self.offered, self.model.offered) = (None, None, None);
                // What a new process does not know it cannot count.
                self.model.attempts.clear();
                self.follow(0);
            }
        }
    }
}

fn problem(reason: Reason) -> String {
    format!(r#"{{"status":409,"title":"no","reason":"{}"}}"#, reason.code())
}

proptest! {
    #![proptest_config(config(256))]

    /// ROT-1 to ROT-3, D8: generations, attempts and what is used when, over lost answers, kills and years.
    #[test]
    fn a_rotation_renews_like_its_model(seed in any::<u64>(), events in vec(events(), 0..60)) {
        let mut both = Both::new(seed);
        for event in &events {
            both.hear(event);
        }
    }

    /// ROT-3: with a platform that answers, an attempt begins well before the soft expiry, every time.
    #[test]
    fn a_rotation_is_early(seed in any::<u64>()) {
        let mut both = Both::new(seed);
        for _ in 0..20 {
            let due = both.model.device.soft;
            let from = both.bench.said.len();
            while both.asked.is_none() {
                let deadline = proto_core::Machine::poll_timeout(&both.bench.machine).expect("ROT-3: it rests for ever");
                both.bench.pass(deadline.at.since(both.bench.now));
                both.follow(from);
            }
            prop_assert!(seconds(&both.bench) + 300 <= due, "ROT-3: at {} for {}", seconds(&both.bench), due);
            both.hear(&Event::Answer { is_lost: false });
            both.hear(&Event::Stored);
        }
        prop_assert_eq!(both.model.device.generation, 21);
    }
}

/// JWT-3: wherever the wall clock jumps, once it is right again and the platform answers there is a good credential within the
/// hour: none is refused for good, and none lapses that is renewable.
#[test]
fn a_clock_that_jumps_heals() {
    for jump in [0, 1, 1_000_000_000, given::UNIX.0 - 86_400, given::UNIX.0 + 86_400, given::UNIX.0 + 100_000_000, u64::MAX] {
        let mut both = Both::new(jump);
        for unix in [jump, given::UNIX.0 + seconds(&both.bench)] {
            both.model.is_lapsed = false;
            both.tell_clock(WallClock::new(both.bench.now, UnixTime(unix)));
            both.hear(&Event::Pass(60));
            both.hear(&Event::Unanswered);
        }
        let clock = WallClock::new(both.bench.now, given::UNIX.plus(seconds(&both.bench)));
        both.model.is_lapsed = false;
        both.tell_clock(clock);
        for _ in 0..200 {
            both.hear(&Event::Answer { is_lost: false });
            both.hear(&Event::Stored);
            both.hear(&Event::Pass(18));
        }
        assert!(!both.bench.machine.has_lapsed(), "JWT-3: {jump}");
        assert!(both.bench.machine.is_fresh(both.bench.now), "JWT-3: {jump}");
        assert!(both.model.device.generation > 1, "JWT-3: {jump}");
    }
}

/// ROT-3: renewals that are asked for again and again are held to the limit of the hour.
#[test]
fn repeated_demands_are_held_to_the_limit() {
    let mut both = Both::new(7);
    for _ in 0..200 {
        both.hear(&Event::RenewNow);
        both.hear(&Event::Unanswered);
        both.hear(&Event::Pass(30));
    }
    assert!(both.model.attempts.len() >= Renewals::PER_HOUR, "it tries");
}

/// ROT-3: with a platform that is down for a month there are at most twelve attempts an hour, and none past the hard expiry,
/// when that is said.
#[test]
fn a_rotation_gives_up_at_its_hard_expiry() {
    let mut both = Both::new(7);
    while !both.model.is_lapsed {
        if both.asked.is_some() {
            both.hear(&Event::Unanswered);
        } else {
            let deadline = proto_core::Machine::poll_timeout(&both.bench.machine).expect("ROT-3: it rests for ever");
            let from = both.bench.said.len();
            both.bench.pass(deadline.at.since(both.bench.now));
            both.follow(from);
        }
    }
    assert_eq!(seconds(&both.bench), both.model.device.hard);
    both.hear(&Event::RenewNow);
    both.hear(&Event::Pass(10_000_000));
    assert!(both.asked.is_none() && both.bench.machine.has_lapsed(), "ROT-3");
}
