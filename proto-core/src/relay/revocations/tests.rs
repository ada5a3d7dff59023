use alloc::{string::String, vec, vec::Vec};
use core::mem;

use super::*;
use crate::{effect::NetFault, secret::SecretBytes};

const START: Instant = Instant::from_nanos(5);
const URL: &str = "https://viewport.example/api/relay/revocations";

/// A feed on a virtual clock, with a platform that the test plays.
struct Harness {
    now: Instant,
    machine: RevocationFeed,
    /// When each request was made, its name, and where it goes.
    asked: Vec<(Instant, EffectId, String)>,
    said: Vec<Output>,
}

impl Harness {
    fn new(jitter: JitterRng) -> Self {
        let machine = RevocationFeed::new(START, URL.into(), SecretText::new("shared"), jitter);
        let mut desk = Self { now: START, machine, asked: vec![], said: vec![] };
        desk.drain();
        desk
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Effect(Effect::Http(id, request)) => {
                    let header = |name| request.headers.iter().find(|(named, _)| *named == name).map(|(_, value)| value.expose());
                    assert_eq!((header("Authorization"), header("Prefer")), (Some("Bearer shared"), Some("wait=2")));
                    assert_eq!((request.timeout, request.max_answer), (TIMEOUT, MAX_ANSWER));
                    self.asked.push((self.now, id, request.url));
                }
                other => self.said.push(other),
            }
        }
    }

    fn io_event(&mut self, event: IoEvent<()>) -> Vec<Output> {
        let id = self.asked.last().unwrap().1;
        self.machine.handle_input(self.now, Input::Io(event.with_id(id))).unwrap();
        self.drain();
        mem::take(&mut self.said)
    }

    fn answer(&mut self, status: u16, body: &str) -> Vec<Output> {
        self.io_event(IoEvent::Answered((), HttpAnswer { status, retry_after: None, date: None, body: SecretBytes::new(body) }))
    }

    /// The good answer with this `last` and these targets.
    fn news(&mut self, last: u64, targets: &[&str]) -> Vec<Output> {
        let targets = targets.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(",");
        self.answer(200, &format!(r#"{{"last":{last},"runtime_targets":[{targets}],"organizations":[]}}"#))
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now.after(time);
        while let Some(deadline) = self.machine.poll_timeout().filter(|deadline| deadline.at <= until) {
            self.now = self.now.max(deadline.at);
            self.machine.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn latest_url(&self) -> &str {
        &self.asked.last().unwrap().2
    }
}

fn revoked(targets: &[&str]) -> Output {
    Output::Revoked { targets: targets.iter().map(|id| id.parse().unwrap()).collect(), orgs: vec![] }
}

/// F20: the first answer does not name what was revoked before it, so what was validated before it is validated again.
#[test]
fn the_first_answer_has_everything_validated_again() {
    let mut desk = Harness::new(JitterRng::new(1));
    assert_eq!(desk.latest_url(), URL);
    assert_eq!(desk.news(7, &[]), [Output::Connected, Output::Revalidate]);
    assert_eq!(desk.machine.place(), FeedCursor::After(7));
    desk.pass(QUIET);
    assert_eq!(desk.latest_url(), "https://viewport.example/api/relay/revocations?after=7");
    assert_eq!(desk.news(7, &[]), []);
}

/// D3: what was revoked is told, and the next request is made at once, from there.
#[test]
fn revocations_are_reported_and_followed_by_a_request_at_once() {
    let mut desk = Harness::new(JitterRng::new(1));
    desk.news(0, &[]);
    desk.pass(QUIET);
    assert_eq!(desk.news(2, &["r1", "r2"]), [revoked(&["r1", "r2"])]);
    assert_eq!((desk.asked.len(), desk.latest_url()), (3, "https://viewport.example/api/relay/revocations?after=2"));
    let body = r#"{"last":3,"runtime_targets":[],"organizations":["org"]}"#;
    assert_eq!(desk.answer(200, body), [Output::Revoked { targets: vec![], orgs: vec!["org".parse().unwrap()] }]);
    assert_eq!(desk.machine.place(), FeedCursor::After(3));
}

/// D3: a platform that was restored from a copy does not know what it said; what was validated before counts no more.
#[test]
fn a_feed_that_begins_anew_has_everything_validated_again() {
    let mut desk = Harness::new(JitterRng::new(1));
    desk.news(9, &[]);
    desk.pass(QUIET);
    assert_eq!(desk.news(4, &["r1"]), [Output::Connected, revoked(&["r1"]), Output::Revalidate]);
    assert_eq!(desk.latest_url(), "https://viewport.example/api/relay/revocations?after=4");
}

/// A way in which a request fails, and what is said of it.
type Fail = fn(&mut Harness) -> Vec<Output>;

/// JWT-5: what failed is asked again from the same place, soon, and is said once.
#[test]
fn what_failed_is_asked_again_soon_and_skips_nothing() {
    for jitter in [JitterRng::constant(0), JitterRng::new(3), JitterRng::constant(u64::MAX)] {
        let mut desk = Harness::new(jitter);
        desk.news(5, &[]);
        desk.pass(QUIET);
        let failures: [(Fail, Reason); 6] = [
            (|desk| desk.io_event(IoEvent::Unanswered((), NetFault::TimedOut)), Reason::ValidateUnreachable),
            (|desk| desk.answer(503, ""), Reason::ValidateUnreachable),
            (|desk| desk.answer(302, ""), Reason::ValidateUnreachable),
            (|desk| desk.answer(401, ""), Reason::InternalKeyMismatch),
            (|desk| desk.answer(200, "<html>"), Reason::PlatformAnswerInvalid),
            (|desk| desk.answer(200, r#"{"last":-1,"runtime_targets":[]}"#), Reason::PlatformAnswerInvalid),
        ];
        for (number, (fail, reason)) in failures.iter().enumerate() {
            let (before, at) = (desk.asked.len(), desk.now);
            let expected = if number == 0 { vec![Output::Lost(*reason)] } else { vec![] };
            assert_eq!(fail(&mut desk), expected, "{number}");
            assert_eq!(desk.asked.len(), before, "{number}: not at once");
            desk.pass(BACKOFF.cap);
            assert_eq!(desk.asked.len(), before + 1, "{number}: after a second at the latest");
            assert!(desk.asked[before].0.since(at) >= BACKOFF.base / 2);
            assert_eq!(desk.latest_url(), "https://viewport.example/api/relay/revocations?after=5");
        }
        assert_eq!(desk.news(6, &["r1"]), [Output::Connected, revoked(&["r1"])]);
        assert_eq!(desk.answer(401, ""), [Output::Lost(Reason::InternalKeyMismatch)], "a new outage is said again");
    }
}

/// A platform that answers at once, against the rules, is asked once a second.
#[test]
fn a_platform_that_does_not_wait_is_not_stormed() {
    let mut desk = Harness::new(JitterRng::new(1));
    for _ in 0..60 {
        desk.news(0, &[]);
        desk.pass(QUIET);
    }
    assert_eq!(desk.asked.len(), 61);
    // One that does is asked again at once.
    desk.pass(Duration::from_secs(2));
    desk.news(0, &[]);
    assert_eq!(desk.asked.len(), 62);
}

/// One request at a time: the answer to an earlier one changes nothing.
#[test]
fn answers_to_earlier_requests_are_ignored() {
    let mut desk = Harness::new(JitterRng::new(1));
    let first = desk.asked[0].1;
    desk.io_event(IoEvent::Unanswered((), NetFault::TimedOut));
    let input = || {
        let body = SecretBytes::new(r#"{"last":9,"runtime_targets":["r1"]}"#);
        Input::Io(IoEvent::Answered(first, HttpAnswer { status: 200, retry_after: None, date: None, body }))
    };
    desk.machine.handle_input(desk.now, input()).unwrap();
    desk.pass(BACKOFF.cap);
    desk.machine.handle_input(desk.now, input()).unwrap();
    desk.drain();
    assert_eq!((desk.machine.ignored(), desk.machine.place(), desk.said.len()), (2, FeedCursor::Unknown, 0));
}

/// JWT-5: with the request that stalls, its wait and the way, a revocation is late by five seconds at most.
#[test]
fn a_request_that_stalls_costs_no_more_than_the_bound() {
    let mut desk = Harness::new(JitterRng::constant(u64::MAX));
    desk.news(0, &[]);
    desk.pass(QUIET);
    let at = desk.asked.last().unwrap().0;
    desk.pass(TIMEOUT);
    desk.io_event(IoEvent::Unanswered((), NetFault::TimedOut));
    desk.pass(BACKOFF.base);
    assert!(desk.asked.last().unwrap().0.since(at) + Duration::from_millis(500) < Duration::from_secs(5));
}
