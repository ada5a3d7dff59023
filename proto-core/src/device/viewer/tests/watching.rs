//! One session that is watched: its key, its records, its end, and what comes in between.

use super::*;
use crate::{
    crypto::seal::{EpochSecret, Scope, Sealer},
    device::viewer::watched::ANSWER_TIMEOUT,
    noise::{Noise, handshake::MAX_GARBAGE},
    secret::Secret,
    wire::{Content, KeyAnswer, KeyRequest, Outcome, Record, Welcome},
};

const SESSION: SessionId = SessionId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// The viewer sent message 1; the daemon's end of the handshake, and its answer.
fn knocked() -> (Bench, Symbolic, Frame) {
    let mut bench = Bench::up();
    bench.watch(&claims(1, UNIX));
    let (noise, answer) = welcomed(&bench.heard().remove(0).body);
    (bench, noise, answer)
}

fn welcomed(send_first_message: &[u8]) -> (Symbolic, Frame) {
    let (mut noise, _) = Symbolic::respond(device().static_keys(), Entropy::new([8; 32]), send_first_message).unwrap();
    let welcome = Answer::Welcome(Welcome { frame_max: 65_536, time: UNIX.0, software: "vpd".into() });
    let answer = peer(noise.answer(None, &welcome.encode()).unwrap());
    (noise, answer)
}

fn peer(body: Vec<u8>) -> Frame {
    Frame { head: Head::Peer { session: SESSION, viewer: 0 }, body: body.into() }
}

/// The viewer has the session's key; what seals its records.
fn reading() -> (Bench, Sealer) {
    let (mut bench, mut noise, answer) = knocked();
    bench.tell(answer);
    let mut request = Vec::new();
    noise.open(&bench.heard().remove(0).body, &mut request).unwrap();
    assert_eq!(KeyRequest::decode(&request), Ok(KeyRequest { session: SESSION }));
    let secret = Secret::new([7; 32]);
    let mut key = Vec::new();
    noise.seal(&KeyAnswer { epoch: 0, secret: secret.clone() }.encode(), &mut key).unwrap();
    bench.tell(peer(key));
    assert_eq!(bench.heard(), [Head::Resume { session: SESSION, next: 0 }.into()]);
    let scope = Scope { org: "ORG".parse().unwrap(), session: SESSION, cipher: Cipher::ChaCha20Poly1305 };
    (bench, Sealer::new(&PureRust, scope, 0, EpochSecret::new(secret), 0))
}

fn output(text: &'static str) -> Record {
    Record { at: core::time::Duration::ZERO, content: Content::Output(Bytes::from_static(text.as_bytes())) }
}

fn exit() -> Record {
    Record { at: core::time::Duration::ZERO, content: Content::Exit { status: 0 } }
}

fn sealed(sealer: &mut Sealer, sequence: u64, record: &Record) -> Frame {
    let mut body = Vec::new();
    sealer.seal(sequence, &record.encode(), &mut body).unwrap();
    Frame { head: Head::Data { session: SESSION, epoch: 0, sequence }, body: body.into() }
}

fn end(next: u64, outcome: Outcome) -> Head {
    Head::End { session: SESSION, next, outcome }
}

fn shown(record: Record) -> Output {
    Output::Record(SESSION, record)
}

/// SES-1, SES-4: records are shown in their order, each once, and the end when all of them were there.
#[test]
fn records_are_shown_once_and_in_order() {
    let (mut bench, mut sealer) = reading();
    let records = [sealed(&mut sealer, 0, &output("a")), sealed(&mut sealer, 1, &output("b")), sealed(&mut sealer, 2, &exit())];
    for n in [0, 0, 1, 0, 1, 2, 1] {
        bench.tell(records[n].clone());
    }
    bench.tell(end(3, Outcome::Exited));
    let over = Output::Ended(SESSION, Outcome::Exited);
    assert_eq!(bench.said, [shown(output("a")), shown(output("b")), shown(exit()), over]);
    bench.tell(end(3, Outcome::Exited));
    bench.tell(records[0].clone());
    assert_eq!(bench.said.len(), 4, "it is over");
}

/// SES-4: a record that is left out, changed, or of another place is found out, and nothing of the session is shown any more.
#[test]
fn a_forged_record_ends_the_viewing() {
    for n in 0..3 {
        let (mut bench, mut sealer) = reading();
        let first = sealed(&mut sealer, 0, &output("a"));
        bench.tell(first.clone());
        let second = sealed(&mut sealer, 1, &output("b"));
        let forged = [
            sealed(&mut sealer, 2, &output("c")),
            Frame { body: Bytes::from_static(&[0; 40]), ..second.clone() },
            Frame { body: first.body, ..second.clone() },
        ];
        bench.tell(forged[n].clone());
        bench.tell(second);
        assert_eq!(bench.said, [shown(output("a")), Output::Failed(SESSION, Reason::RecordForged)], "{n}");
    }
}

/// SES-4: a relay can say that a stream was cut, but neither that records never were nor that the command ended: that is
/// sealed.
#[test]
fn a_relay_cannot_make_up_an_end() {
    let said = |records: &[Record], head| {
        let (mut bench, mut sealer) = reading();
        for (n, record) in (0..).zip(records) {
            bench.tell(sealed(&mut sealer, n, record));
        }
        bench.tell(head);
        bench.said.pop()
    };
    let (over, forged) = (|outcome| Some(Output::Ended(SESSION, outcome)), Some(Output::Failed(SESSION, Reason::RecordForged)));
    assert_eq!(said(&[output("a"), exit()], end(2, Outcome::Exited)), over(Outcome::Exited));
    assert_eq!(said(&[output("a")], end(1, Outcome::Cut)), over(Outcome::Cut));
    assert_eq!(said(&[output("a")], end(1, Outcome::Exited)), forged);
    assert_eq!(said(&[exit(), output("a")], end(2, Outcome::Exited)), forged, "the latest record says it");
    for outcome in [Outcome::Exited, Outcome::Cut] {
        assert_eq!(said(&[output("a"), exit()], end(3, outcome)), forged);
        assert_eq!(said(&[output("a"), exit()], end(1, outcome)), forged);
    }
}

/// Who has seen enough of a session reads no more of it, and may begin again from its first record.
#[test]
fn a_session_may_be_left_and_watched_again() {
    let (mut bench, mut sealer) = reading();
    let records = [sealed(&mut sealer, 0, &output("a")), sealed(&mut sealer, 1, &output("b"))];
    bench.tell(records[0].clone());
    bench.input(Input::Leave(SESSION));
    assert_eq!(bench.heard(), [Head::Resume { session: SESSION, next: u64::MAX }.into()]);
    bench.tell(records[1].clone());
    bench.tell(end(2, Outcome::Cut));
    bench.input(Input::Leave(SESSION));
    assert_eq!((bench.heard(), &*bench.said), (vec![], &[shown(output("a"))][..]));
    bench.input(Input::Watch(SESSION));
    assert!(matches!(bench.heard()[..], [Frame { head: Head::Peer { .. }, .. }]), "its key is asked for once more");
    bench.input(Input::Leave(numbered(7)));
    assert_eq!(bench.viewer.ignored(), 1, "that session is unknown");
}

/// After a reconnect the relay names the session again: it is read on from the first record that is missing.
#[test]
fn reading_goes_on_where_it_stood() {
    let (mut bench, mut sealer) = reading();
    bench.tell(sealed(&mut sealer, 0, &output("a")));
    bench.tell(Head::Open { session: SESSION, cipher: 2 });
    assert_eq!(bench.heard(), [Head::Resume { session: SESSION, next: 1 }.into()]);
}

/// WIRE section 8: an attacker can send garbage through the relay; the daemon's own answer is still accepted after it.
#[test]
fn garbage_in_place_of_an_answer_changes_nothing() {
    let (mut bench, mut noise, answer) = knocked();
    let garbage = || peer(b"garbage".to_vec());
    bench.tell(garbage());
    assert_eq!(bench.heard(), []);
    bench.tell(answer);
    let request = bench.heard().remove(0).body;
    bench.tell(garbage());
    assert_eq!((bench.heard(), bench.said.len()), (vec![], 0));
    noise.open(&request, &mut Vec::new()).unwrap();
    let mut key = Vec::new();
    noise.seal(&KeyAnswer { epoch: 0, secret: Secret::new([7; 32]) }.encode(), &mut key).unwrap();
    bench.tell(peer(key));
    assert_eq!(bench.heard(), [Head::Resume { session: SESSION, next: 0 }.into()]);
}

/// WIRE section 8: after too much garbage the handshake is lost, and another one begins when the time for the first is over.
#[test]
fn garbage_without_end_does_not_make_the_viewer_ask_faster() {
    let (mut bench, _, answer) = knocked();
    for _ in 0..=MAX_GARBAGE {
        bench.tell(peer(b"garbage".to_vec()));
    }
    bench.tell(answer);
    assert_eq!((bench.heard(), bench.said.len()), (vec![], 0));
    let again = bench.viewer.sessions.next_deadline().unwrap();
    assert_eq!((again.at, again.timer), (START.after(ANSWER_TIMEOUT), Timer::AskAgain));
    bench.viewer.handle_timeout(again.at);
    bench.input(Input::RetryNow);
    let [Frame { head: Head::Peer { .. }, body }] = &bench.heard()[..] else { panic!("no send_first_message") };
    let (_, answer) = welcomed(body);
    bench.tell(answer);
    assert!(matches!(bench.heard()[..], [Frame { head: Head::Peer { .. }, .. }]), "the key is asked for");
}

/// WIRE section 8: a daemon that does not answer within five seconds is asked again, with another handshake; that holds for
/// the handshake and for the key.
#[test]
fn a_daemon_that_does_not_answer_is_asked_again() {
    for answers in [false, true] {
        let (mut bench, _, answer) = knocked();
        if answers {
            bench.tell(answer.clone());
            bench.heard();
        }
        let deadline = bench.viewer.poll_timeout().unwrap();
        assert_eq!(deadline.at, START.after(ANSWER_TIMEOUT));
        assert_eq!(ANSWER_TIMEOUT, core::time::Duration::from_secs(5));
        bench.viewer.handle_timeout(deadline.at);
        while let Some(said) = bench.viewer.poll_output() {
            if let Output::Effect(Effect::Send(_, message)) = said {
                bench.sent.push(message);
            }
        }
        let again = bench.heard();
        assert!(matches!(again[..], [Frame { head: Head::Peer { .. }, .. }]), "{answers}");
        assert_ne!(welcomed(&again[0].body).1, answer);
    }
}

/// A platform that cannot be reached vouches for no daemon, which is no verdict: its keys are asked for again five seconds later.
#[test]
fn a_platform_that_cannot_be_reached_is_asked_again() {
    let mut bench = Bench::up();
    let daemon_token = jose::sign(&claims(1, UNIX), &signer());
    let open = Head::Open { session: SESSION, cipher: 2 };
    bench.tell(Frame { head: open, body: Bytes::copy_from_slice(daemon_token.expose().as_bytes()) });
    bench.heard();
    bench.said.clear();
    bench.input(Input::Watch(SESSION));
    bench.input(Input::Io(IoEvent::Unanswered(EffectId::Keys(keyset::EffectId(1)), crate::effect::NetFault::Dns)));
    assert_eq!((bench.heard(), bench.said.len()), (vec![], 0));
    assert_eq!(bench.viewer.sessions.next_deadline().map(|deadline| deadline.at), Some(START.after(ANSWER_TIMEOUT)));
    bench.viewer.handle_timeout(START.after(ANSWER_TIMEOUT));
    bench.input(Input::Io(IoEvent::Answered(EffectId::Keys(keyset::EffectId(1)), key_set())));
    assert!(bench.said.is_empty());
}
