use alloc::{string::ToString, vec::Vec};

use serde_json::json;

use super::*;
use crate::{
    Reason::*,
    effect::NetFault,
    id::DeviceKind,
    jose::{self, Claims, SigningKey, Thumbprint, verify_proof},
    key::StaticKey,
    secret::{Secret, SecretBytes},
    testing::{self, LIFETIME, RENEWABLE},
};

const UNIX: UnixTime = UnixTime(1_800_000_000);
const START: Instant = Instant::from_nanos(5_000_000_000);

struct Harness {
    machine: Rotation,
    now: Instant,
    http: Vec<(EffectId, HttpRequest)>,
    said: Vec<Output>,
}

impl Harness {
    /// A daemon that starts at `UNIX` plus `age` with a credential of generation 1 issued at `UNIX`.
    fn started(age: u64) -> Self {
        Self::with_jitter(age, 1)
    }

    fn with_jitter(age: u64, seed: u64) -> Self {
        let clock = WallClock::new(START, UNIX.plus(age));
        let machine =
            Rotation::new(START, clock, "https://api.example/", identity(), token(1, UNIX), JitterRng::new(seed)).unwrap();
        let mut desk = Self { machine, now: START, http: Vec::new(), said: Vec::new() };
        desk.drain();
        desk
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Effect(Effect::Http(effect_id, request)) => self.http.push((effect_id, request)),
                said => self.said.push(said),
            }
        }
    }

    fn input(&mut self, input: Input) {
        self.machine.handle_input(self.now, input).unwrap();
        self.drain();
    }

    fn clock(&mut self, wall: WallClock) {
        self.machine.handle_clock(self.now, wall);
        self.drain();
    }

    fn answer(&mut self, status: u16, body: &str) {
        self.answer_later(status, body, None);
    }

    fn answer_later(&mut self, status: u16, body: &str, retry_after: Option<u32>) {
        let (effect_id, _) = self.http.remove(0);
        let answer = HttpAnswer { status, retry_after, date: None, body: SecretBytes::new(body) };
        self.input(Input::Io(IoEvent::Answered(effect_id, answer)));
    }

    /// The platform looks at the proof by its own clock, which shows `date`, and says so.
    fn judge(&mut self, date: UnixTime, token: &SecretText) {
        let (effect_id, request) = self.http.remove(0);
        let target = ProofTarget { method: "POST", url: &request.url, token };
        let owner = Thumbprint::of_identity_key(identity().identity_key());
        let (status, body) = match verify_proof(&request.headers[1].1, target, owner, date) {
            Ok(_) => (200, renewed(&self::token(self.machine.generation() + 1, date))),
            Err(reason) => (401, json!({"status": 401, "title": "no", "reason": reason.code()}).to_string()),
        };
        let answer = HttpAnswer { status, retry_after: None, date: Some(date), body: SecretBytes::new(body) };
        self.input(Input::Io(IoEvent::Answered(effect_id, answer)));
    }

    fn lose(&mut self) {
        let (effect_id, _) = self.http.remove(0);
        self.input(Input::Io(IoEvent::Unanswered(effect_id, NetFault::TimedOut)));
    }

    /// Time passes up to the next deadline, and how long that took.
    fn wait(&mut self) -> Duration {
        let at = self.machine.poll_timeout().unwrap().at;
        let waited = at.since(self.now);
        self.now = self.now.max(at);
        self.machine.handle_timeout(self.now);
        self.drain();
        waited
    }

    fn unix(&self) -> UnixTime {
        self.machine.clock.best().unix_at(self.now)
    }
}

fn identity() -> Identity {
    Identity::from_seed(Secret::new([3; 32]))
}

fn claims(generation: u64, issued_at: UnixTime) -> Claims {
    Claims { generation, ..testing::claims(&identity(), issued_at) }
}

fn signed(claims: &Claims) -> SecretText {
    jose::sign(claims, &SigningKey::from_seed(&Secret::new([9; 32])))
}

fn token(generation: u64, issued_at: UnixTime) -> SecretText {
    signed(&claims(generation, issued_at))
}

fn renewed(token: &SecretText) -> alloc::string::String {
    json!({"issue_token": token.expose(),
        "relay": {"url": "wss://relay.example/ws", "static_keys": [StaticKey([1; 32]).to_base64url()]}})
    .to_string()
}

/// D8, ROT-1: the old credential is the one in use until the new one is durable; then it is announced.
#[test]
fn a_renewal_is_durable_before_it_is_used() {
    let mut desk = Harness::started(0);
    desk.wait();
    let (_, request) = desk.http[0].clone();
    assert_eq!(request.url, "https://api.example/api/credentials/rotate");
    assert_eq!(request.body.unwrap().expose(), br#"{"generation":1}"#);
    let old = token(1, UNIX);
    assert_eq!(request.headers[0].1.expose(), ["DPoP ", old.expose()].concat());
    let target = ProofTarget { method: "POST", url: &request.url, token: &old };
    let owner = Thumbprint::of_identity_key(identity().identity_key());
    assert!(verify_proof(&request.headers[1].1, target, owner, desk.unix()).is_ok());

    let new = token(2, desk.unix());
    desk.answer(200, &renewed(&new));
    assert!(matches!(&desk.said[..], [Output::Renewed(r)] if r.generation == 2 && r.answer.issue_token == new));
    assert_eq!((desk.machine.credential(), desk.machine.generation()), (&old, 1));
    desk.input(Input::Stored);
    assert_eq!(desk.said.pop(), Some(Output::Announce(new.clone())));
    assert_eq!((desk.machine.credential(), desk.machine.generation()), (&new, 2));
    assert!(desk.wait() >= Duration::from_secs(LIFETIME / 2 - 1));
}

/// ROT-4: a thousand devices paired in one second renew over a third of the lifetime, never more than twice as dense as evenly.
#[test]
fn renewals_of_many_devices_spread() {
    let (devices, window) = (1_000, 60);
    let mut dues: Vec<_> = (0..devices).map(|n| Harness::with_jitter(0, n).wait().as_secs()).collect();
    dues.sort_unstable();
    assert!(dues[0] >= LIFETIME / 2 && *dues.last().unwrap() <= LIFETIME * 5 / 6);
    let densest = (0..LIFETIME).map(|from| dues.iter().filter(|due| (from..from + window).contains(*due)).count()).max();
    assert!(densest.unwrap() as u64 <= 2 * devices * window / (LIFETIME / 3), "{densest:?}");
}

/// A credential that lives for years is renewed within the month all the same: half to five sixths of thirty days.
#[test]
fn a_credential_of_years_is_renewed_within_a_month() {
    let years = UNIX.plus(10 * 365 * 86_400);
    let token = signed(&Claims { expires_at: years, renewable_until: years, ..claims(1, UNIX) });
    for seed in 0..20 {
        let clock = WallClock::new(START, UNIX);
        let machine = Rotation::new(START, clock, "https://a", identity(), token.clone(), JitterRng::new(seed)).unwrap();
        let days = machine.poll_timeout().unwrap().at.since(START).as_secs_f64() / 86_400.0;
        assert!((15.0..=25.0).contains(&days), "{days}");
    }
}

/// ROT-3, S186, S187: a daemon that was off past the soft expiry renews at once; nothing connects with the old credential.
#[test]
fn an_expired_credential_is_renewed_first() {
    let mut desk = Harness::started(LIFETIME * 24);
    assert_eq!(desk.http.len(), 1);
    assert!(!desk.machine.is_fresh(desk.now));
    let now = desk.unix();
    desk.answer(200, &renewed(&token(2, now)));
    desk.input(Input::Stored);
    assert!(desk.machine.is_fresh(desk.now));
}

/// ROT-2: a lost answer is asked for again with the same generation, and every proof is another.
#[test]
fn a_lost_answer_is_asked_for_again() {
    let mut desk = Harness::started(0);
    desk.wait();
    let (lost, first) = desk.http[0].clone();
    desk.lose();
    assert_eq!(desk.said, [Output::Trouble(PlatformUnreachable)]);
    desk.wait();
    let (_, second) = &desk.http[0];
    assert_eq!(first.body, second.body);
    assert_ne!(first.headers[1], second.headers[1]);
    let late = HttpAnswer { status: 200, retry_after: None, date: None, body: SecretBytes::new(renewed(&token(2, UNIX))) };
    desk.input(Input::Io(IoEvent::Answered(lost, late)));
    assert_eq!((desk.machine.ignored(), desk.machine.generation()), (1, 1));
    desk.input(Input::Stored);
    assert_eq!(desk.machine.ignored(), 2, "nothing was to be stored");
    let now = desk.unix();
    desk.answer(200, &renewed(&token(2, now)));
    desk.input(Input::Stored);
    assert_eq!((desk.machine.generation(), desk.machine.trouble()), (2, None));
}

/// ROT-3: the first failure is followed by another attempt soon, which a clock that is set does not bring forward.
#[test]
fn a_failure_is_followed_by_a_pause() {
    for seed in 0..20 {
        let mut desk = Harness::with_jitter(0, seed);
        desk.wait();
        desk.lose();
        let before = desk.machine.poll_timeout();
        desk.clock(WallClock::new(desk.now, desk.unix()));
        assert_eq!(desk.machine.poll_timeout(), before);
        let pause = desk.wait();
        assert!((BACKOFF.ceiling(1) / 2..=BACKOFF.ceiling(1)).contains(&pause), "{pause:?}");
    }
}

/// ROT-3: a credential that has lapsed stays so under a clock by which it ended just now, and that is not said again.
#[test]
fn a_lapsed_credential_stays_lapsed_at_its_end() {
    let mut desk = Harness::started(RENEWABLE);
    assert_eq!(desk.said, [Output::RenewalExpired]);
    desk.clock(WallClock::new(desk.now, UNIX.plus(RENEWABLE)));
    assert!(desk.machine.has_lapsed());
    assert_eq!((desk.said.len(), desk.http.len()), (1, 0));
}

/// JWT-3: a credential is over in the very second of its expiry.
#[test]
fn a_credential_is_fresh_up_to_its_expiry() {
    let is_fresh = |age| {
        let desk = Harness::started(age);
        desk.machine.is_fresh(desk.now)
    };
    assert_eq!([0, LIFETIME - 1, LIFETIME, LIFETIME + 1].map(is_fresh), [true, true, false, false]);
}

/// ROT-3: while nothing helps, at most 12 attempts in any hour, none after the hard expiry, which is said once.
#[test]
fn attempts_are_limited_and_end_at_the_hard_expiry() {
    let mut desk = Harness::started(RENEWABLE - 6 * LIFETIME);
    let mut attempts = Vec::new();
    while !desk.machine.has_lapsed() {
        assert_eq!(desk.http.len(), 1);
        attempts.push(desk.now);
        assert!(attempts.len() <= 7 * ATTEMPTS_PER_HOUR, "without a limit");
        desk.lose();
        desk.input(Input::RenewNow);
        if desk.http.is_empty() {
            desk.wait();
        }
    }
    for hour in attempts.windows(ATTEMPTS_PER_HOUR + 1) {
        assert!(hour[ATTEMPTS_PER_HOUR].since(hour[0]) >= HOUR);
    }
    assert!(attempts.len() > 5 * ATTEMPTS_PER_HOUR);
    assert_eq!(desk.unix(), UNIX.plus(RENEWABLE));
    assert_eq!(desk.said, [Output::Trouble(PlatformUnreachable), Output::RenewalExpired]);
    assert_eq!(desk.machine.poll_timeout(), None);
    desk.input(Input::RenewNow);
    assert!(desk.http.is_empty());
}

/// ROT-3: until when a credential can be renewed is what the one in use says.
#[test]
fn the_hard_expiry_moves_with_the_credential_in_use() {
    let mut desk = Harness::started(LIFETIME);
    let renewed_at = desk.unix();
    desk.answer(200, &renewed(&token(2, renewed_at)));
    assert_eq!(desk.machine.renewable_until(), UNIX.plus(RENEWABLE));
    desk.input(Input::Stored);
    assert_eq!(desk.machine.renewable_until(), renewed_at.plus(RENEWABLE));
}

/// ROT-3: a relay whose clock is wrong calls every credential expired; each of them is renewed only after a while.
#[test]
fn a_fresh_credential_is_not_renewed_on_demand() {
    let mut desk = Harness::started(0);
    desk.wait();
    desk.answer(200, &renewed(&token(2, desk.unix())));
    desk.input(Input::Stored);
    let renewed_at = desk.now;
    desk.input(Input::RenewNow);
    assert!(desk.http.is_empty());
    desk.wait();
    assert_eq!((desk.http.len(), desk.now.since(renewed_at)), (1, RENEW_PAUSE));
}

/// BIND-6: no answer ends anything; each is trouble with its reason, and Retry-After is honoured up to an hour.
#[test]
fn no_answer_of_the_platform_ends_a_rotation() {
    let problem = |status: u16, reason: &str| (status, json!({"status": status, "title": "t", "reason": reason}).to_string());
    for ((status, body), reason) in [
        (problem(401, "token_expired"), TokenExpired),
        (problem(401, "token_key_mismatch"), TokenKeyMismatch),
        (problem(403, "machine_revoked"), MachineRevoked),
        (problem(403, "workspace_not_found"), WorkspaceNotFound),
        (problem(409, "token_superseded"), TokenSuperseded),
        ((503, "<html>".into()), PlatformUnreachable),
        ((200, "<html>".into()), PlatformAnswerInvalid),
        ((404, "{}".into()), PlatformAnswerInvalid),
    ] {
        let mut desk = Harness::started(LIFETIME);
        desk.answer_later(status, &body, Some(u32::MAX));
        assert_eq!(desk.machine.trouble(), Some(reason));
        assert_eq!(desk.wait(), HOUR);
        assert_eq!(desk.http.len(), 1);
    }
}

/// A successor is about the same device, one generation on; anything else is no answer.
#[test]
fn only_a_successor_is_taken() {
    type Change = fn(&mut Claims);
    let wrong: [Change; 8] = [
        |c| c.generation = 1,
        |c| c.generation = 3,
        |c| c.org = "OTHER".parse().unwrap(),
        |c| c.runtime_target = "r2".parse().unwrap(),
        |c| c.install = "i2".parse().unwrap(),
        |c| c.machine = "m2".parse().unwrap(),
        |c| c.role = DeviceKind::Viewer,
        |c| c.confirmation.static_key = StaticKey([8; 32]),
    ];
    for change in wrong {
        let mut desk = Harness::started(LIFETIME);
        let mut claims = claims(2, UNIX);
        change(&mut claims);
        desk.answer(200, &renewed(&signed(&claims)));
        assert_eq!(desk.said, [Output::Trouble(PlatformAnswerInvalid)]);
    }
    let mut desk = Harness::started(LIFETIME);
    desk.answer(200, &renewed(&token(2, UNIX)).replace("wss:", "http:"));
    assert_eq!(desk.said, [Output::Trouble(PlatformAnswerInvalid)]);
}

/// JWT-3: with a clock that is wrong by years either way, a fresh credential is renewed at its age, and in no loop.
#[test]
fn a_wrong_clock_does_not_change_the_schedule() {
    for wrong in [UnixTime(UNIX.0 - 100_000_000), UNIX.plus(LIFETIME * 24)] {
        let mut desk = Harness::started(LIFETIME);
        desk.clock(WallClock::new(desk.now, wrong));
        desk.answer(200, &renewed(&token(2, UNIX.plus(LIFETIME))));
        desk.input(Input::Stored);
        assert!(desk.machine.is_fresh(desk.now));
        let waited = desk.wait();
        assert!(
            waited >= Duration::from_secs(LIFETIME / 2 - 1) && waited <= Duration::from_secs(LIFETIME * 5 / 6 + 1),
            "{waited:?}"
        );
    }
}

/// JWT-3: a jump past the hard expiry stops the attempts, the jump back takes them up again; a suspend is one renewal.
#[test]
fn clock_jumps_are_survived() {
    let mut desk = Harness::started(0);
    desk.clock(WallClock::new(desk.now, UNIX.plus(RENEWABLE)));
    assert!(desk.machine.has_lapsed() && desk.http.is_empty());
    desk.clock(WallClock::new(desk.now, UNIX));
    assert!(!desk.machine.has_lapsed());
    assert_eq!(desk.http.len(), 1);

    let mut desk = Harness::started(0);
    desk.clock(WallClock::new(desk.now, UNIX.plus(LIFETIME)));
    assert_eq!(desk.http.len(), 1, "the machine slept: the monotonic clock stood still, the other did not");
    assert_eq!(desk.machine.poll_timeout(), None);

    let mut desk = Harness::started(600);
    desk.clock(WallClock::new(desk.now, UnixTime(0)));
    assert!(desk.wait() <= Duration::from_secs(LIFETIME), "set back by decades, it still renews within a lifetime");
}

#[test]
fn a_damaged_credential_is_refused() {
    let clock = WallClock::new(START, UNIX);
    let rotation = Rotation::new(START, clock, "https://a", identity(), SecretText::new("a.b.c"), JitterRng::new(1));
    assert_eq!(rotation.unwrap_err(), TokenMalformed);
}

/// D19: a device whose clock is wrong by hours or weeks renews with its second request, and says by how much it is wrong.
#[test]
fn a_proof_is_dated_by_the_platforms_time() {
    const WEEKS: u64 = 14 * 86_400;
    for (right, ahead) in [(UNIX.plus(WEEKS), -i64::try_from(WEEKS).unwrap()), (UnixTime(UNIX.0 - 7_200), 7_200)] {
        let mut desk = Harness::started(0);
        desk.input(Input::RenewNow);
        let old = desk.machine.credential().clone();
        assert_eq!(desk.machine.clock().ahead(desk.now), None);
        desk.judge(right, &old);
        assert_eq!((desk.http.len(), desk.said.len()), (1, 0), "at once, and without a word");
        desk.judge(right, &old);
        assert!(matches!(&desk.said[..], [Output::Renewed(_)]), "{:?}", desk.said);
        desk.input(Input::Stored);
        assert_eq!((desk.machine.clock().ahead(desk.now), desk.unix()), (Some(ahead), right));
        assert!(desk.machine.is_fresh(desk.now) && desk.machine.trouble().is_none());
        assert!(desk.wait() >= Duration::from_mins(30), "it rests as ever");
        // Set right: it goes by itself, and by nothing that was said before.
        desk.http.clear();
        let now = UnixTime(desk.unix().0 + 5);
        desk.clock(WallClock::new(desk.now, now));
        assert_eq!((desk.machine.clock().ahead(desk.now), desk.unix()), (None, now));
    }
}

/// Invalid dates cost attempts, and those are limited (ROT-3).
#[test]
fn dates_that_jump_do_not_make_it_hurry() {
    let mut desk = Harness::started(0);
    desk.input(Input::RenewNow);
    for jump in 1..=20_u64 {
        let Some((effect_id, _)) = desk.http.pop() else { break };
        let body = SecretBytes::new(r#"{"status":401,"title":"no","reason":"token_not_yet_valid"}"#);
        let answer = HttpAnswer { status: 401, retry_after: None, date: Some(UNIX.plus(jump % 2 * 3_600)), body };
        desk.input(Input::Io(IoEvent::Answered(effect_id, answer)));
        assert!(jump <= 12, "more than twelve attempts in an hour");
    }
    assert!(desk.http.is_empty());
}

/// What the platform states elsewhere counts as well.
#[test]
fn the_time_may_come_with_another_answer() {
    let mut desk = Harness::started(0);
    desk.input(Input::Stated(UNIX.plus(20)));
    assert_eq!(desk.machine.clock().ahead(desk.now), None);
    desk.input(Input::Stated(UNIX.plus(7_200)));
    assert_eq!(desk.machine.clock().ahead(desk.now), Some(-7_200));
    assert_eq!(desk.http.len(), 1, "by that it is time to renew");
}

/// A date of the far future, which anything on the way can write into a plain answer, is not the end; nor is an own clock that is
/// there.
#[test]
fn no_single_clock_makes_it_lapse() {
    let later = UNIX.plus(2 * testing::RENEWABLE);
    let mut forged = Harness::started(0);
    forged.input(Input::Stated(later));
    assert!(!forged.machine.has_lapsed() && forged.http.len() == 1, "it only renews too early");
    forged.judge(UNIX, &token(1, UNIX));
    assert_eq!((forged.machine.clock().ahead(forged.now), forged.machine.has_lapsed()), (None, false));
    let mut ahead = Harness::started(2 * testing::RENEWABLE);
    assert!(ahead.machine.has_lapsed(), "as far as is known");
    ahead.input(Input::Stated(UNIX.plus(60)));
    assert!(!ahead.machine.has_lapsed());
}
