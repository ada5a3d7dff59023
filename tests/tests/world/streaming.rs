//! Sessions: pinned once, complete, in order, whatever is restarted meanwhile.

use std::time::Duration;

use proto_core::{
    Reason,
    wire::{Content, Outcome},
};

use crate::{World, bound, stored};

fn shown(world: &World, run: usize) -> Vec<Content> {
    world.laptop.runs[run].shown.clone()
}

/// S216, SES-1, SES-2: every record and the end arrive, once and in order, and the session is over.
#[test]
fn a_session_arrives_complete() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    (0..50).for_each(|n| world.show(run, &format!("line {n}")));
    world.exit(run);
    world.settle();
    assert!(world.laptop.runs[run].is_delivered());
    assert_eq!(stored(&world, run), shown(&world, run));
    assert!(world.relay("acme").store.values().all(|stored| stored.ended.is_some()));
    assert!(world.laptop.daemon().report().sessions.is_empty());
}

/// SES-1, SES-2: a command that has ended before the daemon answered it is streamed as a whole.
#[test]
fn a_command_that_ends_before_it_is_attached_arrives_complete() {
    let mut world = bound(&["acme"]);
    let run = world.begin_run("/work/acme");
    world.show(run, "all of it");
    world.exit(run);
    world.settle();
    assert!(world.laptop.runs[run].is_delivered());
    assert_eq!(stored(&world, run), shown(&world, run));
}

/// SES-1, SES-2: the relay dies with records in its hands that are not durable, again and again.
#[test]
fn relay_restarts_lose_and_repeat_nothing() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    for round in 0..8_u64 {
        (0..5).for_each(|n| world.show(run, &format!("{round}.{n}")));
        world.set_commits("acme", round % 3 != 1);
        world.steps(round * 3);
        world.restart_relay("acme");
        world.set_commits("acme", true);
        world.pass(Duration::from_secs(20));
    }
    world.exit(run);
    // After that many losses only slow attempts are left (D7).
    world.pass(Duration::from_mins(6));
    assert!(world.laptop.runs[run].is_delivered());
    assert_eq!(stored(&world, run), shown(&world, run));
}

/// SES-2: the relay received records, said so after a reconnect, and lost them: they come again.
#[test]
fn what_was_received_and_not_durable_comes_again() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    world.show(run, "durable");
    world.settle();
    world.set_commits("acme", false);
    world.show(run, "received");
    world.settle();
    // The link breaks and comes back; the relay still has the record in memory, and its resume point is behind it.
    world.set_online(false);
    world.set_online(true);
    world.pass(Duration::from_secs(5));
    assert!(world.is_connected("acme"));
    world.restart_relay("acme");
    world.set_commits("acme", true);
    world.exit(run);
    world.pass(Duration::from_secs(30));
    assert!(world.laptop.runs[run].is_delivered());
    assert_eq!(stored(&world, run), shown(&world, run));
}

/// A relay that cannot store says so on every link, also a later one, until it can again.
#[test]
fn a_relay_that_cannot_store_says_so() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    let reason = |world: &World| {
        assert!(world.is_connected("acme"));
        world.laptop.daemon().report().bindings[0].reason
    };
    world.set_commits("acme", false);
    world.show(run, "waits");
    world.settle();
    assert_eq!(reason(&world), Some(Reason::RelayCannotStore));
    world.set_online(false);
    world.set_online(true);
    world.pass(Duration::from_secs(30));
    assert_eq!(reason(&world), Some(Reason::RelayCannotStore));
    world.set_commits("acme", true);
    world.settle();
    assert_eq!(reason(&world), None);
    world.exit(run);
    world.pass(Duration::from_secs(30));
    assert!(world.laptop.runs[run].is_delivered());
    assert_eq!(stored(&world, run), shown(&world, run));
}

/// S112, S113, S151: the daemon is killed at any step of a session and started again: the session goes on to the same org, and
/// nothing is missing.
#[test]
fn a_daemon_killed_at_any_step_of_a_session_goes_on_with_it() {
    for steps in 0..60 {
        let mut world = bound(&["acme"]);
        let run = world.run("/work/acme");
        (0..4).for_each(|n| world.show(run, &format!("{n}")));
        world.steps(steps);
        world.kill();
        world.show(run, "while it is away");
        world.boot();
        world.exit(run);
        world.pass(Duration::from_mins(1));
        assert!(world.laptop.runs[run].is_delivered(), "killed after {steps} steps");
        assert_eq!(stored(&world, run), shown(&world, run), "killed after {steps} steps");
    }
}

/// The same while the session is being pinned: it is pinned and streams, or nothing of it is left.
#[test]
fn a_daemon_killed_while_it_pins_leaves_no_pin_behind() {
    for steps in 0..20 {
        let mut world = bound(&["acme"]);
        let run = world.begin_run("/work/acme");
        world.steps(steps);
        world.hang_up(run);
        world.pass(Duration::from_mins(10));
        let pins = world.laptop.pins();
        let is_pinned = world.laptop.runs[run].org().is_some();
        assert_eq!(pins.len(), usize::from(is_pinned), "after {steps} steps");
    }
}

/// S112 to S117, S120, ISO-7: what changes while a session runs does not move it.
#[test]
fn a_session_is_pinned_once() {
    let mut world = bound(&["acme", "oss"]);
    let run = world.run("/work/acme");
    world.show(run, "before");
    world.settle();
    // The directory is bound to another org, in the file and in the ledger.
    world.bind("/work/acme", "oss").unwrap();
    world.show(run, "after");
    world.kill();
    world.boot();
    world.pass(Duration::from_secs(10));
    world.show(run, "after a restart");
    world.exit(run);
    world.pass(Duration::from_mins(1));
    assert_eq!(stored(&world, run), shown(&world, run));
    assert!(world.relay("oss").store.is_empty());
    let new = world.run("/work/acme");
    assert_eq!(world.laptop.runs[new].org(), Some(&world.org("oss")));
}

/// F11: a session whose maker stays away for two minutes is cut with what there is of it, so that no viewer waits for ever. It does
/// not come back, and no binding waits for it longer (S46).
#[test]
fn a_session_whose_maker_stays_away_is_cut() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    world.show(run, "one");
    world.settle();
    world.hang_up(run);
    world.pass(Duration::from_mins(10));
    let ended: Vec<_> = world.relay("acme").store.values().map(|stored| stored.ended).collect();
    assert_eq!(ended, [Some(Outcome::Cut)]);
    world.come_back(run);
    world.show(run, "two");
    world.pass(Duration::from_secs(1));
    assert_eq!(stored(&world, run).len(), 1);
    world.found("oss", proto_core::api::PolicyMode::Standard);
    world.pair_with("oss", proto_core::api::PairingMode::Replace);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.link("acme"), None);
}

/// SES-3, S138: a store that makes nothing durable holds one org's sessions back, and not the other's.
#[test]
fn a_slow_store_slows_down_its_own_org_only() {
    let mut world = bound(&["acme", "oss"]);
    let (acme, oss) = (world.run("/work/acme"), world.run("/work/oss"));
    world.set_commits("acme", false);
    for n in 0..200 {
        world.show(acme, &"x".repeat(50_000));
        world.show(oss, &format!("{n}"));
    }
    world.settle();
    assert_eq!(stored(&world, oss).len(), 200);
    assert_eq!(world.relay("acme").store.values().map(|stored| stored.records.len()).sum::<usize>(), 0);
    world.set_commits("acme", true);
    world.exit(acme);
    world.pass(Duration::from_secs(10));
    assert!(world.laptop.runs[acme].is_delivered());
    assert_eq!(stored(&world, acme), shown(&world, acme));
}
