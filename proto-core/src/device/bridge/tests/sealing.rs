//! D15: each session is sealed to the organization's key, as soon as there is one, until the relay has the envelope.

use super::*;
use crate::{
    api::{Base64url, KeyView},
    device::orgkey,
    effect::HttpAnswer,
    orgkey::{Envelope, Generation, Statement},
    secret::SecretBytes,
};

fn generation() -> Generation {
    Generation::new(Secret::new([5; 32]))
}

fn statement() -> Statement {
    Statement::found(&"ORG".parse().unwrap(), &generation(), &"t1".parse().unwrap(), &Identity::from_seed(Secret::new([8; 32])))
}

/// The platform says what there is of the key, and it is made durable.
fn tell_key(bench: &mut Bench, ask: u32, statements: &[Statement]) {
    let statements = statements.iter().map(|statement| Base64url(statement.encode())).collect();
    let view = KeyView { statements, device: None, waiting: vec![], renew: false, machines: vec![] };
    let body = SecretBytes::new(serde_json::to_vec(&view).unwrap());
    let answer = HttpAnswer { status: 200, retry_after: None, date: None, body };
    bench.input(Input::Io(IoEvent::Answered(EffectId::OrganizationKey(orgkey::EffectId(ask)), answer)));
    if bench.said.iter().any(|said| matches!(said, Output::Keep(_))) {
        bench.input(Input::Kept(true));
    }
    bench.said.clear();
}

/// The envelopes that arrived at the relay, and what they open to.
fn envelopes(bench: &mut Bench) -> Vec<(SessionId, Option<EpochSecret>)> {
    let open = |frame: Frame| match frame.head {
        Head::Envelope { session } => {
            let envelope = Envelope::decode(&frame.body).unwrap();
            assert!(envelope.is_by_its_maker(&"ORG".parse().unwrap(), session));
            assert_eq!(envelope.maker(), device().identity_key());
            Some((session, envelope.open(&"ORG".parse().unwrap(), session, &generation())))
        }
        _ => None,
    };
    bench.heard().into_iter().filter_map(open).collect()
}

fn secret() -> EpochSecret {
    EpochSecret::new(Secret::new([1; 32]))
}

fn enveloped(session: SessionId, is_durable: bool) -> Head {
    Head::Enveloped { session, is_durable }
}

/// Sessions from before there was a key get their envelopes as soon as there is one; a new session at once.
#[test]
fn sessions_are_sealed_once_there_is_a_key() {
    let mut bench = Bench::up();
    bench.know(numbered(1));
    assert_eq!(bench.bridge.without_envelope(), 1);
    tell_key(&mut bench, 1, &[statement()]);
    assert_eq!(envelopes(&mut bench), [(numbered(1), Some(secret()))]);
    bench.tell(enveloped(numbered(1), true));
    assert_eq!(bench.bridge.without_envelope(), 0);
    bench.know(numbered(2));
    bench.input(Input::Attach(SOURCE, numbered(2)));
    bench.input(Input::Frame(SOURCE, Head::Open { session: numbered(2), cipher: 2 }.into()));
    assert_eq!(envelopes(&mut bench), [(numbered(2), Some(secret()))]);
    assert_eq!(bench.bridge.without_envelope(), 1, "until the relay has it");
}

/// SES-3: however many sessions there are, a few envelopes are under way at a time, and in the end each has one.
#[test]
fn a_few_are_under_way_at_a_time() {
    let mut bench = Bench::up();
    for n in 0..30 {
        bench.know(numbered(n));
    }
    tell_key(&mut bench, 1, &[statement()]);
    let (mut under_way, mut sealed) = (Vec::new(), 0);
    loop {
        under_way.extend(envelopes(&mut bench).into_iter().map(|(session, _)| session));
        assert!(under_way.len() <= 8, "{}", under_way.len());
        let Some(session) = under_way.pop() else { break };
        bench.tell(enveloped(session, true));
        sealed += 1;
    }
    assert_eq!((sealed, bench.bridge.without_envelope()), (30, 0));
}

/// One that the relay takes for no session of its own is sent again when that session was opened; it holds nothing else up.
#[test]
fn one_that_came_too_early_comes_again() {
    let mut bench = Bench::up();
    bench.know(numbered(1));
    tell_key(&mut bench, 1, &[statement()]);
    envelopes(&mut bench);
    bench.tell(enveloped(numbered(1), false));
    assert_eq!((envelopes(&mut bench), bench.bridge.without_envelope()), (vec![], 1));
    bench.input(Input::Attach(SOURCE, numbered(1)));
    bench.input(Input::Frame(SOURCE, Head::Open { session: numbered(1), cipher: 2 }.into()));
    assert_eq!(envelopes(&mut bench), [(numbered(1), Some(secret()))]);
}

/// LINK-4: what was under way over a link that broke is sent over the next one, and what the relay has is not.
#[test]
fn a_new_link_carries_what_the_old_one_may_have_lost() {
    let mut bench = Bench::up();
    for n in [1, 2] {
        bench.know(numbered(n));
    }
    tell_key(&mut bench, 1, &[statement()]);
    assert_eq!(envelopes(&mut bench).len(), 2);
    bench.tell(enveloped(numbered(1), true));
    bench.input(Input::Io(IoEvent::Closed(EffectId::Link, Closed::ByPeer(None))));
    bench.said.clear();
    bench.sent.clear();
    bench.input(Input::RetryNow);
    bench.come_up();
    assert_eq!(envelopes(&mut bench), [(numbered(2), Some(secret()))]);
}

/// Where no generation is known when a session begins, the platform is asked at once, and the session is not held up.
#[test]
fn a_session_before_the_key_asks_for_it() {
    let mut bench = Bench::up();
    tell_key(&mut bench, 1, &[]);
    bench.heard();
    bench.know(numbered(1));
    bench.input(Input::Attach(SOURCE, numbered(1)));
    bench.input(Input::Frame(SOURCE, Head::Open { session: numbered(1), cipher: 2 }.into()));
    assert_eq!(bench.heard(), [Head::Open { session: numbered(1), cipher: 2 }.into()]);
    tell_key(&mut bench, 2, &[statement()]);
    assert_eq!(envelopes(&mut bench), [(numbered(1), Some(secret()))]);
}

/// L6: word of a session that is not here is counted.
#[test]
fn word_of_an_unknown_session_is_counted() {
    let mut bench = Bench::up();
    bench.tell(enveloped(numbered(1), true));
    assert_eq!(bench.stats(), [0, 1, 0]);
}
