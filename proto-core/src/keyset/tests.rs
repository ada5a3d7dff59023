use alloc::{vec, vec::Vec};

use super::*;
use crate::{effect::NetFault, jose::SigningKey, secret::Secret};

const START: Instant = Instant::from_nanos(5);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([seed; 32]))
}

fn document(seeds: &[u8]) -> HttpAnswer {
    let keys: JwkSet = seeds.iter().map(|seed| key(*seed).public_key()).collect();
    answer(200, &keys.to_json())
}

fn answer(status: u16, body: &str) -> HttpAnswer {
    HttpAnswer { status, retry_after: None, date: None, body: crate::secret::SecretBytes::new(body) }
}

/// A key set on a virtual clock, with an endpoint that the test plays.
struct Harness {
    now: Instant,
    machine: KeySet,
    asked: Vec<EffectId>,
    said: Vec<Output>,
}

impl Harness {
    fn new() -> Self {
        let machine = KeySet::new(START, "https://viewport.example/jwks.json".into(), JitterRng::new(1));
        let mut desk = Self { now: START, machine, asked: vec![], said: vec![] };
        desk.drain();
        desk
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Effect(Effect::Http(id, request)) => {
                    assert_eq!((request.method, &*request.url), (Method::Get, "https://viewport.example/jwks.json"));
                    assert_eq!(request.max_answer, 65_536, "L8: a longer document is not read");
                    self.asked.push(id);
                }
                other => self.said.push(other),
            }
        }
    }

    fn input(&mut self, input: Input) {
        self.machine.handle_input(self.now, input).unwrap();
        self.drain();
    }

    fn answer(&mut self, answer: HttpAnswer) -> Vec<Output> {
        let id = *self.asked.last().unwrap();
        self.input(Input::Io(IoEvent::Answered(id, answer)));
        mem::take(&mut self.said)
    }

    fn fail(&mut self) -> Vec<Output> {
        let id = *self.asked.last().unwrap();
        self.input(Input::Io(IoEvent::Unanswered(id, NetFault::Refused)));
        mem::take(&mut self.said)
    }

    fn look(&mut self, lookup: u64, seed: u8) -> Vec<Output> {
        self.input(Input::Look { lookup: LookupId(lookup), kid: key(seed).kid() });
        mem::take(&mut self.said)
    }

    fn wait(&mut self, wait: Duration) {
        let until = self.now.after(wait);
        while let Some(deadline) = self.machine.poll_timeout().filter(|deadline| deadline.at <= until) {
            self.now = self.now.max(deadline.at);
            self.machine.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }
}

fn found(lookup: u64, seed: u8) -> Output {
    Output::Found { lookup: LookupId(lookup), key: key(seed).public_key() }
}

fn unknown(lookup: u64) -> Output {
    Output::Unknown { lookup: LookupId(lookup) }
}

fn unreachable(lookup: u64) -> Output {
    Output::Unreachable { lookup: LookupId(lookup) }
}

/// S181: one fetch serves for an hour; a lookup before its end waits for it.
#[test]
fn keys_are_fetched_once_an_hour() {
    let mut desk = Harness::new();
    assert_eq!(desk.asked.len(), 1);
    assert!(desk.look(1, 1).is_empty());
    assert_eq!(desk.answer(document(&[1, 2])), [Output::Refreshed { keys: 2 }, found(1, 1)]);
    assert_eq!(desk.look(2, 2), [found(2, 2)]);
    desk.wait(Duration::from_secs(59 * 60 - 1));
    assert_eq!(desk.asked.len(), 1);
    desk.wait(Duration::from_secs(1));
    assert_eq!(desk.asked.len(), 2);
    assert_eq!(desk.look(3, 1), [found(3, 1)], "keys are used while newer ones are fetched");
    assert!(!desk.machine.is_stale(desk.now));
}

/// JWT-5: a key that the platform dropped is not used once the hour is over.
#[test]
fn a_dropped_key_is_gone_with_the_next_set() {
    let mut desk = Harness::new();
    desk.answer(document(&[1, 2]));
    desk.wait(REFRESH_AFTER);
    desk.answer(document(&[2]));
    assert_eq!(desk.look(1, 1), [unknown(1)]);
    assert_eq!(desk.look(2, 2), [found(2, 2)]);
}

/// D8: a platform that rotated its key is noticed at once, not within the hour.
#[test]
fn an_unknown_key_brings_the_fetch_forward() {
    let mut desk = Harness::new();
    desk.answer(document(&[1]));
    desk.wait(Duration::from_mins(5));
    assert!(desk.look(1, 2).is_empty());
    assert!(desk.look(2, 3).is_empty());
    assert_eq!(desk.asked.len(), 2);
    assert_eq!(desk.answer(document(&[1, 2])), [Output::Refreshed { keys: 2 }, found(1, 2), unknown(2)]);
}

/// JWT-5: whatever is looked up, and however often, there are at most six fetches a minute.
#[test]
fn unknown_keys_do_not_hammer_the_endpoint() {
    let mut desk = Harness::new();
    desk.answer(document(&[1]));
    let before = desk.asked.len();
    for lookup in 0..600 {
        desk.wait(Duration::from_millis(100));
        desk.look(lookup, 9);
        if desk.machine.poll_timeout().is_none() {
            desk.answer(document(&[1]));
        }
    }
    let fetches = desk.asked.len() - before;
    assert!((5..=6).contains(&fetches), "{fetches}");
}

#[test]
fn a_lookup_that_may_not_fetch_is_answered_at_once() {
    let mut desk = Harness::new();
    desk.answer(document(&[1]));
    assert_eq!(desk.look(1, 9), [unknown(1)]);
    let mut never = Harness::new();
    never.fail();
    assert_eq!(never.look(1, 9), [unreachable(1)]);
}

/// Keys that are held go on being used while the endpoint is down, and that is said; a day later it is over.
#[test]
fn stale_keys_serve_while_the_endpoint_is_down() {
    let mut desk = Harness::new();
    desk.answer(document(&[1]));
    let fetched = desk.now;
    desk.wait(REFRESH_AFTER);
    assert_eq!(desk.fail(), [Output::Stale { since: Some(fetched), reason: Reason::JwksUnreachable }]);
    desk.wait(Duration::from_mins(2));
    assert!(desk.machine.is_stale(desk.now));
    assert_eq!(desk.look(1, 1), [found(1, 1)]);
    let mut answers = desk.look(2, 2);
    if answers.is_empty() {
        answers = desk.fail();
    }
    assert!(answers.contains(&unreachable(2)), "it is unknown whether that key exists: {answers:?}");

    desk.now = fetched.after(MAX_STALE);
    let mut answers = desk.look(3, 1);
    if answers.is_empty() {
        answers = desk.fail();
    }
    assert!(answers.contains(&unreachable(3)));
}

#[test]
fn it_recovers_by_itself() {
    let mut desk = Harness::new();
    for attempt in 1..=5 {
        assert_eq!(desk.fail(), [Output::Stale { since: None, reason: Reason::JwksUnreachable }]);
        assert_eq!(desk.asked.len(), attempt);
        desk.wait(BACKOFF.cap + FETCH_INTERVAL);
        assert_eq!(desk.asked.len(), attempt + 1, "one fetch at a time");
    }
    assert_eq!(desk.answer(document(&[1])), [Output::Refreshed { keys: 1 }]);
    assert_eq!(desk.look(1, 1), [found(1, 1)]);
}

#[test]
fn what_is_no_key_set_changes_nothing() {
    for (bad, reason) in [
        (answer(200, "<html>sign in</html>"), Reason::PlatformAnswerInvalid),
        (answer(200, r#"{"keys":[]}"#), Reason::PlatformAnswerInvalid),
        (answer(404, "{}"), Reason::PlatformAnswerInvalid),
        (answer(302, ""), Reason::PlatformAnswerInvalid),
        (answer(503, ""), Reason::JwksUnreachable),
    ] {
        let mut desk = Harness::new();
        desk.answer(document(&[1]));
        let fetched = desk.now;
        desk.wait(REFRESH_AFTER);
        assert_eq!(desk.answer(bad), [Output::Stale { since: Some(fetched), reason }]);
        assert_eq!(desk.look(1, 1), [found(1, 1)]);
    }
}

#[test]
fn stale_answers_are_ignored_and_counted() {
    let mut desk = Harness::new();
    let first = desk.asked[0];
    desk.input(Input::Io(IoEvent::Answered(EffectId(99), document(&[1]))));
    desk.answer(document(&[1]));
    desk.input(Input::Io(IoEvent::Answered(first, document(&[2]))));
    assert_eq!(desk.machine.ignored(), 2);
    assert_eq!(desk.look(1, 1), [found(1, 1)]);
}

/// L8.
#[test]
fn the_lookups_that_wait_are_bounded() {
    let mut desk = Harness::new();
    for lookup in 0..MAX_WAITING as u64 {
        assert!(desk.look(lookup, 1).is_empty());
    }
    assert_eq!(desk.look(u64::MAX, 1), [unreachable(u64::MAX)]);
    assert_eq!(desk.answer(document(&[1])).len(), MAX_WAITING + 1);
}
