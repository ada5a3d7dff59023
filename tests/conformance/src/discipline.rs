//! How an adapter shares its time: nothing is starved, nothing piles up, nothing is lost when a wait is given up.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use io_engine::{Home, Network};
use proto_core::{
    Deadline, Instant,
    effect::{Close, Closed, Connect, Effect, IoEvent, StateFile},
    secret::SecretBytes,
};

use crate::{
    Id, PATIENCE, Subject,
    http::{echo, get, pattern, post},
    peer::{Far, Peer, gate, identity},
    subject,
    websocket::open,
};

const LIMIT: usize = 300_000;

/// Within so many events of a flood everything else has its turn. A runtime whose sockets are watched by a thread of their own has
/// to wait for that thread, so this is far from the few hundred that it takes on an idle processor.
const TURNS: u32 = 1_000_000;

/// What the sockets of both sides and an adapter may hold of a flood, in bytes.
const HELD: usize = 24 << 20;

/// An unmasked binary frame, again and again, until the client hangs up. Gives how many bytes were taken.
fn flood(far: Far, payload: u8) -> usize {
    let mut frame = vec![0x82, payload];
    frame.extend(std::iter::repeat_n(7, payload.into()));
    far.upgrade(LIMIT).into_bytes().pour(&frame.repeat(64))
}

fn connect(peer: &Peer) -> Connect {
    Connect { url: peer.url("ws"), timeout: PATIENCE, max_message: LIMIT }
}

/// Polls once, and lets go.
fn glimpse<S: Subject>(subject: &mut S) -> Option<IoEvent<Id>> {
    subject.next(Some(Deadline::new(Instant::ZERO, "a glimpse")))
}

/// While one WebSocket floods, another one, a request, a file and a timer make progress.
pub fn a_flood_starves_no_other_effect<S: Subject>() {
    let folder = tempfile::tempdir().unwrap();
    let mut subject = S::start(Some(Home::at(folder.path().join("home"))), Network::default());
    let (opener, gate) = gate();
    let calm = Peer::plain(move |far| {
        let mut socket = far.upgrade(LIMIT);
        gate.wait();
        socket.send("calm".into());
        socket.echo();
    });
    open(&mut subject, &calm);
    let flooding = Peer::plain(|far| {
        flood(far, 16);
    });
    subject.perform(Effect::Connect("flood", connect(&flooding)));
    while !matches!(subject.next(None), Some(IoEvent::Received("flood", _))) {}

    let server = Peer::plain(echo);
    drop(opener);
    subject.perform(Effect::Send("relay", "echo".into()));
    subject.perform(Effect::Store("file", StateFile::Config, SecretBytes::new(*b"x")));
    subject.perform(Effect::Http("request", get(server.url("http"))));
    let timer = Deadline::new(subject.now().after(Duration::from_millis(5)), "timer");
    let mut waits = BTreeSet::from(["calm", "echo", "sent", "file", "request", "timer"]);
    let mut floods = 0;
    for turn in 0.. {
        assert!(turn < TURNS, "{waits:?} did not have their turn");
        let done = match subject.next(Some(timer)) {
            Some(IoEvent::Received("flood", _)) => {
                floods += 1;
                ""
            }
            Some(IoEvent::Received("relay", word)) => {
                if word == "calm" {
                    "calm"
                } else {
                    "echo"
                }
            }
            Some(IoEvent::Sent("relay", 1)) => "sent",
            Some(IoEvent::Stored("file")) => "file",
            Some(IoEvent::Answered("request", _)) => "request",
            None => "timer",
            other => panic!("{other:?}"),
        };
        waits.remove(done);
        if subject.now() >= timer.at {
            waits.remove("timer");
        }
        if waits.is_empty() {
            break;
        }
    }
    assert!(floods > 0);
    assert_eq!(subject.abandon(), 0);
    [flooding, calm, server].into_iter().for_each(Peer::finish);
}

/// While one WebSocket floods with what makes no event, a request and a timer have their turn.
pub fn pings_starve_no_other_effect<S: Subject>() {
    let peer = Peer::plain(|far| {
        far.upgrade(LIMIT).into_bytes().pour(&[0x89, 1, 7].repeat(32 * 1024));
    });
    let server = Peer::plain(echo);
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    subject.perform(Effect::Http("request", get(server.url("http"))));
    assert!(matches!(subject.next(None), Some(IoEvent::Answered("request", _))));
    let timer = Deadline::new(subject.now().after(Duration::from_millis(5)), "timer");
    assert_eq!(subject.next(Some(timer)), None);
    assert_eq!(subject.abandon(), 0);
    [peer, server].into_iter().for_each(Peer::finish);
}

/// SES-3: a peer that sends faster than the machine reads has to wait. Nothing piles up in between.
pub fn a_flood_is_held_back<S: Subject>() {
    const MESSAGES: usize = 100_000;
    let (told, taken) = std::sync::mpsc::channel();
    let peer = Peer::plain(move |far| told.send(flood(far, 125)).unwrap());
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    for _ in 0..MESSAGES {
        assert!(matches!(subject.next(None), Some(IoEvent::Received("relay", _))));
    }
    assert_eq!(subject.abandon(), 0);
    let taken = taken.recv().unwrap();
    assert!(taken < MESSAGES * 127 + HELD, "{} MiB were read ahead of the machine", (taken - MESSAGES * 127) >> 20);
    peer.finish();
}

/// A wait that is given up at any point loses nothing and tells nothing twice.
pub fn cancelled_waits_lose_nothing<S: Subject>() {
    const MESSAGES: u32 = 300;
    const LEN: usize = 70 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let (key, network) = identity();
    let mut subject = S::start(Some(Home::at(folder.path().join("home"))), network);
    let relay = Peer::piecemeal(|far| assert_eq!(far.upgrade(LIMIT).echo(), IoEvent::Closed((), Closed::ByPeer(None))));
    let server = Peer::secure_piecemeal(key, echo);
    let mut cut = cut_short(&mut subject);

    cut.subject.perform(Effect::Connect("relay", connect(&relay)));
    assert!(matches!(cut.next(), IoEvent::Connected("relay", _)));
    let message = |at: u32| Bytes::from(at.to_le_bytes().repeat(5));
    (0..MESSAGES).for_each(|at| cut.subject.perform(Effect::Send("relay", message(at))));
    cut.subject.perform(Effect::Http("request", post(server.url("https"), LEN)));
    let files = ["a", "b", "c", "d", "e"];
    for id in files {
        cut.subject.perform(Effect::Store(id, StateFile::Config, SecretBytes::new(id.as_bytes())));
    }

    let (mut received, mut sent, mut stored, mut body) = (0, 0, Vec::new(), None);
    while received < MESSAGES || sent < MESSAGES || stored.len() < files.len() || body.is_none() {
        match cut.next() {
            IoEvent::Received("relay", echoed) => {
                assert_eq!(echoed, message(received));
                received += 1;
            }
            IoEvent::Sent("relay", count) => sent += count,
            IoEvent::Stored(id) => stored.push(id),
            IoEvent::Answered("request", answer) => assert_eq!(body.replace(answer.body), None),
            other => panic!("{other:?}"),
        }
    }
    assert!(sent == MESSAGES && stored == files && body.unwrap().expose() == pattern(LEN));
    cut.subject.perform(Effect::Close("relay", Close::Normal));
    assert_eq!(cut.next(), IoEvent::Closed("relay", Closed::ByUs));
    assert!(cut.given_up > 0);
    assert_eq!(glimpse(&mut subject), None);
    [relay, server].into_iter().for_each(Peer::finish);
}

/// Waits that are given up again and again: most at once, some a little later.
struct CutShort<'a, S> {
    subject: &'a mut S,
    given_up: u32,
}

const fn cut_short<S: Subject>(subject: &mut S) -> CutShort<'_, S> {
    CutShort { subject, given_up: 0 }
}

impl<S: Subject> CutShort<'_, S> {
    fn next(&mut self) -> IoEvent<Id> {
        let patience = self.subject.now().after(PATIENCE);
        while self.subject.now() < patience {
            let a_little = Duration::from_micros(u64::from(self.given_up % 8) * 5);
            let until = Deadline::new(self.subject.now().after(a_little), "a glimpse");
            match if self.given_up.is_multiple_of(3) { self.subject.next(Some(until)) } else { glimpse(self.subject) } {
                Some(event) => return event,
                None => self.given_up += 1,
            }
        }
        panic!("nothing happens any more");
    }
}
