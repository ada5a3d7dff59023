//! What a daemon ignores, and counts.

use alloc::vec;

use bytes::Bytes;

use super::{super::*, laptop::*};
use crate::{
    Reason,
    device::{incarnation::Incarnation, uplink},
    effect::IoEvent,
    wire::{Frame, Head},
};

/// A disk answer that no request waits for is counted each time and changes nothing.
#[test]
fn stale_answers_are_counted() {
    let mut laptop = Laptop::paired();
    laptop.take_said();
    let (request, source) = (TaskId::Request(RequestId(9)), TaskId::Source(SOURCE));
    for n in 0..2 {
        laptop.input(Input::Looked(request, looked(directory("/"))));
        assert_eq!(laptop.stats(), [7 * n + 1, 0, 0]);
        laptop.input(Input::Looked(source, looked(directory("/"))));
        assert_eq!(laptop.stats(), [7 * n + 2, 0, 0]);
        laptop.input(Input::Changed(request, Ok(())));
        assert_eq!(laptop.stats(), [7 * n + 3, 0, 0]);
        laptop.input(Input::Changed(source, Err(Reason::StateNotWritten)));
        assert_eq!(laptop.stats(), [7 * n + 4, 0, 0]);
        laptop.happens(IoEvent::Stored(EffectId::Ledger(RequestId(9))));
        assert_eq!(laptop.stats(), [7 * n + 5, 0, 0]);
        laptop.happens(IoEvent::Stored(EffectId::Pin(SOURCE)));
        assert_eq!(laptop.stats(), [7 * n + 6, 0, 0]);
        laptop.happens(IoEvent::NotStored(EffectId::Pin(SOURCE)));
        assert_eq!(laptop.stats(), [7 * n + 7, 0, 0]);
    }
    assert!(laptop.take_said().is_empty() && laptop.files.is_empty() && laptop.changes.is_empty());
}

/// An answer about another request than the one that is written does not make that one durable.
#[test]
fn the_ledger_counts_when_its_own_write_is_durable() {
    let mut laptop = Laptop::paired();
    laptop.take_said();
    laptop.request(1, Request::Unbind(directory(BOUND)));
    laptop.happens(IoEvent::Stored(EffectId::Ledger(RequestId(2))));
    assert_eq!((laptop.stats(), laptop.changes.len()), ([1, 0, 0], 0));
    laptop.stored();
    assert_eq!((laptop.stats(), laptop.changes.len()), ([1, 0, 0], 1));
}

/// Files that change without a request leave a request that waits for something else as it is.
#[test]
fn a_change_without_a_request_keeps_the_request() {
    let mut laptop = Laptop::paired();
    laptop.take_said();
    laptop.request(1, Request::Unpair(crate::device::control::UnpairRequest { org: Some("org".into()) }));
    for n in 1..3 {
        laptop.input(Input::Changed(TaskId::Request(RequestId(1)), Ok(())));
        assert_eq!(laptop.stats(), [n, 0, 0]);
    }
    laptop.settle();
    assert!(matches!(laptop.take_answers()[..], [(1, Ok(Answer::Unpaired(_)))]));
}

/// LINK-4: what comes late for a bridge or a pairing that is gone is counted, and is not taken for the next one's.
#[test]
fn what_comes_for_an_earlier_life_is_counted() {
    let mut laptop = Laptop::paired();
    let relay = laptop.up(&org());
    let EffectId::Bridge(id, Incarnation(life), effect_id) = relay.effect_id.clone() else { panic!() };
    laptop.take_said();
    for n in 0..2 {
        let late = |effect_id| IoEvent::Closed(effect_id, crate::effect::Closed::ByUs);
        laptop.happens(late(EffectId::Bridge(id.clone(), Incarnation(life + 1), effect_id)));
        assert_eq!(laptop.stats(), [0, 3 * n + 1, 0]);
        let strange = BindingId { org: "C".parse().unwrap(), ..org() };
        laptop.happens(late(EffectId::Bridge(strange.into(), Incarnation(life), uplink::EffectId::Link)));
        assert_eq!(laptop.stats(), [0, 3 * n + 2, 0]);
        laptop.happens(IoEvent::Stored(EffectId::Pairing(Incarnation(1), crate::device::pairing::EffectId::Save)));
        assert_eq!(laptop.stats(), [0, 3 * n + 3, 0]);
    }
    assert_eq!(laptop.take_said(), vec![]);
    laptop.happens(IoEvent::Closed(relay.effect_id, crate::effect::Closed::ByPeer(None)));
    assert!(matches!(laptop.take_log()[..], [Event::Disconnected(..)]));
}

/// ISO-7: what a process says of a session that is not its own is counted and goes nowhere.
#[test]
fn frames_of_detached_processes_are_counted() {
    let mut laptop = Laptop::paired();
    let mut relay = laptop.up(&org());
    let session = laptop.streams(SOURCE, BOUND);
    laptop.heard(&mut relay);
    let data = |session| Frame { head: Head::Data { session, epoch: 0, sequence: 0 }, body: Bytes::from_static(b"sealed") };
    laptop.tell(&mut relay, Head::Resume { session, next: 0 });
    for n in 0..2 {
        laptop.input(Input::Frame(OTHER, data(session)));
        assert_eq!(laptop.stats(), [0, 0, 3 * n + 1]);
        laptop.input(Input::Frame(SOURCE, data(numbered(9))));
        assert_eq!(laptop.stats(), [0, 0, 3 * n + 2]);
        laptop.input(Input::Frame(SOURCE, Head::Ping { nonce: 1 }.into()));
        assert_eq!(laptop.stats(), [0, 0, 3 * n + 3]);
    }
    assert_eq!(laptop.heard(&mut relay), []);
    laptop.input(Input::Frame(SOURCE, data(session)));
    assert_eq!((laptop.heard(&mut relay), laptop.stats()), (vec![data(session)], [0, 0, 6]));
}

/// L8: so many requests and starting sessions wait for the disk. One more is refused, facts are not, and when one is done there
/// is room again.
#[test]
fn requests_that_wait_for_the_disk_are_limited() {
    let mut laptop = Laptop::paired();
    let start = |n: usize| {
        let attach = crate::device::control::Attach::Start { directory: BOUND.into(), title: title() };
        Input::Attach(crate::device::bridge::SourceId(n as u64), attach, crate::Entropy::new([1; 32]))
    };
    for n in 0..MAX_TASKS {
        laptop.input(start(n));
    }
    let full = Err(Misuse::Full("requests that wait for the disk"));
    assert_eq!(laptop.daemon.handle_input(START, start(MAX_TASKS)), full);
    assert_eq!(laptop.daemon.handle_input(START, Input::Request(RequestId(1), Request::Reconnect)), full);
    laptop.clock(WallClock::new(START, UNIX));
    laptop.look();
    laptop.stored();
    laptop.request(1, Request::Reconnect);
    assert_eq!(laptop.take_answers(), [(1, Ok(Answer::Done))]);
}
