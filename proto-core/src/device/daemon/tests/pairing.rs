//! A pairing, from the request to the binding.

use alloc::{vec, vec::Vec};

use super::{super::*, laptop::*};
use crate::{
    Entropy, Obstacle, Reason,
    api::PairingMode,
    crypto::Identity,
    device::{
        control::PairRequest,
        files::{BindingRecord, Document, PendingPairing},
        incarnation::Incarnation,
        link::LinkState,
        pairing::tests::desk::{approval, key_set, mint_answer},
        uplink::testing::{record, relay},
    },
    effect::{Closed, Effect, IoEvent, StateFile},
};

fn pair(mode: PairingMode) -> Request {
    Request::Pair(PairRequest { mode, org: None, name: None }, Entropy::new([7; 32]))
}

/// A code is shown; the file of the pairing.
fn show(laptop: &mut Laptop, mode: PairingMode) -> PendingPairing {
    laptop.take_said();
    laptop.request(1, pair(mode));
    assert_eq!(laptop.take_said(), [Output::Answer(RequestId(1), Ok(Answer::Done))]);
    laptop.answer(201, &mint_answer());
    let (file, contents) = laptop.stored();
    assert_eq!(file, StateFile::PendingPairing);
    PendingPairing::parse(contents.unwrap().expose()).unwrap()
}

/// The user approved: up to the hand-over.
fn approve(laptop: &mut Laptop, pending: &PendingPairing) {
    laptop.take_said();
    laptop.pass(Duration::from_secs(2));
    approve_waiting(laptop, pending);
}

fn approve_waiting(laptop: &mut Laptop, pending: &PendingPairing) {
    let mut approval = approval(&Identity::from_seed(pending.seed.clone()), |_| {});
    approval["relay"]["static_keys"][0] = relay().static_key().to_base64url().into();
    laptop.answer(200, &approval);
    laptop.answer(200, &key_set());
}

/// The clients that wait for the pairing are told.
fn take_events(laptop: &mut Laptop) -> Vec<PairEvent> {
    let said = laptop.take_said().into_iter();
    said.filter_map(|output| if let Output::Pairing(event) = output { Some(event) } else { None }).collect()
}

/// S4, S14, S62: the code is shown, the binding made durable, the pairing's file removed; then the waiting client is told that it
/// is done, and the next pairing may begin.
#[test]
fn a_pairing_ends_with_a_binding() {
    let mut laptop = Laptop::new();
    let pending = show(&mut laptop, PairingMode::New);
    let shown = laptop.daemon.report().pairing.unwrap();
    assert_eq!((&shown.code[..], &shown.url[..], shown.expires_in), (&pending.code[..], &pending.url[..], 900));
    assert_eq!(laptop.take_said(), [Output::Log(Event::PairingShown), Output::Pairing(PairEvent::Code(shown))]);
    laptop.request(2, pair(PairingMode::New));
    assert_eq!(laptop.take_answers(), [(2, Err(Reason::PairingInProgress))]);
    approve(&mut laptop, &pending);
    assert_eq!([laptop.stored().0, laptop.stored().0], [StateFile::Identity(org().org, 0), StateFile::Config]);
    let said = laptop.take_said();
    let [Output::Log(Event::Paired(workspace))] = &said[..] else { panic!("{said:?}") };
    assert_eq!((workspace.id.clone(), &workspace.name[..]), (org().org, "Acme Engineering"));
    assert_eq!(laptop.settle(), (vec![], vec![StateFile::PendingPairing]));
    assert_eq!(laptop.take_said(), [Output::Pairing(PairEvent::Paired { org: workspace.clone(), refreshed: false })]);
    assert_eq!((laptop.daemon.report().pairing, laptop.daemon.report().bindings.len()), (None, 1));
    laptop.request(3, pair(PairingMode::New));
    assert_eq!(laptop.take_answers(), [(3, Err(Reason::AlreadyPaired))], "S48");
}

/// What is said late of a pairing that has ended is not taken for the next one's.
#[test]
fn a_pairing_is_told_from_the_one_before_it() {
    let mut laptop = Laptop::new();
    let late = |life| IoEvent::Stored(EffectId::Pairing(Incarnation(life), crate::device::pairing::EffectId::Save));
    for life in 1..=2 {
        laptop.net.clear();
        laptop.request(1, pair(PairingMode::New));
        laptop.answer(201, &mint_answer());
        laptop.happens(late(3 - life));
        assert_eq!(laptop.daemon.report().pairing, None);
        laptop.happens(late(life));
        assert!(laptop.daemon.report().pairing.is_some());
        laptop.request(2, Request::CancelPairing);
        laptop.files.clear();
        laptop.happens(IoEvent::Stored(EffectId::Pairing(Incarnation(life), crate::device::pairing::EffectId::Forget)));
        assert_eq!(laptop.stats(), [0, u64::from(life), 0]);
    }
}

/// A cancelled pairing is answered, and said to have failed, when nothing of it is left.
#[test]
fn a_pairing_that_is_cancelled_is_answered_at_its_end() {
    let mut laptop = Laptop::new();
    show(&mut laptop, PairingMode::New);
    laptop.take_said();
    for id in [2, 3] {
        laptop.request(id, Request::CancelPairing);
    }
    assert_eq!(laptop.take_said(), []);
    laptop.settle();
    let reason = Reason::PairingCancelled;
    let failed = [Output::Log(Event::PairingFailed(reason, None)), Output::Pairing(PairEvent::Failed { reason, obstacle: None })];
    let answers = [2, 3].map(|id| Output::Answer(RequestId(id), Ok(Answer::Done)));
    assert_eq!(laptop.take_said(), [failed, answers].concat());
    laptop.request(4, Request::CancelPairing);
    assert_eq!(laptop.take_answers(), [(4, Ok(Answer::Done))], "there is none");
}

/// What is in the way of a pairing is said, and the pairing goes on.
#[test]
fn trouble_with_a_pairing_is_reported() {
    let mut laptop = Laptop::new();
    laptop.request(1, pair(PairingMode::New));
    laptop.take_said();
    laptop.answer(503, &"");
    let said = laptop.take_said();
    let (reason, obstacle) = (Reason::PlatformUnreachable, Some(Obstacle::Status(503)));
    let logged = Output::Log(Event::PairingTrouble(reason, obstacle));
    assert_eq!(said, [logged, Output::Pairing(PairEvent::Trouble { reason, obstacle })]);
    laptop.request(2, pair(PairingMode::New));
    assert_eq!(laptop.take_answers(), [(2, Err(Reason::PairingInProgress))]);
}

/// D1: pairing again with an org refreshes its binding. With the same runtime target it is the same binding with another key:
/// its sessions go on over a new link, the old one is closed, and what comes late for that is not taken for the new one's.
#[test]
fn a_refresh_that_keeps_the_target_takes_over() {
    let mut laptop = Laptop::paired();
    let mut old = laptop.up(&org());
    laptop.heard(&mut old);
    let (session, _) = (laptop.streams(SOURCE, BOUND), laptop.streams(OTHER, BOUND_TO_BETA));
    let pending = show(&mut laptop, PairingMode::Add);
    approve(&mut laptop, &pending);
    laptop.net.clear();
    laptop.settle();
    let closed: Vec<_> = laptop
        .net
        .iter()
        .filter_map(|effect| if let Effect::Close(effect_id, _) = effect { Some(effect_id) } else { None })
        .collect();
    assert_eq!(closed, [&old.effect_id]);
    assert!(!laptop.take_said().iter().any(|output| matches!(output, Output::ToSource(..))), "its sessions are told nothing");
    let mut new = laptop.up(&org());
    assert_ne!(new.effect_id, old.effect_id);
    let opened: Vec<_> = laptop.heard(&mut new).into_iter().filter_map(|frame| frame.head.session()).collect();
    assert_eq!(opened, [session]);
    let before = laptop.stats();
    laptop.happens(IoEvent::Closed(old.effect_id, Closed::ByUs));
    assert_eq!(laptop.stats(), [before[0], before[1] + 1, before[2]]);
    assert_eq!(laptop.daemon.report().bindings[0].link, LinkState::Connected);
}

/// D2: a session that was over and goes on counts as running again: a binding that is replaced then drains until it ends.
#[test]
fn a_session_that_goes_on_holds_its_binding() {
    let old = BindingId { runtime_target: "r0".parse().unwrap(), ..org() };
    let before = BindingRecord { runtime_target_id: old.runtime_target.clone(), ..record() };
    let config = Some(config(vec![before, beta_record()]));
    let mut laptop = Laptop::boot(&StoredState { config, ..with_pins([pin(1, &old, 1)]) });
    laptop.pass(RETURN_WITHIN);
    laptop.again(SOURCE, numbered(1));
    let pending = show(&mut laptop, PairingMode::Add);
    approve(&mut laptop, &pending);
    laptop.settle();
    let log = laptop.take_log();
    assert!(log.contains(&Event::Draining(old.clone())) && !log.contains(&Event::Cut(old, None)), "{log:?}");
    assert_eq!(laptop.daemon.report().sessions.len(), 1);
}

/// D1: pairing again with the same organization, a daemon says that the binding was refreshed.
#[test]
fn a_refresh_is_reported_as_one() {
    for old in ["r1", "r0"] {
        let record = BindingRecord { runtime_target_id: old.parse().unwrap(), ..record() };
        let mut laptop = Laptop::boot(&StoredState { config: Some(config(vec![record, beta_record()])), ..found() });
        let pending = show(&mut laptop, PairingMode::Add);
        approve(&mut laptop, &pending);
        laptop.settle();
        let events = take_events(&mut laptop);
        assert!(matches!(events[..], [PairEvent::Paired { refreshed: true, .. }]), "{old}: {events:?}");
    }
    let identities = vec![key_of(&beta().org, 0, 4)];
    let mut laptop = Laptop::boot(&StoredState { config: Some(config(vec![beta_record()])), identities, ..found() });
    let pending = show(&mut laptop, PairingMode::Add);
    approve(&mut laptop, &pending);
    laptop.settle();
    assert!(matches!(take_events(&mut laptop)[..], [PairEvent::Paired { refreshed: false, .. }]));
}

/// S22, PAIR-9: a pairing that waits goes on after a restart. Where its binding is durable already only its file is left to go.
#[test]
fn a_pairing_is_taken_up_after_a_restart() {
    let mut laptop = Laptop::new();
    let pending = show(&mut laptop, PairingMode::Add);
    let mut again = Laptop::boot(&StoredState { pending: Some(pending.write().unwrap()), ..found() });
    assert_eq!(again.daemon.report().pairing.map(|shown| shown.code), Some(pending.code.clone()));
    again.request(2, pair(PairingMode::Add));
    assert!(again.take_answers().contains(&(2, Err(Reason::PairingInProgress))));
    let durable = PendingPairing { seed: crate::secret::Secret::new([3; 32]), ..pending };
    let mut again = Laptop::boot(&StoredState { pending: Some(durable.write().unwrap()), ..found() });
    assert_eq!(again.settle(), (vec![], vec![StateFile::PendingPairing]));
    assert_eq!(again.daemon.report().pairing, None);
    again.request(2, pair(PairingMode::Add));
    assert_eq!(again.take_answers(), [(2, Ok(Answer::Done))]);
}

/// PAIR-10: a binding that may not be taken ends the pairing, with the reason.
#[test]
fn a_binding_that_is_refused_fails_the_pairing() {
    let mut laptop = Laptop::new();
    let pending = show(&mut laptop, PairingMode::New);
    let mut again = Laptop::boot(&StoredState { pending: Some(pending.write().unwrap()), ..found() });
    again.take_said();
    again.pass(Duration::from_secs(2));
    approve_waiting(&mut again, &pending);
    again.settle();
    let reason = Reason::OrgAlreadyBound;
    assert_eq!(take_events(&mut again), [PairEvent::Failed { reason, obstacle: None }]);
}

/// The wall clock was set: when a code ends is written down by the new one.
#[test]
fn a_pairing_is_told_of_a_suspend() {
    let mut laptop = Laptop::new();
    laptop.request(1, pair(PairingMode::New));
    laptop.clock(WallClock::new(START, UNIX.plus(600)));
    laptop.answer(201, &mint_answer());
    let pending = PendingPairing::parse(laptop.stored().1.unwrap().expose()).unwrap();
    assert_eq!(pending.expires_at, UNIX.plus(600 + 900));
}
