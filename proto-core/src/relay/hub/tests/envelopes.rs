//! D15: what opens a session for who holds its organization's key lies beside the records, whatever becomes of the daemon.

use alloc::{vec, vec::Vec};

use bytes::Bytes;

use super::{
    super::*,
    world::{World, session},
};
use crate::{
    id::SessionId,
    orgkey::MAX_ENVELOPE,
    wire::{Frame, Head},
};

fn envelope(of: SessionId, body: &'static str) -> Frame {
    Frame { head: Head::Envelope { session: of }, body: Bytes::from_static(body.as_bytes()) }
}

fn enveloped(of: SessionId, is_durable: bool) -> Head {
    Head::Enveloped { session: of, is_durable }
}

/// The envelopes that a connection got, with the frame before each.
fn got(world: &World, of: ConnectionId) -> Vec<(Option<Head>, Bytes)> {
    let frames = world.frames(of);
    let place = |n: usize| n.checked_sub(1).map(|before| frames[before].head.clone());
    let envelopes = frames.iter().enumerate().filter(|(_, frame)| matches!(frame.head, Head::Envelope { .. }));
    envelopes.map(|(n, frame)| (place(n), frame.body.clone())).collect()
}

/// It is acknowledged once it is durable, and not before; the first one of a session counts.
#[test]
fn an_envelope_is_acknowledged_once_durable() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.open(daemon, session(1));
    world.commit_all();
    world.send(daemon, envelope(session(1), "first"));
    world.send(daemon, envelope(session(1), "second"));
    assert!(!world.heads(daemon).contains(&enveloped(session(1), true)));
    world.commit_all();
    assert_eq!(world.heads(daemon).last(), Some(&enveloped(session(1), true)));
    world.send(daemon, envelope(session(1), "third"));
    assert_eq!(world.heads(daemon).iter().filter(|head| **head == enveloped(session(1), true)).count(), 2);
    assert_eq!(world.uncommitted.len(), 0);
    let viewer = world.viewer("a", "v");
    assert_eq!(got(&world, viewer), [(Some(Head::Open { session: session(1), cipher: 1 }), Bytes::from_static(b"first"))]);
}

/// Viewers who know the session get it when it comes; others right behind the session, the relay's restart in between or not.
#[test]
fn viewers_get_an_envelope_with_its_session_or_later() {
    let mut world = World::default();
    let (daemon, early) = (world.daemon("a", "d"), world.viewer("a", "v"));
    let stranger = world.viewer("b", "v");
    world.open(daemon, session(1));
    world.settle();
    assert_eq!(got(&world, early), []);
    world.send(daemon, envelope(session(1), "sealed"));
    world.settle();
    assert_eq!(got(&world, early).len(), 1);
    world.crash();
    let (late, other) = (world.viewer("a", "w"), world.viewer("b", "w"));
    world.settle();
    let opened = Some(Head::Open { session: session(1), cipher: 1 });
    assert_eq!(got(&world, late), [(opened, Bytes::from_static(b"sealed"))], "its daemon is away");
    assert!(world.frames(other).is_empty(), "ADM-4");
    let _ = stranger;
}

/// A viewer whose socket is full gets it once there is room (SES-3).
#[test]
fn an_envelope_waits_for_room() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.open(daemon, session(1));
    world.resume(viewer, session(1), 0);
    let mut sequence = 0;
    while world.inboxes[&viewer].untaken < VIEWER_WINDOW {
        let body = Bytes::from(vec![b'x'; 60_000]);
        world.send(daemon, Frame { head: Head::Data { session: session(1), epoch: 0, sequence }, body });
        sequence += 1;
    }
    world.send(daemon, envelope(session(1), "sealed"));
    assert_eq!(got(&world, viewer), []);
    world.take(viewer);
    assert_eq!(got(&world, viewer).len(), 1);
}

/// One of a session that is not here, or is another daemon's, changes nothing, and its daemon hears that: a daemon that comes back
/// to a relay without its records is not ended for it.
#[test]
fn an_envelope_of_no_session_is_told_so() {
    let mut world = World::default();
    let (daemon, other, foreign) = (world.daemon("a", "d"), world.daemon("a", "e"), world.daemon("b", "d"));
    world.open(daemon, session(1));
    for (n, (from, of)) in (1..).zip([(daemon, session(2)), (other, session(1)), (foreign, session(1))]) {
        world.send(from, envelope(of, "sealed"));
        assert_eq!(world.heads(from).last(), Some(&enveloped(of, false)));
        assert_eq!((world.hub.counters().envelopes_of_no_session, world.closed(from)), (n, None));
    }
    world.commit_all();
    assert!(world.durable.values().all(|stored| stored.envelope.is_none()));
}

/// It may come over another link than the one that opened the session, and after its end.
#[test]
fn an_envelope_may_come_after_the_end() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.open(daemon, session(1));
    world.send(daemon, Head::End { session: session(1), next: 0, outcome: crate::wire::Outcome::Exited });
    world.settle();
    let again = world.daemon("a", "d");
    world.send(again, envelope(session(1), "sealed"));
    world.settle();
    assert_eq!(world.heads(again), [enveloped(session(1), true)]);
}

/// L8, ADM-1: an envelope has a size.
#[test]
fn an_envelope_is_not_empty_and_not_long() {
    for (length, fits) in [(0, false), (1, true), (MAX_ENVELOPE, true), (MAX_ENVELOPE + 1, false)] {
        let mut world = World::default();
        let daemon = world.daemon("a", "d");
        world.open(daemon, session(1));
        world.send(daemon, Frame { head: Head::Envelope { session: session(1) }, body: vec![b'x'; length].into() });
        assert_eq!(world.closed(daemon), (!fits).then_some(Reason::FrameMalformed), "{length}");
    }
}

/// What the store says twice, or of no envelope, is counted.
#[test]
fn stale_answers_of_the_store_are_counted() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.open(daemon, session(1));
    world.commit_all();
    let number = *world.durable.keys().next().unwrap();
    world.input(Input::Enveloped(number));
    world.input(Input::Enveloped(SessionNumber(99)));
    assert_eq!(world.hub.counters().stale_store_answers, 2);
}
