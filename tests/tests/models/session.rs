//! [`Session`] beside [`Stream`].

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use proto_core::{
    Machine, Misuse, SessionId, Status,
    crypto::{
        AeadKey, Cipher, Forged, Nonce, Primitives, PureRust, Tag,
        seal::{EpochSecret, Opener, Scope},
    },
    device::session::{Input, MAX_IN_FLIGHT, MAX_RETAINED, Output, Session},
    key::StaticKey,
    secret::Secret,
    wire::{Content, Frame, Head, Outcome, Record},
};
use verification::models::{
    START,
    bench::Bench,
    config,
    given::{id, secret},
    session::{MAX_RECORD, Stream, pieces},
};

const ID: SessionId = SessionId([7; 16]);

#[derive(Clone, Debug)]
enum Event {
    Push(Content),
    Attach,
    Detach,
    /// The relay answers `Open`: go on from what it has.
    Resume,
    /// The daemon was killed, and the relay lost what it had not acknowledged.
    Forget,
    /// The relay says that so many more records are durable.
    Acknowledge(usize),
    End(Outcome),
    Pass(u64),
}

fn events() -> impl Strategy<Value = Event> {
    let bytes = prop_oneof![8 => 0_usize..80, 2 => 59_990_usize..60_010, 1 => 119_990_usize..180_010];
    let content = (bytes, any::<u8>(), 0_u8..4).prop_map(|(len, fill, kind)| match kind {
        0 => Content::Input(Bytes::from(vec![fill; len])),
        1 => Content::Resize { columns: fill.into(), rows: 7 },
        _ => Content::Output(Bytes::from(vec![fill; len])),
    });
    prop_oneof![
        10 => content.prop_map(Event::Push),
        3 => Just(Event::Attach),
        1 => Just(Event::Detach),
        4 => Just(Event::Resume),
        1 => Just(Event::Forget),
        4 => (0_usize..6).prop_map(Event::Acknowledge),
        1 => proptest::sample::select(&[Outcome::Exited, Outcome::Cut]).prop_map(Event::End),
        3 => (0_u64..100_000).prop_map(Event::Pass),
    ]
}

fn scope(cipher: Cipher) -> Scope {
    Scope { org: id("org"), session: ID, cipher }
}

struct Both {
    bench: Bench<Session>,
    model: Stream,
    opener: Opener,
    /// What each sequence was sealed to: the same bytes whenever it is sent.
    bodies: BTreeMap<u64, Bytes>,
    last_at: Duration,
}

impl Both {
    fn new(primitives: &'static dyn Primitives, cipher: Cipher) -> Self {
        let bench = Bench::new(Session::new(primitives, scope(cipher), EpochSecret::new(secret(1)), START));
        let opener = Opener::new(primitives, scope(cipher), 0, EpochSecret::new(secret(1)));
        Self { bench, model: Stream::default(), opener, bodies: BTreeMap::new(), last_at: Duration::ZERO }
    }

    fn tell(&mut self, input: Input) -> Result<(), Misuse> {
        let frames: Vec<_> = self.bench.try_tell(input)?.iter().map(|(_, Output::Send(frame))| frame.clone()).collect();
        for frame in &frames {
            self.follow(frame);
        }
        Ok(())
    }

    /// A frame arrives at the relay, which takes what fits.
    fn follow(&mut self, frame: &Frame) {
        match &frame.head {
            Head::Open { session, .. } => {
                assert_eq!(*session, ID);
                assert!(self.model.is_open && self.model.cursor.is_none(), "Open, once, when the daemon is there");
            }
            Head::Data { session, epoch, sequence } => {
                assert_eq!(*session, ID);
                let mut plain = Vec::new();
                self.opener.open(*epoch, *sequence, &frame.body, &mut plain).expect("it opens in its place");
                let record = Record::decode(&plain.into()).unwrap();
                self.model.sent(*sequence, &record.content);
                let before = self.bodies.insert(*sequence, frame.body.clone());
                assert!(before.is_none_or(|before| before == frame.body), "WIRE 7: one sequence, one content");
                if before_is_new(&self.bodies, *sequence) {
                    assert!(record.at >= self.last_at, "time does not go back");
                    self.last_at = record.at;
                }
                self.model.stored = self.model.stored.max(usize::try_from(*sequence).unwrap() + 1);
            }
            Head::End { next, .. } => {
                self.model.sent_end(*next);
                self.model.end_stored = true;
            }
            other => panic!("not for a relay: {other:?}"),
        }
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::Push(content) if !self.model.is_ended => {
                // The model first: what is pushed may be sent at once.
                let before = self.model.records.len();
                self.model.push(content);
                let had_room = self.bench.machine.has_room();
                match self.tell(Input::Push(content.clone())) {
                    Ok(()) => assert!(had_room, "SES-3"),
                    Err(Misuse::Full(_)) => {
                        assert!(self.bench.machine.pending_bytes() >= MAX_RETAINED, "SES-3: full too early");
                        self.model.records.truncate(before);
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
            Event::Attach => {
                self.model.attach();
                self.tell(Input::Attached).unwrap();
            }
            Event::Detach => {
                self.model.detach();
                self.tell(Input::Detached).unwrap();
            }
            Event::Resume if self.model.is_open => {
                let next = (self.model.stored + usize::from(self.model.end_stored)) as u64;
                self.model.cursor = Some(self.model.stored);
                self.model.acknowledged = self.model.acknowledged.max(usize::try_from(next).unwrap());
                self.tell(Input::Frame(Head::Resume { session: ID, next }.into())).unwrap();
            }
            Event::Forget if !self.model.is_open => {
                let acknowledged = self.model.acknowledged;
                self.model.end_stored &= acknowledged > self.model.records.len();
                self.model.stored = acknowledged.min(self.model.records.len());
            }
            Event::Acknowledge(more) if self.model.cursor.is_some() => {
                let most = self.model.stored + usize::from(self.model.end_stored);
                self.model.acknowledged = (self.model.acknowledged + more).min(most);
                let next = self.model.acknowledged as u64;
                self.tell(Input::Frame(Head::Acknowledge { session: ID, next }.into())).unwrap();
            }
            Event::End(outcome) => {
                self.model.is_ended = true;
                self.tell(Input::End(*outcome)).unwrap();
            }
            Event::Pass(time) => {
                self.bench.pass(Duration::from_millis(*time));
            }
            Event::Push(_) | Event::Resume | Event::Forget | Event::Acknowledge(_) => {}
        }
        self.compare();
    }

    fn compare(&self) {
        let status = self.bench.machine.status();
        assert_eq!(status == Status::Finished, self.model.is_whole(), "SES-2: {status:?}, {:?}", lens(&self.model));
        if let Some(cursor) = self.model.cursor.filter(|_| !self.model.is_whole()) {
            let on_the_way: usize = (self.model.acknowledged..cursor).map(|place| self.bodies[&(place as u64)].len()).sum();
            assert!(on_the_way <= MAX_IN_FLIGHT + MAX_RECORD + 100, "SES-3: {on_the_way} bytes on their way");
            let is_held_back = on_the_way + MAX_RECORD + 100 > MAX_IN_FLIGHT;
            assert!(is_held_back || cursor == self.model.records.len(), "SES-1: {cursor} of {}", self.model.records.len());
        }
    }
}

fn lens(model: &Stream) -> (usize, usize, usize, bool, bool) {
    (model.records.len(), model.stored, model.acknowledged, model.is_ended, model.end_stored)
}

/// Whether this is the latest record that was ever sent.
fn before_is_new(bodies: &BTreeMap<u64, Bytes>, sequence: u64) -> bool {
    bodies.last_key_value().is_some_and(|(last, _)| *last == sequence)
}

proptest! {
    #![proptest_config(config(128))]

    /// SES-1 to SES-3, S121, S206: what arrives is what was pushed, in order, once, over any number of reconnects; what is not
    /// acknowledged is kept; a push is taken exactly while there is room.
    #[test]
    fn a_session_streams_like_its_model(is_aes in any::<bool>(), events in vec(events(), 0..60)) {
        let cipher = if is_aes { Cipher::Aes256Gcm } else { Cipher::ChaCha20Poly1305 };
        let mut both = Both::new(&PureRust, cipher);
        for event in &events {
            both.hear(event);
        }
        // Whatever happened, it comes to its end once the relay is there.
        for event in [Event::Attach, Event::Resume, Event::End(Outcome::Exited)] {
            both.hear(&event);
        }
        for _ in 0..100 {
            both.hear(&Event::Acknowledge(50));
        }
        prop_assert_eq!(both.bench.machine.status(), Status::Finished);
        prop_assert_eq!(both.model.stored, both.model.records.len());
    }
}

/// A cipher that changes nothing: for what has to be fast and is about lengths.
#[derive(Debug)]
struct Clear;

impl AeadKey for Clear {
    fn seal(&self, _: &Nonce, _: &[u8], _: &mut [u8]) -> Tag {
        [0; 16]
    }

    fn open(&self, _: &Nonce, _: &[u8], _: &mut [u8], _: &Tag) -> Result<(), Forged> {
        Ok(())
    }
}

impl Primitives for Clear {
    fn aead(&self, _: Cipher, _: &Secret) -> Arc<dyn AeadKey> {
        Arc::new(Self)
    }

    fn x25519_public(&self, private: &Secret) -> StaticKey {
        PureRust.x25519_public(private)
    }

    fn x25519(&self, private: &Secret, public: StaticKey) -> Option<Secret> {
        PureRust.x25519(private, public)
    }
}

/// SES-4, enumerated: content of every size from nothing to two records and a byte is cut and joined without a loss, into as
/// few records as there can be.
#[test]
fn every_size_is_cut_and_joined() {
    let all = Bytes::from((0..=2 * MAX_RECORD).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<_>>());
    let mut session = Session::new(&Clear, scope(Cipher::Aes256Gcm), EpochSecret::new(secret(1)), START);
    session.handle_input(START, Input::Attached).unwrap();
    session.handle_input(START, Input::Frame(Head::Resume { session: ID, next: 0 }.into())).unwrap();
    while session.poll_output().is_some() {}
    let mut next = 0;
    for len in 0..=2 * MAX_RECORD + 1 {
        let content = all.slice(..len);
        session.handle_input(START, Input::Push(Content::Output(content.clone()))).unwrap();
        let mut from = 0;
        let mut count = 0;
        while let Some(Output::Send(Frame { head: Head::Data { sequence, .. }, body })) = session.poll_output() {
            assert_eq!(sequence, next);
            // Nothing is changed in sealing: time and kind in front, 16 bytes of tag behind.
            let payload = &body[2..body.len() - 16];
            assert_eq!((&body[..2], payload), (&[0, 1][..], &content[from..from + payload.len()]), "SES-4: {len}");
            assert!(payload.len() <= MAX_RECORD);
            (from, count, next) = (from + payload.len(), count + 1, next + 1);
        }
        assert_eq!((from, count), (len, len.div_ceil(MAX_RECORD)), "SES-4: {len}");
        session.handle_input(START, Input::Frame(Head::Acknowledge { session: ID, next }.into())).unwrap();
        assert_eq!(session.pending_bytes(), 0);
    }
}

/// SES-4: a record is no longer than it may be, and the model cuts like that, too.
#[test]
fn pieces_are_whole() {
    let content = Content::Output(Bytes::from(vec![1; MAX_RECORD + 1]));
    let lens: Vec<_> =
        pieces(&content).iter().map(|piece| if let Content::Output(bytes) = piece { bytes.len() } else { 0 }).collect();
    assert_eq!(lens, [MAX_RECORD, 1]);
}
