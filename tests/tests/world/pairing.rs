//! Pairing, from the command to the connection.

use std::time::Duration;

use proto_core::{
    Reason,
    api::PairingMode,
    device::{
        control::PairEvent,
        daemon::{Answer, Request},
    },
    effect::StateFile,
};
use verification::world::World;

/// S1 to S6, S14, S19, S26, S38 to S40, S56 to S71: a code is shown, a user approves, and the daemon is connected within seconds,
/// with everything on disk that pairing yields.
#[test]
fn pairing_ends_connected() {
    let mut world = World::with(&["acme"]);
    world.pair(PairingMode::New, None).unwrap();
    let [PairEvent::Code(code)] = &world.laptop.pairing[..] else { panic!("{:?}", world.laptop.pairing) };
    assert!(code.code.len() == 8 && code.url.ends_with(&format!("/pair?code={}", code.code)));
    world.pass(Duration::from_mins(5));
    assert_eq!(world.laptop.config().bindings, []);
    world.approve("acme");
    world.pass(Duration::from_secs(3));
    assert!(matches!(&world.laptop.pairing[..], [_, PairEvent::Paired { org, refreshed: false }] if org.slug == "acme"));
    assert!(world.is_connected("acme"));
    let config = world.laptop.config();
    let [record] = &config.bindings[..] else { panic!("{config:?}") };
    assert_eq!((record.workspace_id.clone(), record.name.as_str()), (world.org("acme"), "acme Inc."));
    let target = &world.platform.targets[&record.runtime_target_id].record.holder;
    assert_eq!((&target.install, &target.machine), (&record.install_id, &record.machine_id));
    assert_eq!(world.laptop.seeds().len(), 1);
    assert_eq!(world.code(), None);
    assert!(!world.laptop.disk.contains_key(&StateFile::PendingPairing));
}

/// S8, S10, S12: no user approves.
#[test]
fn a_code_that_nobody_approves_expires() {
    let mut world = World::with(&["acme"]);
    world.pair(PairingMode::New, None).unwrap();
    world.pass(Duration::from_mins(16));
    assert_eq!(world.laptop.pairing.last(), Some(&PairEvent::Failed { reason: Reason::CodeExpired, obstacle: None }));
    assert!(world.laptop.disk.is_empty());
}

/// S12: the browser says no.
#[test]
fn a_denied_code_pairs_nothing() {
    let mut world = World::with(&["acme"]);
    world.pair(PairingMode::New, None).unwrap();
    let code = world.code().unwrap();
    let unix = world.unix();
    world.platform.deny(&code, unix);
    world.pass(Duration::from_secs(3));
    assert_eq!(world.laptop.pairing.last(), Some(&PairEvent::Failed { reason: Reason::PairingDenied, obstacle: None }));
    assert!(world.laptop.disk.is_empty());
}

/// S20, S51: after Ctrl-C the next `vpd pair` mints a fresh code, and only that one counts.
#[test]
fn a_cancelled_pairing_makes_room_for_the_next() {
    let mut world = World::with(&["acme"]);
    world.pair(PairingMode::New, None).unwrap();
    let first = world.code().unwrap();
    assert_eq!(world.pair(PairingMode::New, None), Err(Reason::PairingInProgress));
    assert_eq!(world.answer(Request::CancelPairing), Ok(Answer::Done));
    assert_eq!(world.laptop.pairing.last(), Some(&PairEvent::Failed { reason: Reason::PairingCancelled, obstacle: None }));
    world.pair_with("acme", PairingMode::New);
    assert_ne!(world.platform.minted, 1);
    assert!(world.laptop.pairing.iter().any(|event| matches!(event, PairEvent::Code(code) if code.code != first)));
}

/// D1: a client that is told that a pairing is through can begin the next one at once.
#[test]
fn a_pairing_that_is_through_makes_room_for_the_next() {
    let mut world = World::with(&["acme", "beta"]);
    world.pair(PairingMode::New, None).unwrap();
    world.approve("acme");
    while !world.pairing_ended() {
        if !world.step() {
            world.wait();
        }
    }
    assert_eq!(world.pair(PairingMode::Add, None), Ok(Answer::Done));
}

/// PAIR-2, PAIR-7: what the platform answers to a pairing that was cancelled is no answer to the one after it.
#[test]
fn a_late_answer_to_a_cancelled_pairing_is_ignored() {
    // Cancelled before each step of the first one, whatever was under way then.
    for steps in 0..14 {
        let mut world = World::with(&["acme"]);
        let entropy = world.entropy();
        let request = proto_core::device::control::PairRequest { mode: PairingMode::New, org: None, name: None };
        world.ask(Request::Pair(request, entropy));
        for _ in 0..steps {
            world.step();
        }
        world.ask(Request::CancelPairing);
        while !world.pairing_ended() {
            assert!(world.step());
        }
        world.laptop.pairing.clear();
        world.pair_with("acme", PairingMode::New);
        world.pass(Duration::from_mins(1));
        assert!(world.is_connected("acme"), "cancelled after {steps} steps");
        assert_eq!(world.laptop.seeds().len(), 1);
    }
}

/// S22, S23, PAIR-6, PAIR-8, PAIR-9, BIND-4: killed at any step of a pairing and started again, the daemon ends paired and
/// connected, or unpaired with nothing left; never with half of it.
#[test]
fn a_kill_at_any_step_leaves_it_paired_or_cleanly_not() {
    let (mut paired, mut not_paired) = (0, 0);
    for steps in 0.. {
        let mut world = World::with(&["acme"]);
        if !kill_after(&mut world, steps) {
            break;
        }
        world.pass(Duration::from_mins(20));
        let config = world.laptop.config();
        assert!(!world.laptop.disk.contains_key(&StateFile::PendingPairing), "after {steps} steps");
        if config.bindings.is_empty() {
            not_paired += 1;
            assert_eq!(world.laptop.seeds(), [], "after {steps} steps");
        } else {
            paired += 1;
            assert!(world.is_connected("acme"), "after {steps} steps");
            assert_eq!((config.bindings.len(), world.laptop.seeds().len()), (1, 1), "after {steps} steps");
        }
    }
    assert!(paired > 10 && not_paired > 3, "{paired} paired, {not_paired} not");
}

/// Pairs, approving as soon as a code is shown, and kills the daemon after so many steps. False when it was through before that.
fn kill_after(world: &mut World, steps: usize) -> bool {
    let entropy = world.entropy();
    world.ask(Request::Pair(proto_core::device::control::PairRequest { mode: PairingMode::New, org: None, name: None }, entropy));
    let mut left = steps;
    let mut is_approved = false;
    while left > 0 {
        if !world.step() {
            if world.is_connected("acme") {
                return false;
            }
            if world.code().is_some() && !is_approved {
                world.approve("acme");
                is_approved = true;
            }
            world.wait();
            continue;
        }
        left -= 1;
    }
    if world.code().is_some() && !is_approved {
        world.approve("acme");
    }
    world.kill();
    world.boot();
    true
}

/// PAIR-4: a platform that is gone for minutes, and a network that is lost, do not end a pairing.
#[test]
fn a_pairing_survives_an_outage() {
    let mut world = World::with(&["acme"]);
    world.pair(PairingMode::New, None).unwrap();
    world.platform.is_up = false;
    world.pass(Duration::from_mins(4));
    world.platform.is_up = true;
    world.approve("acme");
    world.set_online(false);
    world.pass(Duration::from_mins(4));
    assert!(!world.pairing_ended());
    world.set_online(true);
    world.pass(Duration::from_mins(1));
    assert!(world.is_connected("acme"));
}
