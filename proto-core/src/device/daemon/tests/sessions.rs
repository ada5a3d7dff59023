//! Sessions: when they stream, which process makes their records, and when they are over.

use alloc::{vec, vec::Vec};

use super::{super::*, laptop::*};
use crate::{
    Reason,
    device::{
        bridge::MAX_SESSIONS,
        control::Attached,
        files::{Document, SessionFile},
    },
    effect::StateFile,
    wire::{Frame, Head, Outcome},
};

const ALMOST: Duration = Duration::from_nanos(1);

fn just_before(time: Duration) -> Duration {
    time.saturating_sub(ALMOST)
}

fn local_only(source: crate::device::bridge::SourceId, reason: Reason) -> (crate::device::bridge::SourceId, Attached) {
    (source, Attached::LocalOnly { reason: Some(reason) })
}

fn opened(session: SessionId) -> Frame {
    Head::Open { session, cipher: 2 }.into()
}

/// S112, S113, ISO-6: a session streams once its pin is durable, and its key is the one that the pin holds.
#[test]
fn a_session_streams_once_its_pin_is_durable() {
    let mut laptop = Laptop::paired();
    laptop.take_said();
    laptop.start(SOURCE, BOUND);
    assert_eq!((laptop.said.len(), laptop.daemon.report().sessions.len()), (0, 0));
    let (file, contents) = laptop.stored();
    let pin = SessionFile::parse(contents.unwrap().expose()).unwrap();
    let session = pin.session;
    assert_eq!((file, pin.pin(), pin.started, pin.title), (StateFile::Session(session), org(), UNIX, title()));
    let said = laptop.take_said();
    let [Output::Log(Event::SessionStarted(started, to)), Output::Attached(SOURCE, attached)] = &said[..] else {
        panic!("{said:?}");
    };
    let Attached::Streaming { session: streaming, org: to_org, secret, cipher } = attached else { panic!("{attached:?}") };
    assert_eq!((*started, to, *streaming), (session, &org(), session));
    assert_eq!((&to_org.name[..], secret, *cipher), ("Org", &pin.secret, pin.cipher));
    let rows = laptop.daemon.report().sessions;
    assert_eq!((rows.len(), &rows[0].org[..], &rows[0].command[..]), (1, "Org", "agent --now"));
}

/// ISO-6: what is not bound, cannot be found or cannot be pinned stays here.
#[test]
fn what_may_not_stream_stays_here() {
    let mut laptop = Laptop::paired();
    laptop.start(SOURCE, "/elsewhere");
    assert_eq!(laptop.take_attached(), [(SOURCE, Attached::LocalOnly { reason: None })]);
    laptop.start(SOURCE, "relative");
    assert_eq!(laptop.take_attached(), [local_only(SOURCE, Reason::DirectoryMissing)]);
    laptop.start(SOURCE, BOUND);
    laptop.not_stored();
    assert_eq!(laptop.take_attached(), [local_only(SOURCE, Reason::StateNotWritten)]);
    laptop.again(SOURCE, numbered(9));
    assert_eq!(laptop.take_attached(), [local_only(SOURCE, Reason::SessionCut)]);
    assert_eq!((laptop.daemon.report().sessions, laptop.files.len()), (vec![], 0));

    let mut alone = Laptop::new();
    alone.start(SOURCE, BOUND);
    assert_eq!(alone.take_attached(), [(SOURCE, Attached::LocalOnly { reason: None })]);
}

/// ISO-2: each session's records go to the org that its directory is bound to, and to no other.
#[test]
fn sessions_stream_to_their_own_org() {
    let mut laptop = Laptop::paired();
    let (mut to_org, mut to_beta) = (laptop.up(&org()), laptop.up(&beta()));
    laptop.heard(&mut to_org);
    laptop.heard(&mut to_beta);
    let (mine, other) = (laptop.streams(SOURCE, BOUND), laptop.streams(OTHER, BOUND_TO_BETA));
    for (source, session) in [(SOURCE, mine), (OTHER, other)] {
        laptop.input(Input::Frame(source, opened(session)));
    }
    assert_eq!((laptop.heard(&mut to_org), laptop.heard(&mut to_beta)), (vec![opened(mine)], vec![opened(other)]));
    laptop.take_said();
    let resume = Frame::from(Head::Resume { session: other, next: 0 });
    laptop.tell(&mut to_org, resume.clone());
    assert_eq!(laptop.take_said(), []);
    laptop.tell(&mut to_beta, resume.clone());
    assert_eq!(laptop.take_said(), [Output::ToSource(OTHER, resume)]);
}

/// The process is gone before its session is pinned: nothing streams, and its pin is removed.
#[test]
fn a_process_that_leaves_before_its_pin_is_durable_leaves_no_pin() {
    let mut laptop = Laptop::paired();
    laptop.start(SOURCE, BOUND);
    let session = laptop.files[0].1.clone();
    laptop.input(Input::Detach(SOURCE));
    assert_eq!(laptop.settle(), (vec![session.clone()], vec![session]));
    assert_eq!((laptop.take_attached(), laptop.daemon.report().sessions), (vec![], vec![]));
    assert_eq!(laptop.stats(), [1, 0, 0]);
}

/// S113: the process that makes records may stay away for two minutes, and not a moment longer; another process's sessions go on.
#[test]
fn a_session_whose_maker_stays_away_is_over() {
    let mut laptop = Laptop::paired();
    let (session, other) = (laptop.streams(SOURCE, BOUND), laptop.streams(OTHER, BOUND));
    laptop.take_log();
    laptop.input(Input::Detach(SOURCE));
    let rows: Vec<_> = laptop.daemon.report().sessions.into_iter().map(|row| row.id).collect();
    assert_eq!(rows, [alloc::format!("{other}")]);
    laptop.pass(just_before(RETURN_WITHIN));
    assert!(!laptop.take_log().iter().any(|event| matches!(event, Event::SessionEnded(..))));
    assert_eq!(laptop.daemon.poll_timeout().map(|deadline| deadline.at), Some(laptop.now.after(ALMOST)));
    laptop.pass(ALMOST);
    let ended: Vec<_> = laptop.take_log().into_iter().filter(|event| matches!(event, Event::SessionEnded(..))).collect();
    assert_eq!(ended, [Event::SessionEnded(session, org())]);
    laptop.pass(RETURN_WITHIN * 2);
    assert!(!laptop.take_log().iter().any(|event| matches!(event, Event::SessionEnded(..))), "said once");
}

/// S113: a process that comes back in time goes on, over another connection too, and is not called over at the old deadline.
#[test]
fn a_maker_that_comes_back_goes_on() {
    let mut laptop = Laptop::paired();
    let mut relay = laptop.up(&org());
    let session = laptop.streams(SOURCE, BOUND);
    laptop.input(Input::Detach(SOURCE));
    laptop.pass(Duration::from_secs(1));
    laptop.again(OTHER, session);
    assert!(matches!(laptop.take_attached()[..], [(OTHER, Attached::Streaming { .. })]));
    laptop.heard(&mut relay);
    laptop.input(Input::Frame(OTHER, opened(session)));
    laptop.input(Input::Frame(SOURCE, opened(session)));
    assert_eq!((laptop.heard(&mut relay), laptop.stats()), (vec![opened(session)], [0, 0, 1]));
    laptop.pass(RETURN_WITHIN * 2);
    assert!(!laptop.take_log().iter().any(|event| matches!(event, Event::SessionEnded(..))));
    assert_eq!(laptop.daemon.report().sessions.len(), 1);
}

/// Sessions that a restart found wait for their makers as long as those whose makers went.
#[test]
fn sessions_of_the_last_run_wait_for_their_makers() {
    let mut laptop = Laptop::boot(&with_pins([pin(1, &org(), 1), pin(2, &beta(), 2)]));
    laptop.pass(just_before(RETURN_WITHIN));
    laptop.again(SOURCE, numbered(2));
    laptop.take_said();
    laptop.pass(ALMOST);
    let ended: Vec<_> = laptop.take_log().into_iter().filter(|event| matches!(event, Event::SessionEnded(..))).collect();
    assert_eq!(ended, [Event::SessionEnded(numbered(1), org())]);
}

/// SES-2: a session is over when the relay has all of it, which is said once; its key stays for viewers, and it may go on.
#[test]
fn a_session_is_over_when_the_relay_has_all_of_it() {
    let mut laptop = Laptop::paired();
    let mut relay = laptop.up(&org());
    let session = laptop.streams(SOURCE, BOUND);
    laptop.tell(&mut relay, Head::Resume { session, next: 0 });
    laptop.input(Input::Frame(SOURCE, Head::End { session, next: 0, outcome: Outcome::Exited }.into()));
    laptop.take_said();
    laptop.tell(&mut relay, Head::Acknowledge { session, next: 1 });
    assert_eq!(laptop.take_log(), [Event::SessionEnded(session, org())]);
    assert_eq!((laptop.daemon.report().sessions, laptop.files.len()), (vec![], 0));
    laptop.input(Input::Detach(SOURCE));
    laptop.pass(RETURN_WITHIN);
    assert!(!laptop.take_log().iter().any(|event| matches!(event, Event::SessionEnded(..))));
    laptop.again(SOURCE, session);
    assert!(matches!(laptop.take_attached()[..], [(SOURCE, Attached::Streaming { .. })]));
    assert_eq!(laptop.daemon.report().sessions.len(), 1);
}

/// L8: so many sessions of a binding are known. One more takes the place of the oldest that is over, whose key goes; when all
/// of them run it stays here. Another binding's sessions take no part in that.
#[test]
fn the_oldest_session_that_is_over_makes_room() {
    let started = |n: usize| if n == 5 { 10 } else { 1_000 + n as u64 };
    let its = (0..MAX_SESSIONS).map(|n| pin(n, &org(), started(n)));
    let strangers = (MAX_SESSIONS..MAX_SESSIONS + 2).map(|n| pin(n, &beta(), 1));
    let mut laptop = Laptop::boot(&with_pins(its.chain(strangers)));
    laptop.start(SOURCE, BOUND);
    assert_eq!(laptop.take_attached(), [local_only(SOURCE, Reason::StateNotWritten)], "all may come back yet");
    laptop.start(SOURCE, BOUND_TO_BETA);
    laptop.settle();
    assert!(matches!(laptop.take_attached()[..], [(SOURCE, Attached::Streaming { .. })]));
    laptop.again(OTHER, numbered(5));
    laptop.pass(RETURN_WITHIN);
    laptop.take_said();
    for oldest in [0, 1] {
        laptop.start(OTHER, BOUND);
        let (_, removed) = laptop.settle();
        assert_eq!(removed, [StateFile::Session(numbered(oldest))]);
        assert!(matches!(laptop.take_attached()[..], [(OTHER, Attached::Streaming { .. })]));
    }
}

/// While there is room nothing is forgotten: taking the last place drops no session's key.
#[test]
fn taking_the_last_place_drops_no_key() {
    let mut laptop = Laptop::boot(&with_pins((1..MAX_SESSIONS).map(|n| pin(n, &org(), n as u64))));
    laptop.pass(RETURN_WITHIN);
    laptop.start(SOURCE, BOUND);
    let (kept, removed) = laptop.settle();
    assert_eq!((kept.len(), removed), (1, vec![]));
}

/// BIND-5: a key that could not be removed is removed ten seconds later, and so on until it is gone.
#[test]
fn a_key_that_stays_on_disk_is_removed_again() {
    let pins = with_pins([pin(1, &org(), 1), pin(2, &org(), 2)]).sessions;
    let mut laptop = Laptop::boot(&StoredState { sessions: pins, ..StoredState::default() });
    for _ in 0..2 {
        assert_eq!(laptop.daemon.poll_timeout(), None);
        assert_eq!([laptop.not_stored(), laptop.not_stored()], [1, 2].map(|n| StateFile::Session(numbered(n))));
        assert_eq!(laptop.daemon.poll_timeout().map(|deadline| deadline.at), Some(laptop.now.after(REMOVE_RETRY)));
        laptop.pass(just_before(REMOVE_RETRY));
        assert!(laptop.files.is_empty());
        laptop.pass(ALMOST);
        assert_eq!(laptop.files.len(), 2);
    }
    laptop.settle();
    laptop.pass(REMOVE_RETRY);
    assert!(laptop.files.is_empty());
}

/// Time that goes back is taken for the latest known: nothing becomes due twice, nothing early.
#[test]
fn time_never_goes_back() {
    let mut laptop = Laptop::paired();
    let session = laptop.streams(SOURCE, BOUND);
    laptop.pass(Duration::from_mins(1));
    laptop.daemon.handle_input(START, Input::Detach(SOURCE)).unwrap();
    laptop.daemon.handle_timeout(START);
    laptop.take_said();
    laptop.pass(just_before(RETURN_WITHIN));
    assert!(!laptop.take_log().iter().any(|event| matches!(event, Event::SessionEnded(..))));
    laptop.pass(ALMOST);
    assert!(laptop.take_log().contains(&Event::SessionEnded(session, org())));
}
