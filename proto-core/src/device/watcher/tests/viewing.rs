//! What a watcher does with its viewer's outputs.

use alloc::vec;
use core::time::Duration;

use super::*;
use crate::{api::Renewed, device::uplink::testing::token};

/// What the platform says when the credential is renewed.
fn renewed() -> alloc::string::String {
    let endpoint = crate::api::RelayEndpoint { url: "wss://relay.example/ws".into(), static_keys: vec![relay().static_key()] };
    serde_json::to_string(&Renewed { issue_token: token(2, UNIX), relay: endpoint }).unwrap()
}

/// PAIR-8: a renewed credential is shown to the relay once it is durable, and not before.
#[test]
fn a_renewed_credential_is_durable_before_it_is_used() {
    let mut bench = Bench::paired(Goal::Chosen);
    let mut relay = bench.up();
    bench.heard(&mut relay);
    bench.clock(UNIX.plus(3_599));
    bench.answer(of_rotation, 200, &renewed());
    assert_eq!(bench.heard(&mut relay), []);
    let (file, contents) = bench.stored();
    assert_eq!(file, StateFile::Config);
    let config = Config::parse(contents.unwrap().expose()).unwrap();
    assert_eq!(config.bindings[0].generation, 2);
    assert_eq!(bench.heard(&mut relay), [Head::Rotate { token: token(2, UNIX) }.into()]);
}

/// S125, S128: what the relay ends under its pinned key leaves neither record nor key; nothing else does.
#[test]
fn a_revocation_ends_the_binding() {
    let mut bench = Bench::paired(Goal::Chosen);
    let mut relay = bench.up();
    bench.tell(&mut relay, Head::Revoke { reason: Reason::MachineRevoked });
    bench.closes(relay.effect_id, None);
    assert_eq!(bench.waits_for(), "record and key to be removed");
    assert_eq!(bench.settle(), (vec![StateFile::Config], vec![StateFile::Identity(org(), 0)]));
    assert_eq!(bench.watcher.status(), Status::Failed(&Reason::MachineRevoked));
    for reason in [Reason::MachineRevoked, Reason::TokenExpired, Reason::RelayFull] {
        let mut bench = Bench::paired(Goal::Chosen);
        let relay = bench.up();
        bench.closes(relay.effect_id, Some(reason));
        assert_eq!((bench.files.len(), bench.watcher.bindings().workspaces().len()), (0, 1), "{reason:?}");
        assert!(matches!(bench.watcher.status(), Status::Running { .. }));
    }
}

/// F9: a person drops the pairing: neither record nor key stays, and no approval is asked for; where there is none, that is said.
#[test]
fn a_pairing_may_be_dropped() {
    let mut bench = Bench::paired(Goal::Leave);
    assert_eq!((bench.net.len(), bench.waits_for()), (0, "record and key to be removed"));
    assert_eq!(bench.settle(), (vec![StateFile::Config], vec![StateFile::Identity(org(), 0)]));
    assert_eq!((bench.watcher.status(), bench.watcher.bindings().workspaces().len()), (Status::Finished, 0));
    let mut bench = Bench::paired(Goal::Leave);
    let (effect_id, ..) = bench.files.pop_front().unwrap();
    bench.happens(IoEvent::NotStored(effect_id));
    assert_eq!(bench.take_said(), [Output::Trouble(Reason::StateNotWritten)]);
    bench.input(Input::Stop);
    assert_eq!(bench.watcher.status(), Status::Failed(&Reason::StateNotWritten));
    for (found, org, reason) in [
        (StoredState::default(), None, Reason::NotPaired),
        (found(vec![record()]), Some("beta"), Reason::OrgUnknown),
        (found(vec![record(), beta_record()]), None, Reason::OrgAmbiguous),
    ] {
        let bench = Bench::boot(&found, org, Goal::Leave);
        assert_eq!((bench.watcher.status(), bench.net.len()), (Status::Failed(&reason), 0));
    }
}

/// Removing a key is tried again when the disk fails, and the person is told; a stop ends the wait.
#[test]
fn a_key_that_cannot_be_removed_is_tried_again() {
    let mut bench = Bench::paired(Goal::Chosen);
    let mut relay = bench.up();
    bench.tell(&mut relay, Head::Revoke { reason: Reason::MachineRevoked });
    bench.closes(relay.effect_id, None);
    bench.take_said();
    let (effect_id, ..) = bench.files.pop_front().unwrap();
    bench.happens(IoEvent::NotStored(effect_id));
    assert_eq!(bench.take_said(), [Output::Trouble(Reason::StateNotWritten)]);
    bench.pass(Duration::from_mins(1));
    assert_eq!(bench.files.len(), 1);
    bench.input(Input::Stop);
    assert_eq!(bench.watcher.status(), Status::Failed(&Reason::MachineRevoked));
}

/// Ctrl-C closes the link; nothing that comes afterwards changes the end (L4).
#[test]
fn a_stop_closes_the_link() {
    let mut bench = Bench::paired(Goal::TheOnly);
    let relay = bench.up();
    bench.input(Input::Stop);
    assert_eq!(bench.watcher.status(), Status::Finished);
    assert!(bench.net.iter().any(|effect| matches!(effect, Effect::Close(effect_id, _) if *effect_id == relay.effect_id)));
    bench.net.clear();
    bench.closes(relay.effect_id, None);
    bench.clock(UNIX.plus(7_200));
    bench.pass(Duration::from_hours(1));
    assert_eq!((bench.watcher.status(), bench.watcher.poll_timeout(), bench.net.len()), (Status::Finished, None, 0));
}

/// After a suspend the wall clock is ahead and the monotonic clock is not: the credential is renewed, and the link tried, at once.
#[test]
fn a_watcher_that_slept_renews_and_dials_at_once() {
    let mut bench = Bench::paired(Goal::Chosen);
    let relay = bench.up();
    // The attempts go on every five minutes by now.
    let mut effect_id = relay.effect_id;
    for _ in 0..7 {
        bench.closes(effect_id, None);
        bench.pass(Duration::from_mins(6));
        effect_id = bench.dialled().pop().unwrap();
    }
    bench.closes(effect_id, None);
    bench.net.clear();
    bench.clock(UNIX.plus(2 * 3_600));
    bench.pass(Duration::ZERO);
    assert_eq!(bench.dialled().len(), 1);
    let is_renewal = |effect: &Effect<EffectId>| matches!(effect, Effect::Http(_, request) if request.url.ends_with("/rotate"));
    assert!(bench.net.iter().any(is_renewal), "{:?}", bench.net);
}

/// A fingerprint tells watchers apart by where they stand.
#[test]
fn a_fingerprint_is_that_of_what_it_knows() {
    let fingerprint = |bench: &Bench| crate::testing::fingerprint(&bench.watcher);
    let mut bench = Bench::paired(Goal::Chosen);
    let before = fingerprint(&bench);
    assert_eq!(before, fingerprint(&Bench::paired(Goal::Chosen)));
    bench.input(Input::Watch(numbered(1)));
    assert_ne!(before, fingerprint(&bench));
}
