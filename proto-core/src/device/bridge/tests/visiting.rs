//! A viewer asks a daemon for a session's key: which viewers get it, and which are refused with a reason.

use super::*;
use crate::{
    crypto::Identity,
    effect::NetFault,
    noise::{
        Noise,
        handshake::{HANDSHAKE_TIMEOUT, responder},
    },
    wire::{Answer, KeyAnswer, KeyRequest, Refused},
};

const VIEWER: u64 = 7;

fn peer(body: Vec<u8>) -> Frame {
    Frame { head: Head::Peer { session: numbered(1), viewer: VIEWER }, body: body.into() }
}

/// A viewer with these claims and this key sends message 1; what it is answered once the platform's keys were looked up.
fn answered(claims: &Claims, viewer: &Identity, has_keys: bool) -> (Bench, Symbolic, Option<Answer>) {
    let mut bench = Bench::up();
    bench.know(numbered(1));
    bench.heard();
    let preamble = Preamble { suite: Suite::IkAesGcm, role: Role::Peer };
    let keys = InitiatorKeys { preamble, local: viewer.static_keys(), responder: device().static_key(), psk: None };
    let hello = Hello { token: jose::sign(claims, &signer()), software: "viewer".into() };
    let (mut noise, message_1) = Symbolic::initiate(keys, Entropy::new([8; 32]), &hello.encode()).unwrap();
    bench.tell(peer(message_1));
    assert_eq!(bench.heard(), [], "nothing is said before the key is looked up");
    let effect_id = EffectId::Keys(keyset::EffectId(1));
    bench.input(Input::Io(if has_keys {
        IoEvent::Answered(effect_id, key_set())
    } else {
        IoEvent::Unanswered(effect_id, NetFault::Dns)
    }));
    let message_2 = bench.heard().pop();
    let answer = message_2.and_then(|frame| Answer::decode(&noise.read_answer(&frame.body).unwrap()).ok());
    (bench, noise, answer)
}

fn of_a_viewer() -> Claims {
    Claims { role: DeviceKind::Viewer, ..claims(1, UNIX) }
}

/// WIRE section 8, ADM-4: the key goes to a viewer of the same org, whose credential names the key that it proved, and to no other
/// peer.
#[test]
fn only_a_viewer_of_the_org_is_let_in() {
    let viewer = of_a_viewer();
    assert!(matches!(answered(&viewer, &device(), true).2, Some(Answer::Welcome(_))));
    let another = Identity::from_seed(Secret::new([77; 32]));
    let other_org = Claims { org: "OTHER".parse().unwrap(), ..viewer.clone() };
    for (claims, identity, has_keys, reason) in [
        (Claims { role: DeviceKind::Daemon, ..viewer.clone() }, device(), true, Reason::TokenWrongAudience),
        (other_org.clone(), device(), true, Reason::TokenWrongAudience),
        (Claims { role: DeviceKind::Daemon, ..other_org }, device(), true, Reason::TokenWrongAudience),
        (viewer.clone(), another, true, Reason::TokenKeyMismatch),
        (viewer, device(), false, Reason::JwksUnreachable),
    ] {
        let (_, _, answer) = answered(&claims, &identity, has_keys);
        assert_eq!(answer, Some(Answer::Refused(Refused { reason, retry_after: 0 })));
    }
}

/// WIRE section 8: a visitor that was let in asks for the key of the session that it named, and gets that one; it may ask again.
#[test]
fn a_visitor_is_given_the_key_of_its_session() {
    let (mut bench, mut noise, _) = answered(&of_a_viewer(), &device(), true);
    for _ in 0..2 {
        let mut request = Vec::new();
        noise.seal(&KeyRequest { session: numbered(1) }.encode(), &mut request).unwrap();
        bench.tell(peer(request));
        let mut answer = Vec::new();
        noise.open(&bench.heard().remove(0).body, &mut answer).unwrap();
        assert_eq!(KeyAnswer::decode(&answer), Ok(KeyAnswer { epoch: 0, secret: Secret::new([1; 32]) }));
    }
    assert_eq!(bench.stats(), [0, 0, 0]);
    let mut request = Vec::new();
    noise.seal(&KeyRequest { session: numbered(2) }.encode(), &mut request).unwrap();
    bench.tell(peer(request));
    assert_eq!((bench.heard(), bench.stats()), (vec![], [0, 0, 1]), "it may not have another session's key");
}

/// Asks for the key of session 1; what the daemon answers.
fn request(bench: &mut Bench, noise: &mut Symbolic) -> Vec<Frame> {
    let mut request = Vec::new();
    noise.seal(&KeyRequest { session: numbered(1) }.encode(), &mut request).unwrap();
    bench.tell(peer(request));
    bench.heard().into_iter().filter(|frame| matches!(frame.head, Head::Peer { .. })).collect()
}

/// WIRE section 8, L8: a visitor that does not confirm its handshake within ten seconds is forgotten.
#[test]
fn a_visitor_that_does_not_confirm_is_forgotten() {
    let (mut bench, mut noise, _) = answered(&of_a_viewer(), &device(), true);
    let deadline = bench.bridge.key_requests.next_deadline().unwrap();
    assert_eq!((deadline.at, deadline.timer), (START.after(HANDSHAKE_TIMEOUT), responder::Timer::Confirmation));
    bench.bridge.handle_timeout(deadline.at);
    assert_eq!(bench.bridge.key_requests.next_deadline(), None);
    assert_eq!((request(&mut bench, &mut noise), bench.stats()), (vec![], [0, 0, 1]));
}

/// A visitor that has confirmed its handshake is not: it may ask again later.
#[test]
fn a_visitor_that_confirmed_stays() {
    let (mut bench, mut noise, _) = answered(&of_a_viewer(), &device(), true);
    assert_eq!(request(&mut bench, &mut noise).len(), 1);
    assert_eq!(bench.bridge.key_requests.next_deadline(), None);
    bench.bridge.handle_timeout(START.after(HANDSHAKE_TIMEOUT));
    assert_eq!((request(&mut bench, &mut noise).len(), bench.stats()), (1, [0, 0, 0]));
}

/// WIRE section 8, NOI-2: the first message after message 2 that does not open ends the handshake; inside it changes nothing.
#[test]
fn garbage_ends_a_handshake_that_is_not_confirmed() {
    for is_inside in [false, true] {
        let (mut bench, mut noise, _) = answered(&of_a_viewer(), &device(), true);
        if is_inside {
            assert_eq!(request(&mut bench, &mut noise).len(), 1);
        }
        bench.tell(peer(b"garbage".to_vec()));
        assert_eq!(bench.stats(), [0, 0, 1]);
        assert_eq!(request(&mut bench, &mut noise).len(), usize::from(is_inside));
    }
}

/// What comes while a visitor's credential is being decided about is ignored, and counted once.
#[test]
fn a_visitor_waits_for_the_decision() {
    let mut bench = Bench::up();
    bench.know(numbered(1));
    bench.tell(peer(knock(Role::Peer, Suite::IkAesGcm).to_vec()));
    bench.heard();
    let before = bench.bridge.ignored();
    bench.tell(peer(b"too early".to_vec()));
    assert_eq!((bench.bridge.ignored(), bench.stats()), (before + 1, [0, 0, 0]));
    bench.input(Input::Io(IoEvent::Answered(EffectId::Keys(keyset::EffectId(1)), key_set())));
    assert_eq!(bench.heard().len(), 1);
}

/// D7: why the link is not up is there to be shown.
#[test]
fn the_links_trouble_is_the_bridges() {
    let mut bench = Bench::new();
    bench.bridge.handle_timeout(START);
    assert_eq!(bench.bridge.trouble(), None);
    bench.input(Input::Io(IoEvent::Closed(EffectId::Link, Closed::Fault(NetFault::Refused))));
    let [.., Output::Down(reason)] = bench.said[..] else { panic!("{:?}", bench.said) };
    assert_eq!(bench.bridge.trouble(), Some(reason));
}
