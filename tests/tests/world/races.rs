//! Things that happen at an awkward moment.

use std::time::Duration;

use proto_core::{
    Reason,
    api::PairingMode,
    device::{bridge, daemon::Answer},
    effect::StateFile,
};

use crate::{bound, stored};

/// D1: a refresh that keeps the runtime target is the same binding with another key. Its session goes on over the new link.
#[test]
fn a_refresh_that_keeps_the_runtime_target_keeps_its_sessions() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    world.show(run, "before");
    world.settle();
    world.platform.keeps_targets = true;
    world.pair_with("acme", PairingMode::Add);
    world.pass(Duration::from_secs(10));
    assert!(world.is_connected("acme"));
    assert_eq!(world.platform.targets.len(), 1);
    world.show(run, "after");
    world.exit(run);
    world.pass(Duration::from_secs(10));
    assert!(world.laptop.runs[run].is_delivered());
    assert_eq!(stored(&world, run), world.laptop.runs[run].shown);
}

/// S50: `vpd unpair` while the same org is being adopted: the pairing fails, and nothing is left.
#[test]
fn an_unpairing_while_the_binding_is_being_adopted_wins() {
    let mut world = bound(&["acme"]);
    world.pair(PairingMode::Add, None).unwrap();
    world.laptop.disk_moves = false;
    world.approve("acme");
    world.pass(Duration::from_secs(5));
    let request =
        world.ask(proto_core::device::daemon::Request::Unpair(proto_core::device::control::UnpairRequest { org: None }));
    world.settle();
    world.move_disk();
    world.pass(Duration::from_secs(5));
    assert!(matches!(world.laptop.answers[&request], Ok(Answer::Unpaired(_))));
    assert!(world.pairing_ended());
    assert!(world.laptop.config().bindings.is_empty() && world.laptop.seeds().is_empty());
    assert!(!world.laptop.disk.contains_key(&StateFile::PendingPairing));
}

/// The binding goes while a session is being pinned to it: nothing streams, and no pin stays.
#[test]
fn a_binding_that_goes_while_a_session_is_pinned_leaves_no_pin() {
    for steps in 0..12 {
        let mut world = bound(&["acme"]);
        let run = world.begin_run("/work/acme");
        world.steps(steps);
        world.unpair(None).unwrap();
        world.settle();
        assert!(world.laptop.pins().is_empty(), "after {steps} steps");
        assert!(world.laptop.runs[run].cut.is_some(), "after {steps} steps");
        assert!(matches!(world.laptop.runs[run].cut, Some(Reason::SessionCut | Reason::OrgUnknown)) || steps == 0);
    }
}

/// SES-1: the link comes and goes while a session's maker attaches, goes and comes back; nothing waits for ever.
#[test]
fn no_order_of_comings_and_goings_stalls_a_session() {
    for seed in 0..60 {
        let mut world = bound(&["acme"]);
        let mut dice = proto_core::JitterRng::new(seed);
        let run = world.run("/work/acme");
        for n in 0..12 {
            world.show(run, &format!("{n}"));
            match dice.next() % 6 {
                0 => world.restart_relay("acme"),
                1 => {
                    world.hang_up(run);
                    world.come_back(run);
                }
                2 => {
                    world.set_online(false);
                    world.set_online(true);
                }
                3 => {
                    world.kill();
                    world.boot();
                }
                4 => world.come_back(run),
                _ => world.pass(Duration::from_millis(dice.next() % 3_000)),
            }
            world.steps(dice.next() % 20);
        }
        world.exit(run);
        world.pass(Duration::from_mins(10));
        assert!(world.laptop.runs[run].is_delivered(), "seed {seed}: {:?}", world.laptop.daemon().report());
        assert_eq!(stored(&world, run), world.laptop.runs[run].shown, "seed {seed}");
    }
}

/// Sessions that are being pinned take their place at once: however many start together, no more stream than a binding may have.
#[test]
fn sessions_that_start_together_do_not_exceed_the_limit() {
    let mut world = bound(&["acme"]);
    for _ in 0..5 {
        for _ in 0..1000 {
            world.begin_run("/work/acme");
        }
        world.settle();
    }
    let (streaming, refused): (Vec<_>, Vec<_>) = world.laptop.runs.iter().partition(|run| run.cut.is_none());
    assert_eq!(streaming.len(), bridge::MAX_SESSIONS);
    assert!(refused.iter().all(|run| run.cut == Some(Reason::StateNotWritten)));
    assert_eq!(world.laptop.pins().len(), bridge::MAX_SESSIONS);
}
