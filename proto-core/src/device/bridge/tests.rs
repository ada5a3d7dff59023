//! What a bridge counts and passes over, and how many it serves.

mod declining;
mod sealing;
mod visiting;

use alloc::{vec, vec::Vec};

use bytes::Bytes;

use super::*;
use crate::{
    Entropy,
    device::uplink::{
        EffectId,
        testing::{RENEWABLE, START, UNIX, claims, device, key_set, record, settings, signer, welcome},
    },
    effect::{Closed, Effect, IoEvent},
    id::DeviceKind,
    jose::{self, Claims},
    keyset,
    noise::{InitiatorKeys, Symbolic, channel::Channel},
    secret::Secret,
    testing::fingerprint,
    wire::{Hello, Outcome, Preamble, Suite},
};

const SOURCE: SourceId = SourceId(1);
const OTHER: SourceId = SourceId(2);

/// A bridge with its relay, which does what a test says.
struct Bench {
    now: Instant,
    bridge: Bridge<Symbolic>,
    relay: Option<Channel<Symbolic>>,
    said: Vec<Output>,
    sent: Vec<Bytes>,
}

impl Bench {
    fn new() -> Self {
        let clock = WallClock::new(START, UNIX);
        let bridge = Bridge::new(START, clock, &record(), device(), None, &settings(), JitterRng::new(1)).unwrap();
        Self { now: START, bridge, relay: None, said: vec![], sent: vec![] }
    }

    fn up() -> Self {
        let mut bench = Self::new();
        bench.come_up();
        bench
    }

    fn come_up(&mut self) {
        self.bridge.handle_timeout(self.now);
        self.input(Input::Io(IoEvent::Connected(EffectId::Link, Entropy::new([4; 32]))));
        let (relay, message_2) = welcome(&self.sent.remove(0));
        self.relay = Some(relay);
        self.input(Input::Io(IoEvent::Received(EffectId::Link, message_2)));
        assert_eq!(self.said.remove(0), Output::Up);
    }

    fn input(&mut self, input: Input) {
        self.bridge.handle_input(self.now, input).unwrap();
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.bridge.poll_output() {
            match output {
                Output::Effect(Effect::Send(EffectId::Link, message)) => self.sent.push(message),
                Output::Effect(_) => {}
                said => self.said.push(said),
            }
        }
    }

    /// The relay says something.
    fn tell(&mut self, frame: impl Into<Frame>) {
        let message = self.relay.as_mut().unwrap().seal(&frame.into()).unwrap();
        self.input(Input::Io(IoEvent::Received(EffectId::Link, message)));
    }

    /// The frames that arrived at the relay.
    fn heard(&mut self) -> Vec<Frame> {
        let relay = self.relay.as_mut().unwrap();
        self.sent.drain(..).map(|message| relay.open(&message).unwrap()).collect()
    }

    fn know(&mut self, session: SessionId) {
        let secret = EpochSecret::new(Secret::new([1; 32]));
        self.input(Input::Know { session, cipher: Cipher::ChaCha20Poly1305, secret });
    }

    fn stats(&self) -> [u64; 3] {
        let Stats { out_of_turn, unknown_session, invalid_peer_messages } = *self.bridge.stats();
        [out_of_turn, unknown_session, invalid_peer_messages]
    }
}

fn numbered(number: usize) -> SessionId {
    SessionId((number as u128).to_be_bytes())
}

fn data(session: SessionId, sequence: u64) -> Frame {
    Frame { head: Head::Data { session, epoch: 0, sequence }, body: Bytes::from_static(b"sealed") }
}

/// ISO-7, L6: what is said of sessions that are not here, or by another peer, is counted each time and goes nowhere.
#[test]
fn what_is_about_no_session_here_is_counted() {
    let mut bench = Bench::up();
    bench.heard();
    let absent = numbered(9);
    bench.know(numbered(1));
    bench.input(Input::Attach(SOURCE, numbered(1)));
    for n in 0..2 {
        bench.input(Input::Attach(SOURCE, absent));
        assert_eq!(bench.stats(), [0, 6 * n + 1, 0]);
        bench.input(Input::Frame(SOURCE, data(absent, 0)));
        assert_eq!(bench.stats(), [0, 6 * n + 2, 0]);
        bench.input(Input::Frame(OTHER, data(numbered(1), 0)));
        assert_eq!(bench.stats(), [0, 6 * n + 3, 0]);
        bench.tell(Head::Resume { session: absent, next: 0 });
        assert_eq!(bench.stats(), [0, 6 * n + 4, 0]);
        bench.tell(Head::Acknowledge { session: absent, next: 0 });
        assert_eq!(bench.stats(), [0, 6 * n + 5, 0]);
        bench.tell(Frame { head: Head::Peer { session: absent, viewer: 1 }, body: Bytes::from_static(b"knock") });
        assert_eq!(bench.stats(), [0, 6 * n + 6, 0]);
    }
    assert_eq!((bench.heard(), bench.said), (vec![], vec![]));
}

/// SES-1: a record or an end that does not continue what the relay has is dropped and counted; it comes again.
#[test]
fn what_is_out_of_turn_is_counted() {
    let session = numbered(1);
    let end = |next| Frame::from(Head::End { session, next, outcome: Outcome::Exited });
    let mut bench = Bench::up();
    bench.know(session);
    bench.input(Input::Attach(SOURCE, session));
    bench.heard();
    bench.input(Input::Frame(SOURCE, data(session, 0)));
    assert_eq!(bench.stats(), [1, 0, 0]);
    bench.tell(Head::Resume { session, next: 3 });
    for frame in [data(session, 2), data(session, 4), end(2), end(4)] {
        bench.input(Input::Frame(SOURCE, frame));
    }
    assert_eq!((bench.stats(), bench.heard()), ([5, 0, 0], vec![]));
    bench.input(Input::Frame(SOURCE, data(session, 3)));
    bench.input(Input::Frame(SOURCE, end(4)));
    assert_eq!((bench.stats(), bench.heard()), ([5, 0, 0], vec![data(session, 3), end(4)]));
}

/// A session that is opened while the link is down is opened when it is up, once.
#[test]
fn an_open_waits_for_the_link() {
    let session = numbered(1);
    let open = Frame::from(Head::Open { session, cipher: 2 });
    let mut bench = Bench::new();
    bench.know(session);
    bench.input(Input::Attach(SOURCE, session));
    bench.input(Input::Frame(SOURCE, open.clone()));
    assert_eq!(bench.stats(), [1, 0, 0]);
    bench.come_up();
    assert_eq!(bench.heard(), [Head::Ping { nonce: 0 }.into(), open.clone()]);
    bench.input(Input::Frame(SOURCE, open.clone()));
    assert_eq!((bench.heard(), bench.stats()), (vec![open], [1, 0, 0]));
}

/// A process that is gone makes no records any more; another one's sessions go on.
#[test]
fn a_source_that_is_gone_is_told_nothing() {
    let mut bench = Bench::up();
    for (source, n) in [(SOURCE, 1), (OTHER, 2)] {
        bench.know(numbered(n));
        bench.input(Input::Attach(source, numbered(n)));
    }
    bench.input(Input::Detach(SOURCE));
    let resume = |n| Frame::from(Head::Resume { session: numbered(n), next: 0 });
    bench.tell(resume(1));
    bench.tell(resume(2));
    assert_eq!((bench.said, bench.bridge.stats().unknown_session), (vec![Output::ToSource(OTHER, resume(2))], 1));
}

/// L8: so many sessions of a binding are known, and one more is counted and is not.
#[test]
fn so_many_sessions_are_known() {
    let mut bench = Bench::up();
    for n in 0..MAX_SESSIONS {
        bench.know(numbered(n));
    }
    assert_eq!(bench.stats(), [0, 0, 0]);
    bench.know(numbered(MAX_SESSIONS));
    assert_eq!(bench.stats(), [0, 1, 0]);
    bench.input(Input::Attach(SOURCE, numbered(MAX_SESSIONS)));
    assert_eq!(bench.stats(), [0, 2, 0]);
    bench.input(Input::Forget(numbered(0)));
    bench.know(numbered(MAX_SESSIONS));
    bench.input(Input::Attach(SOURCE, numbered(MAX_SESSIONS)));
    assert_eq!(bench.stats(), [0, 2, 0]);
}

/// What the relay says of its store is known as long as that link lasts, and no longer.
#[test]
fn a_relay_that_cannot_store_says_so() {
    let mut bench = Bench::up();
    assert_eq!(bench.bridge.trouble(), None);
    bench.tell(Head::Storing { works: false });
    assert_eq!((bench.bridge.trouble(), bench.stats()), (Some(Reason::RelayCannotStore), [0, 0, 0]));
    bench.tell(Head::Storing { works: true });
    assert_eq!(bench.bridge.trouble(), None);
}

/// L4: after the relay's last word nothing is known, attached or counted any more.
#[test]
fn an_ended_bridge_absorbs_everything() {
    let mut bench = Bench::up();
    assert_eq!(bench.bridge.renewable_until(), UNIX.plus(RENEWABLE));
    bench.tell(Head::Revoke { reason: Reason::MachineRevoked });
    bench.input(Input::Io(IoEvent::Closed(EffectId::Link, Closed::ByUs)));
    assert_eq!(bench.bridge.status(), Status::Failed(&Reason::MachineRevoked));
    let before = fingerprint(&bench.bridge);
    bench.know(numbered(1));
    bench.input(Input::Attach(SOURCE, numbered(2)));
    assert_eq!((fingerprint(&bench.bridge), bench.stats()), (before, [0, 0, 0]));
}

/// Message 1 of a viewer to a daemon that has our keys.
fn knock(role: Role, suite: Suite) -> Bytes {
    let psk = Secret::new([5; 32]);
    let psk = (suite.pattern() == crate::wire::Pattern::IkPsk2).then_some(&psk);
    let local = device();
    let preamble = Preamble { suite, role };
    let keys = InitiatorKeys { preamble, local: local.static_keys(), responder: device().static_key(), psk };
    let viewer = Claims { role: DeviceKind::Viewer, ..claims(1, UNIX) };
    let hello = Hello { token: jose::sign(&viewer, &signer()), software: "viewer".into() };
    Symbolic::initiate(keys, Entropy::new([8; 32]), &hello.encode()).unwrap().1.into()
}

/// WIRE section 8, NOI-3: only a peer knocks here, and only with plain IK; the rest is counted and gets no answer.
#[test]
fn strange_visitors_are_counted() {
    let mut bench = Bench::up();
    bench.know(numbered(1));
    bench.heard();
    let peer = |body| Frame { head: Head::Peer { session: numbered(1), viewer: 7 }, body };
    for (n, body) in (1..).zip([
        Bytes::from_static(b"garbage"),
        knock(Role::Viewer, Suite::IkAesGcm),
        knock(Role::Peer, Suite::IkPsk2AesGcm),
        knock(Role::Daemon, Suite::IkPsk2AesGcm),
    ]) {
        bench.tell(peer(body));
        assert_eq!((bench.stats(), bench.heard()), ([0, 0, n], vec![]));
    }
    bench.tell(peer(knock(Role::Peer, Suite::IkAesGcm)));
    bench.input(Input::Io(IoEvent::Answered(EffectId::Keys(keyset::EffectId(1)), key_set())));
    assert_eq!((bench.stats(), bench.heard().len()), ([0, 0, 4], 1));
}

/// L8: so many visitors are served at once; one more takes the place of the quietest, and one of them takes no other's.
#[test]
fn the_quietest_visitor_makes_room() {
    let mut bench = Bench::up();
    bench.know(numbered(1));
    bench.heard();
    let max = key_requests::MAX_KEY_REQUESTS as u64;
    for viewer in (0..max).chain([max; 3]) {
        let head = Head::Peer { session: numbered(1), viewer };
        bench.tell(Frame { head, body: knock(Role::Peer, Suite::IkAesGcm) });
    }
    assert_eq!(bench.heard(), []);
    bench.input(Input::Io(IoEvent::Answered(EffectId::Keys(keyset::EffectId(1)), key_set())));
    let mut answered: Vec<_> = bench
        .heard()
        .into_iter()
        .map(|frame| if let Head::Peer { viewer, .. } = frame.head { viewer } else { panic!("{frame:?}") })
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, (1..=max).collect::<Vec<_>>());
}
