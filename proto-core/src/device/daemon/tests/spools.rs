//! What is kept of sessions while a relay is away, in the whole daemon (D17).

use alloc::{vec, vec::Vec};

use super::{super::*, laptop::*};
use crate::{
    Reason,
    device::{
        control::{Attached, UnpairRequest},
        spool::ACK_TIMEOUT,
    },
    effect::{Closed, Effect, IoEvent, StateFile},
    secret::SecretBytes,
    wire::{Frame, Head, Outcome},
};

fn opened(session: SessionId) -> Frame {
    let body = bytes::Bytes::copy_from_slice(&0_u64.to_be_bytes());
    Frame { head: Head::Open { session, cipher: 2 }, body }
}

fn record(session: SessionId, sequence: u64) -> Frame {
    Frame { head: Head::Data { session, epoch: 0, sequence }, body: vec![7; 50].into() }
}

fn end(session: SessionId, next: u64) -> Frame {
    Head::End { session, next, outcome: Outcome::Exited }.into()
}

/// A daemon without a link that keeps a session of two records and the end: the segments, and the session.
fn keeping() -> (Laptop, SessionId, BTreeMap<u64, SecretBytes>) {
    let mut laptop = Laptop::paired();
    let session = laptop.streams(SOURCE, BOUND);
    laptop.input(Input::Frame(SOURCE, opened(session)));
    laptop.pass(ACK_TIMEOUT);
    let resumed = Output::ToSource(SOURCE, Head::Resume { session, next: 0 }.into());
    assert!(laptop.take_said().contains(&resumed), "the process begins again, for the disk");
    for frame in [record(session, 0), record(session, 1), end(session, 2)] {
        laptop.input(Input::Frame(SOURCE, frame));
    }
    let mut segments = BTreeMap::new();
    while !laptop.files.is_empty() {
        let (StateFile::Segment(of, first), Some(contents)) = laptop.stored() else { panic!() };
        assert_eq!(of, session);
        segments.insert(first, contents);
    }
    assert!(laptop.take_said().contains(&Output::ToSource(SOURCE, Head::Acknowledge { session, next: 3 }.into())));
    (laptop, session, segments)
}

fn found_with(session: SessionId, segments: &BTreeMap<u64, SecretBytes>) -> StoredState {
    let pin = crate::device::files::SessionFile { session, ..pin(1, &org(), UNIX.0) };
    let bytes = segments.iter().map(|(first, contents)| (*first, contents.expose().len() as u64)).collect();
    StoredState { spools: [(session, bytes)].into(), ..with_pins([pin]) }
}

/// Without the pings of the link.
fn of_session(frames: Vec<Frame>) -> Vec<Frame> {
    frames.into_iter().filter(|frame| frame.head.session().is_some()).collect()
}

/// What is asked of the disk is read.
fn read(laptop: &mut Laptop, segments: &BTreeMap<u64, SecretBytes>) {
    while let Some(at) = laptop.net.iter().position(|effect| matches!(effect, Effect::Load(..))) {
        let Effect::Load(ask, StateFile::Segment(_, first)) = laptop.net.remove(at) else { panic!() };
        laptop.happens(IoEvent::Loaded(ask, segments.get(&first).cloned()));
    }
}

/// SPOOL-1, SPOOL-2, S113: what was kept is shown, survives a restart, and goes over the binding that the session is pinned to.
/// Then nothing of it is left, and the session is over.
#[test]
fn what_was_kept_is_delivered_after_a_restart() {
    let (mut laptop, session, segments) = keeping();
    laptop.input(Input::Detach(SOURCE));
    let rows = laptop.daemon.report().spool;
    assert_eq!((rows.len(), &rows[0].org[..], rows[0].session.clone()), (1, "Org", alloc::format!("{session}")));

    let mut again = Laptop::boot(&found_with(session, &segments));
    read(&mut again, &segments);
    let (mut relay, mut other) = (again.up(&org()), again.up(&beta()));
    assert_eq!(of_session(again.heard(&mut relay)), [Head::Open { session, cipher: 2 }.into()]);
    again.tell(&mut relay, Head::Resume { session, next: 1 });
    read(&mut again, &segments);
    assert_eq!(again.heard(&mut relay), [record(session, 1), end(session, 2)]);
    again.tell(&mut relay, Head::Acknowledge { session, next: 3 });
    assert!(again.take_log().contains(&Event::SessionEnded(session, org())));
    let (kept, removed) = again.settle();
    assert!(kept.is_empty() && removed.last() == Some(&StateFile::Spool(session)), "{removed:?}");
    assert_eq!((again.daemon.report().spool, of_session(again.heard(&mut other))), (vec![], vec![]));
}

/// SPOOL-1, S118, BIND-5: a binding that ends takes what was kept for it along: it is erased, with the key, and goes nowhere else.
#[test]
fn what_was_kept_goes_with_its_binding() {
    let (mut laptop, session, _) = keeping();
    laptop.request(1, Request::Unpair(UnpairRequest { org: Some("ORG".into()) }));
    let (_, removed) = laptop.settle();
    for file in [StateFile::Session(session), StateFile::Spool(session)] {
        assert!(removed.contains(&file), "{removed:?}");
    }
    let told = Output::ToSource(SOURCE, Head::Revoke { reason: Reason::SessionCut }.into());
    assert!(laptop.take_said().contains(&told), "the process is told although the bridge does not know it");
    assert_eq!(laptop.daemon.report().spool, vec![]);
}

/// BIND-5: what a restart finds of a session that no binding knows any more is erased, and again when the disk would not.
#[test]
fn what_belongs_to_no_session_is_erased() {
    let stray = numbered(9);
    let mut laptop = Laptop::boot(&StoredState { spools: [(stray, [(0, 10)].into())].into(), ..found() });
    assert_eq!(laptop.not_stored(), StateFile::Spool(stray));
    laptop.pass(REMOVE_RETRY);
    assert_eq!(laptop.settle().1, [StateFile::Spool(stray)]);
}

/// F11: a process that was killed does not come back: its session ends as cut, so that viewers do not wait for ever, and no process
/// goes on with it.
#[test]
fn a_session_whose_process_was_killed_is_cut() {
    let mut laptop = Laptop::paired();
    let mut relay = laptop.up(&org());
    let session = laptop.streams(SOURCE, BOUND);
    laptop.input(Input::Frame(SOURCE, opened(session)));
    laptop.tell(&mut relay, Head::Resume { session, next: 0 });
    laptop.input(Input::Frame(SOURCE, record(session, 0)));
    laptop.input(Input::Detach(SOURCE));
    laptop.pass(RETURN_WITHIN);
    laptop.heard(&mut relay);
    // This relay was silent for too long. To the next one the spool speaks for the session.
    laptop.happens(IoEvent::Closed(relay.effect_id, Closed::ByUs));
    laptop.pass(Duration::from_secs(30));
    let mut relay = laptop.up(&org());
    assert_eq!(of_session(laptop.heard(&mut relay)), [Head::Open { session, cipher: 2 }.into()]);
    laptop.tell(&mut relay, Head::Resume { session, next: 1 });
    assert_eq!(laptop.heard(&mut relay), [Head::End { session, next: 1, outcome: Outcome::Cut }.into()]);
    laptop.take_said();
    laptop.again(OTHER, session);
    assert_eq!(laptop.take_attached(), [(OTHER, Attached::LocalOnly { reason: Some(Reason::SessionCut) })]);
    laptop.tell(&mut relay, Head::Acknowledge { session, next: 2 });
    assert!(laptop.take_log().contains(&Event::SessionEnded(session, org())));
}

/// No process has the number under which the daemon itself hands records over.
#[test]
fn the_spools_source_number_belongs_to_no_process() {
    let mut laptop = Laptop::paired();
    let attach = crate::device::control::Attach::Again { session: numbered(1) };
    let input = Input::Attach(crate::device::bridge::SourceId::SPOOL, attach, crate::Entropy::new([0; 32]));
    assert_eq!(laptop.daemon.handle_input(laptop.now, input), Err(Misuse::OutOfRange("the number of a process")));
}
