//! Viewers, and what they can be shown.

use std::time::Duration;

use proto_core::{
    Entropy, Machine, OrgId, Reason, Status,
    crypto::Identity,
    device::link::LinkState,
    id::DeviceKind,
    jose::{Confirmation, Thumbprint},
    noise::{InitiatorKeys, Noise, Symbolic},
    secret::{Secret, SecretText},
    wire::{Answer, Content, Frame, Head, Hello, Outcome, Pattern, Preamble, Role, Suite},
};
use verification::world::Tampering;

use crate::{World, bound};

fn contents(world: &World, watcher: usize, run: usize) -> Vec<Content> {
    let session = world.laptop.runs[run].id().unwrap();
    let records = world.watchers[watcher].records.get(&session);
    records.into_iter().flatten().map(|record| record.content.clone()).collect()
}

/// D14, S216: a viewer gets the key from the daemon and sees every record, live and stored ones, and the end.
#[test]
fn a_viewer_sees_it_all() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    world.show(run, "before anyone watched");
    let watcher = world.watcher("acme");
    let session = world.laptop.runs[run].id().unwrap();
    assert!(world.watchers[watcher].listed.contains(&session));
    world.watch(watcher, session);
    world.settle();
    world.show(run, "live");
    world.settle();
    assert_eq!(contents(&world, watcher, run), world.laptop.runs[run].shown);
    world.restart_relay("acme");
    world.show(run, "after a restart");
    world.pass(Duration::from_secs(30));
    world.exit(run);
    world.settle();
    assert_eq!(contents(&world, watcher, run), world.laptop.runs[run].shown);
    assert_eq!(world.watchers[watcher].ended[&session], Outcome::Exited);
    // A viewer that comes late sees the same, as long as the daemon is there to give the key.
    let late = world.watcher("acme");
    world.watch(late, session);
    world.settle();
    assert_eq!(contents(&world, late, run), world.laptop.runs[run].shown);
}

/// The daemon or the platform is away when a viewer wants to watch: it works once both are back.
#[test]
fn a_viewer_waits_for_daemon_and_platform() {
    for daemon_is_away in [true, false] {
        let mut world = bound(&["acme"]);
        let run = world.run("/work/acme");
        world.show(run, "something");
        world.settle();
        if daemon_is_away {
            world.kill();
        } else {
            world.watchers_reach_platform = false;
        }
        let watcher = world.watcher("acme");
        let session = world.laptop.runs[run].id().unwrap();
        world.watch(watcher, session);
        world.pass(Duration::from_mins(1));
        assert_eq!(contents(&world, watcher, run), []);
        if daemon_is_away {
            world.boot();
        }
        world.watchers_reach_platform = true;
        world.pass(Duration::from_mins(6));
        assert_eq!(contents(&world, watcher, run), world.laptop.runs[run].shown, "the daemon was away: {daemon_is_away}");
    }
}

/// SES-1 for the way back: a relay that changes, leaves out, reorders or ends early is found out.
#[test]
fn a_dishonest_relay_is_found_out() {
    for tampering in [Tampering::Forges(2), Tampering::Omits(2), Tampering::Swaps(2), Tampering::EndsBefore(2)] {
        let mut world = bound(&["acme"]);
        let run = world.run("/work/acme");
        let watcher = world.watcher("acme");
        let session = world.laptop.runs[run].id().unwrap();
        world.relay("acme").tampering = tampering;
        world.watch(watcher, session);
        world.settle();
        (0..5).for_each(|n| world.show(run, &format!("{n}")));
        world.exit(run);
        world.settle();
        assert_eq!(world.watchers[watcher].failed.get(&session), Some(&Reason::RecordForged), "{tampering:?}");
        assert_eq!(contents(&world, watcher, run), world.laptop.runs[run].shown[..2], "{tampering:?}");
    }
}

/// What the daemon answers to a message 1 that the relay hands it.
fn knock(world: &mut World, org: &OrgId, kind: DeviceKind, has_key: bool) -> Option<Answer> {
    let run = world.run("/work/acme");
    let session = world.laptop.runs[run].id().unwrap();
    let [identity, another] = [7, 8].map(|seed| Identity::from_seed(Secret::new([seed; 32])));
    let named = if has_key { &identity } else { &another };
    let confirmation =
        Confirmation { static_key: named.static_key(), identity: Thumbprint::of_identity_key(named.identity_key()) };
    let unix = world.unix();
    let token = world.platform.enrol(org, kind, "another", confirmation, unix).issue_token;
    let daemon = world.laptop.config().bindings.iter().find(|record| record.slug == "acme").unwrap().clone();
    let daemon = world.platform.targets[&daemon.runtime_target_id].record.holder.confirmation.static_key;
    let preamble = Preamble { suite: Suite::choose(Pattern::Ik, false), role: Role::Peer };
    let keys = InitiatorKeys { preamble, local: identity.static_keys(), responder: daemon, psk: None };
    let hello = Hello { token: SecretText::new(token.expose()), software: "viewer".into() };
    let (mut noise, message) = Symbolic::initiate(keys, Entropy::new([3; 32]), &hello.encode()).unwrap();
    world.relay("acme").frames.clear();
    world.forge("acme", Frame { head: Head::Peer { session, viewer: 99 }, body: message.into() });
    world.settle();
    let answers = &world.relay("acme").frames;
    let answer = answers.iter().find(|(_, frame)| matches!(frame.head, Head::Peer { viewer: 99, .. }))?;
    Some(Answer::decode(&noise.read_answer(&answer.1.body).unwrap()).unwrap())
}

/// D14, WIRE section 8: the daemon gives keys to viewers of its org who hold the key of their credential, and to no other peer,
/// whatever the relay lets through.
#[test]
fn nobody_else_gets_a_key() {
    let cases = [
        ("acme", DeviceKind::Viewer, true, None),
        ("oss", DeviceKind::Viewer, true, Some(Reason::TokenWrongAudience)),
        ("acme", DeviceKind::Daemon, true, Some(Reason::TokenWrongAudience)),
        ("acme", DeviceKind::Viewer, false, Some(Reason::TokenKeyMismatch)),
    ];
    for (slug, kind, has_key, refusal) in cases {
        let mut world = bound(&["acme", "oss"]);
        let org = world.org(slug);
        let answer = knock(&mut world, &org, kind, has_key).expect("an answer");
        let refused = if let Answer::Refused(refused) = answer { Some(refused.reason) } else { None };
        assert_eq!(refused, refusal, "{slug} {kind:?} {has_key}");
    }
}

/// LINK-1, S125: a viewer that was revoked is disconnected.
#[test]
fn a_revoked_viewer_is_disconnected() {
    let mut world = bound(&["acme"]);
    let watcher = world.watcher("acme");
    world.revoke("acme", true);
    world.settle();
    assert_eq!(world.watchers[watcher].failure(), Some(Reason::MachineRevoked));
    assert_eq!(world.watchers[watcher].disk.len(), 1, "config.json without bindings");
}

/// JWT-3, S145: after a suspend of two hours daemon and viewer are back within seconds, though their credentials ended meanwhile.
/// Where drivers say nothing of the clock, it takes refusals: the platform says what time it is (D19).
#[test]
fn daemon_and_viewer_reconnect_after_a_suspend() {
    for told in [true, false] {
        let mut world = bound(&["acme"]);
        let run = world.run("/work/acme");
        let watcher = world.watcher("acme");
        let session = world.laptop.runs[run].id().unwrap();
        world.watch(watcher, session);
        world.settle();
        world.suspend(Duration::from_hours(2));
        world.watchers[watcher].downs.clear();
        if told {
            world.wake();
        }
        world.show(run, "back again");
        world.pass(if told { Duration::from_secs(2) } else { Duration::from_hours(1) });
        let daemon_is_up = world.laptop.daemon().report().bindings[0].link == LinkState::Connected;
        let viewer_is_up = world.watchers[watcher].watcher.status() == Status::Running { waiting_for: "frames" };
        assert!(daemon_is_up && viewer_is_up, "{:?}", world.watchers[watcher].downs);
        assert_eq!(contents(&world, watcher, run), world.laptop.runs[run].shown);
        let refused = world.watchers[watcher].downs.contains(&Reason::TokenExpired);
        assert_eq!(refused, !told, "{:?}", world.watchers[watcher].downs);
    }
}
