//! Several bindings: add, replace, unpair, revoke.

use std::time::Duration;

use proto_core::{
    Reason,
    api::PairingMode,
    device::{
        control::{PairEvent, Unpaired},
        daemon::{Answer, Event},
        files::BindingState,
        link::LinkState,
    },
};
use verification::world::World;

use crate::{bound, stored};

/// S41, S48, S49, D1: nothing is overwritten by surprise, and no code is minted for it.
#[test]
fn a_paired_daemon_refuses_to_pair_again_before_it_mints() {
    let mut world = bound(&["acme"]);
    assert_eq!(world.pair(PairingMode::New, None), Err(Reason::AlreadyPaired));
    assert_eq!(world.pair(PairingMode::New, Some("acme")), Err(Reason::AlreadyPaired));
    assert_eq!(world.platform.minted, 1);
    assert!(world.is_connected("acme"));
}

/// S42, S43, S54, S135 to S143: a second binding stands beside the first, with a row and a health of its own.
#[test]
fn adding_keeps_what_there_is() {
    let mut world = World::with(&["acme", "oss"]);
    world.pair_with("acme", PairingMode::New);
    world.pair_with("oss", PairingMode::Add);
    assert!(world.is_connected("acme") && world.is_connected("oss"));
    world.relay("oss").is_up = false;
    world.restart_relay("oss");
    world.pass(Duration::from_millis(1));
    let report = world.laptop.daemon().report();
    assert_eq!((report.name.as_str(), report.version.as_str(), report.bindings.len()), ("laptop", "0.1.0", 2));
    let [acme, oss] = &report.bindings[..] else { panic!("{report:?}") };
    assert_eq!((acme.org.name.as_str(), acme.relay.as_str()), ("acme Inc.", "wss://relay-acme.example/ws"));
    assert_eq!((acme.link, acme.reason), (LinkState::Connected, None));
    assert!(matches!(oss.link, LinkState::Reconnecting { attempt: 1.., of: 5 }), "{oss:?}");
    assert!(oss.reason.is_some());
    // S145, D7: after the quick attempts it says so, goes on slowly, and is back once the relay is.
    world.pass(Duration::from_mins(2));
    assert_eq!(world.link("oss"), Some(LinkState::Disconnected));
    world.relay("oss").is_up = true;
    world.pass(Duration::from_mins(6));
    assert!(world.is_connected("oss") && world.is_connected("acme"));
}

/// S55, D1: `vpd pair --org X`, where X is not paired yet, is an explicit add; an approval for another org is refused.
#[test]
fn naming_an_unpaired_org_is_an_add() {
    let mut world = World::with(&["acme", "oss"]);
    world.pair_with("acme", PairingMode::New);
    world.pair(PairingMode::New, Some("oss")).unwrap();
    let (code, acme, now) = (world.code().unwrap(), world.org("acme"), world.unix());
    world.platform.misissue(&code, &acme, now);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.laptop.pairing.last(), Some(&PairEvent::Failed { reason: Reason::OrgMismatch, obstacle: None }));
    world.pair(PairingMode::New, Some("oss")).unwrap();
    world.approve("oss");
    world.pass(Duration::from_secs(5));
    assert!(world.is_connected("acme") && world.is_connected("oss"));
}

/// S44 to S47, S53, D2: the old binding drains: its running session goes on to its end, new ones go to the new org, and then
/// neither record nor key of it is left.
#[test]
fn replacing_drains_the_old_org() {
    let mut world = bound(&["acme"]);
    world.found("oss", proto_core::api::PolicyMode::Standard);
    let old = world.run("/work/acme");
    world.show(old, "before");
    world.pair_with("oss", PairingMode::Replace);
    world.bind("/work/oss", "oss").unwrap();
    let report = world.laptop.daemon().report();
    assert_eq!(
        report.bindings.iter().map(|row| (row.org.slug.as_str(), row.draining)).collect::<Vec<_>>(),
        [("acme", true), ("oss", false)]
    );
    assert_eq!(world.laptop.config().bindings.iter().filter(|record| record.state == BindingState::Draining).count(), 1);

    let refused = world.run("/work/acme");
    assert_eq!(world.laptop.runs[refused].org(), None);
    let new = world.run("/work/oss");
    assert_eq!(world.laptop.runs[new].org(), Some(&world.org("oss")));
    world.show(old, "after");
    world.exit(old);
    world.settle();
    assert!(world.laptop.runs[old].is_delivered());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.link("acme"), None);
    assert_eq!((world.laptop.config().bindings.len(), world.laptop.seeds().len()), (1, 1));
    world.show(new, "goes on");
    world.settle();
    assert_eq!(stored(&world, new).len(), 1);
}

/// D1, BIND-1: pairing again with an org that is bound, on purpose, refreshes it: the old key goes when its session ends.
#[test]
fn adding_a_bound_org_refreshes_it() {
    let mut world = bound(&["acme"]);
    let before = world.laptop.seeds();
    world.pair_with("acme", PairingMode::Add);
    assert!(matches!(world.laptop.pairing.last(), Some(PairEvent::Paired { refreshed: true, .. })));
    world.pass(Duration::from_secs(5));
    assert!(world.is_connected("acme"));
    assert_eq!(world.laptop.config().bindings.len(), 1);
    assert!(world.laptop.seeds().len() == 1 && world.laptop.seeds() != before);
}

/// S50 to S52, S118, S130, S131, S214, S215, BIND-5: the same end online, offline and without the platform; at once, and plain
/// `vpd pair` works again. The command that ran goes on.
#[test]
fn unpairing_ends_the_same_online_and_offline() {
    for is_online in [true, false] {
        let mut world = bound(&["acme"]);
        let run = world.run("/work/acme");
        world.show(run, "seen");
        world.settle();
        world.set_online(is_online);
        world.platform.is_up = is_online;
        let by = if is_online { None } else { Some("acme") };
        let answer = world.unpair(by);
        assert!(matches!(&answer, Ok(Answer::Unpaired(Unpaired { org })) if org.slug == "acme"), "{answer:?}");
        assert!(world.laptop.config().bindings.is_empty() && world.laptop.seeds().is_empty() && world.laptop.pins().is_empty());
        assert_eq!(world.laptop.runs[run].cut, Some(Reason::SessionCut));
        let sent = world.relay("acme").frames.len();
        world.show(run, "unseen");
        world.pass(Duration::from_mins(10));
        assert_eq!(world.relay("acme").frames.len(), sent);
        assert_eq!(world.laptop.runs[run].shown.len(), 2);
        assert_eq!(world.unpair(None), Err(Reason::NotPaired));
        world.set_online(true);
        world.platform.is_up = true;
        world.pair_with("acme", PairingMode::New);
        world.pass(Duration::from_secs(5));
        assert!(world.is_connected("acme"));
    }
}

/// BIND-5: a disk that fails for a while keeps neither the binding's key nor its sessions'.
#[test]
fn unpairing_with_a_failing_disk_leaves_no_key_in_the_end() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    world.show(run, "seen");
    world.settle();
    world.laptop.disk_works = false;
    world.ask(proto_core::device::daemon::Request::Unpair(proto_core::device::control::UnpairRequest { org: None }));
    world.pass(Duration::from_secs(5));
    assert_eq!(world.laptop.pins().len(), 1);
    world.laptop.disk_works = true;
    world.pass(Duration::from_mins(2));
    assert!(world.laptop.config().bindings.is_empty() && world.laptop.seeds().is_empty() && world.laptop.pins().is_empty());
}

/// BIND-4, BIND-5: killed at any step of an unpairing, the binding is whole or gone after the next start.
#[test]
fn a_kill_while_unpairing_leaves_the_binding_whole_or_gone() {
    let (mut whole, mut gone) = (0, 0);
    for steps in 0..12 {
        let mut world = bound(&["acme"]);
        let request = proto_core::device::control::UnpairRequest { org: None };
        world.ask(proto_core::device::daemon::Request::Unpair(request));
        world.steps(steps);
        world.kill();
        world.boot();
        world.pass(Duration::from_secs(30));
        if world.laptop.config().bindings.is_empty() {
            gone += 1;
            assert_eq!(world.laptop.seeds(), []);
        } else {
            whole += 1;
            assert!(world.is_connected("acme"));
        }
    }
    assert!(whole > 0 && gone > 0, "{whole} whole, {gone} gone");
}

/// S122 to S129, S133, D3, BIND-6, BIND-7: a revocation cuts at once; the binding and its key go, the command goes on, and the
/// other org's session feels nothing.
#[test]
fn a_revocation_cuts_at_once_and_only_there() {
    let mut world = bound(&["acme", "oss"]);
    let (acme, oss) = (world.run("/work/acme"), world.run("/work/oss"));
    world.show(acme, "kept");
    world.show(oss, "one");
    world.settle();
    world.revoke("acme", true);
    world.settle();
    assert_eq!(world.laptop.runs[acme].cut, Some(Reason::MachineRevoked));
    assert_eq!(world.link("acme"), None);
    assert!(world.laptop.config().bindings.iter().all(|record| record.slug == "oss"));
    let kept = world.relay("acme").store.values().map(|stored| stored.records.len()).sum::<usize>();
    world.show(acme, "local only");
    world.show(oss, "two");
    world.pass(Duration::from_mins(1));
    assert_eq!(world.relay("acme").store.values().map(|stored| stored.records.len()).sum::<usize>(), kept);
    assert_eq!(kept, 1);
    assert_eq!(world.laptop.runs[acme].shown.len(), 2);
    assert_eq!(stored(&world, oss).len(), 2);
    assert!(world.laptop.log.iter().any(|event| matches!(event, Event::Cut(_, Some(Reason::MachineRevoked)))));
}

/// S125 to S127, S196: while it was not connected, the refusal at the next connect does the same; so does a deleted workspace.
#[test]
fn a_refusal_at_the_next_connect_deletes_the_binding() {
    for deleted in [false, true] {
        let mut world = bound(&["acme"]);
        world.set_online(false);
        world.pass(Duration::from_secs(1));
        if deleted {
            let org = world.org("acme");
            world.platform.orgs.get_mut(&org).unwrap().deleted = true;
        } else {
            world.revoke("acme", false);
        }
        world.set_online(true);
        world.pass(Duration::from_mins(1));
        assert!(world.laptop.config().bindings.is_empty() && world.laptop.seeds().is_empty());
        let why = if deleted { Reason::WorkspaceNotFound } else { Reason::MachineRevoked };
        assert!(world.laptop.log.iter().any(|event| matches!(event, Event::Cut(_, Some(reason)) if *reason == why)));
    }
}

/// BIND-6: a platform that refuses, and a relay that closes without saying so under its key, delete nothing.
#[test]
fn nothing_unauthenticated_deletes_a_binding() {
    let mut world = bound(&["acme"]);
    world.platform.lifetime = 60;
    world.relay("acme").is_up = false;
    world.restart_relay("acme");
    world.revoke("acme", false);
    world.pass(Duration::from_hours(3));
    assert_eq!(world.laptop.config().bindings.len(), 1);
}
