//! A relay that forges what it sends to viewers: nothing is accepted that the platform or a daemon did not sign or seal (D14).

use std::time::Duration;

use bytes::Bytes;
use proto_core::{
    Machine, Reason, SessionId,
    crypto::Identity,
    device::{viewer::MAX_SESSIONS, watcher},
    id::DeviceKind,
    jose::{Confirmation, Thumbprint},
    secret::Secret,
    wire::{Frame, Head, Outcome},
};

use crate::{World, bound};

const MADE_UP: SessionId = SessionId([0xee; 16]);

fn open(session: SessionId, cipher: u8, voucher: impl Into<Bytes>) -> Frame {
    Frame { head: Head::Open { session, cipher }, body: voucher.into() }
}

/// A world, a watcher, and the run that is watched.
fn watched() -> (World, usize, usize) {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    let watcher = world.watcher("acme");
    (world, watcher, run)
}

/// A credential that the platform really signed, for some other device.
fn credential(world: &mut World, slug: &str, kind: DeviceKind) -> String {
    let identity = Identity::from_seed(Secret::new([9; 32]));
    let confirmation =
        Confirmation { static_key: identity.static_key(), identity: Thumbprint::of_identity_key(identity.identity_key()) };
    let (org, unix) = (world.org(slug), world.unix());
    world.platform.enrol(&org, kind, "another", confirmation, unix).issue_token.expose().to_owned()
}

#[test]
fn a_session_under_an_unknown_cipher_is_not_listed() {
    let (mut world, watcher, _) = watched();
    let before = world.watchers[watcher].viewer().ignored();
    world.forge_to_watcher(watcher, open(MADE_UP, 7, "voucher"));
    world.settle();
    assert!(!world.watchers[watcher].listed.contains(&MADE_UP));
    assert_eq!(world.watchers[watcher].viewer().ignored(), before + 1);
}

/// Only a daemon of the viewer's own org vouches for a session, whatever else the platform signed.
#[test]
fn only_a_daemon_of_the_same_org_vouches_for_a_session() {
    for (slug, kind) in [("acme", DeviceKind::Viewer), ("oss", DeviceKind::Daemon)] {
        let mut world = bound(&["acme", "oss"]);
        let watcher = world.watcher("acme");
        let voucher = credential(&mut world, slug, kind);
        world.forge_to_watcher(watcher, open(MADE_UP, 1, voucher));
        world.watch(watcher, MADE_UP);
        world.settle();
        assert_eq!(world.watchers[watcher].failed.get(&MADE_UP), Some(&Reason::TokenWrongAudience), "{slug} {kind:?}");
    }
}

/// While the platform cannot be asked about a credential the relay shows another one, which is none: there is nothing to verify,
/// and once a good one comes the session is read.
#[test]
fn a_voucher_that_is_replaced_before_it_is_verified_is_ignored() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    world.show(run, "something");
    world.watchers_reach_platform = false;
    let watcher = world.watcher("acme");
    let session = world.laptop.runs[run].id().unwrap();
    let voucher = world.relay("acme").entries.first().unwrap().1.token.expose().to_owned();
    let (now, machine) = (world.now, &mut world.watchers[watcher].watcher);
    machine.handle_input(now, watcher::Input::Watch(session)).unwrap();
    world.forge_to_watcher(watcher, open(session, 2, "no credential"));
    world.pass(Duration::from_mins(1));
    world.watchers_reach_platform = true;
    world.pass(Duration::from_mins(6));
    assert_eq!(world.watchers[watcher].records.get(&session), None);
    assert_eq!(world.watchers[watcher].failed.get(&session), None);
    world.forge_to_watcher(watcher, open(session, 2, voucher));
    world.settle();
    world.pass(Duration::from_mins(1));
    assert_eq!(world.watchers[watcher].records[&session].len(), world.laptop.runs[run].shown.len());
}

/// Garbage in the place of the daemon's answers delays nothing: it may come from an attacker.
#[test]
fn garbage_in_place_of_a_daemons_answer_changes_nothing() {
    for answers in 0..3 {
        let (mut world, watcher, run) = watched();
        world.show(run, "something");
        world.settle();
        let session = world.laptop.runs[run].id().unwrap();
        world.relay("acme").frames.clear();
        world.watch(watcher, session);
        let said = |world: &World| {
            let frames = world.relays.values().flat_map(|relay| &relay.frames);
            frames.filter(|(_, frame)| matches!(frame.head, Head::Peer { .. })).count()
        };
        while said(&world) < answers {
            assert!(world.step(), "the daemon answers");
        }
        let garbage = Frame { head: Head::Peer { session, viewer: 0 }, body: Bytes::from_static(&[7; 64]) };
        world.forge_to_watcher(watcher, garbage);
        world.settle();
        assert_eq!(world.watchers[watcher].records[&session].len(), world.laptop.runs[run].shown.len(), "after {answers}");
        assert!(world.watchers[watcher].failed.is_empty());
    }
}

/// A relay can say that a stream was cut where it stands, but not that its command ended, nor that there was more or less of it.
#[test]
fn an_end_is_accepted_as_far_as_the_records_go() {
    for (missing, outcome, is_believed) in
        [(0, Outcome::Cut, true), (0, Outcome::Exited, false), (1, Outcome::Cut, false), (1, Outcome::Exited, false)]
    {
        let (mut world, watcher, run) = watched();
        let session = world.laptop.runs[run].id().unwrap();
        world.show(run, "one");
        world.show(run, "two");
        world.watch(watcher, session);
        world.settle();
        let shown = world.watchers[watcher].records[&session].len() as u64;
        world.forge_to_watcher(watcher, Head::End { session, next: shown + missing, outcome });
        world.settle();
        let (ended, failed) = (world.watchers[watcher].ended.get(&session), world.watchers[watcher].failed.get(&session));
        let expected = if is_believed { (Some(&outcome), None) } else { (None, Some(&Reason::RecordForged)) };
        assert_eq!((ended, failed), expected, "{missing} missing, {outcome:?}");
    }
}

/// L8: a relay that names sessions without end fills nothing, and those in mind stay.
#[test]
fn a_viewer_keeps_so_many_sessions_in_mind_and_no_more() {
    let (mut world, watcher, _) = watched();
    let numbered = |number: usize| SessionId((number as u128).to_be_bytes());
    let (now, listed) = (world.now, world.watchers[watcher].listed.len());
    let machine = &mut world.watchers[watcher].watcher;
    let mut watch = |number| machine.handle_input(now, watcher::Input::Watch(numbered(number))).unwrap();
    (listed..MAX_SESSIONS).for_each(&mut watch);
    watch(MAX_SESSIONS - 1);
    // What the viewer ignores counts for its watcher too.
    let ignored = |world: &World| world.watchers[watcher].watcher.ignored();
    let before = ignored(&world);
    world.watch(watcher, numbered(MAX_SESSIONS));
    world.forge_to_watcher(watcher, open(MADE_UP, 1, "voucher"));
    world.forge_to_watcher(watcher, open(numbered(MAX_SESSIONS - 1), 1, "voucher"));
    world.settle();
    assert_eq!(ignored(&world), before + 2);
    let watcher = &world.watchers[watcher];
    assert!(!watcher.listed.contains(&MADE_UP));
    assert!(watcher.listed.contains(&numbered(MAX_SESSIONS - 1)));
}
