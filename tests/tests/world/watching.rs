//! A viewing device from its first use to its end, with real relays and a real daemon.

use std::time::Duration;

use proto_core::{
    Machine, Reason, SessionId, Status,
    api::PolicyMode,
    device::watcher::{Goal, LIST_QUIET_TIME, PairingCause, TITLE_TIMEOUT},
    effect::StateFile,
    wire::{Content, Outcome},
};
use verification::world::Disk;

use crate::{World, bound};

fn session(world: &World, run: usize) -> SessionId {
    world.laptop.runs[run].id().expect("it streams")
}

fn contents(world: &World, watcher: usize, session: SessionId) -> Vec<Content> {
    let records = world.watchers[watcher].records.get(&session);
    records.into_iter().flatten().map(|record| record.content.clone()).collect()
}

/// S14, D14: on first use a viewer shows a code; approved, it shows the only session there is to its end, and ends.
#[test]
fn a_viewer_pairs_on_first_use_and_shows_the_only_session() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    world.show(run, "something");
    let watcher = world.start_watcher(Disk::new(), None, Goal::TheOnly);
    assert_eq!(world.watchers[watcher].occasions, [PairingCause::First]);
    world.approve_watcher(watcher, "acme");
    world.pass(Duration::from_secs(3));
    world.exit(run);
    world.pass(LIST_QUIET_TIME);
    let session = session(&world, run);
    assert_eq!(contents(&world, watcher, session), world.laptop.runs[run].shown);
    assert_eq!(world.watchers[watcher].ended[&session], Outcome::Exited);
    assert_eq!(world.watchers[watcher].watcher.status(), Status::Finished);
    // The second time no approval is needed.
    let disk = world.watchers[watcher].disk.clone();
    assert!(!disk.contains_key(&StateFile::PendingPairing));
    let again = world.start_watcher(disk, Some("acme"), Goal::This(session));
    world.settle();
    assert_eq!((world.watchers[again].occasions.len(), contents(&world, again, session).len()), (0, 2));
    assert_eq!(world.watchers[again].watcher.status(), Status::Finished);
}

/// S22: killed at every write of a pairing, a viewer goes on with it when it is started again, and is paired by one approval.
#[test]
fn a_viewer_that_is_killed_while_it_pairs_goes_on() {
    let mut world = bound(&["acme"]);
    let watcher = world.start_watcher(Disk::new(), None, Goal::Chosen);
    let interrupted = world.watchers[watcher].disk.clone();
    world.approve_watcher(watcher, "acme");
    let mut disks = vec![interrupted];
    for _ in 0..200 {
        if !world.step() {
            world.wait();
        }
        let disk = &world.watchers[watcher].disk;
        if disks.last() != Some(disk) {
            disks.push(disk.clone());
        }
        if !world.watchers[watcher].paired.is_empty() {
            break;
        }
    }
    assert!(disks.len() >= 4, "pending, key, config, forgotten: {}", disks.len());
    for disk in disks {
        let minted = world.platform.minted;
        let again = world.start_watcher(disk, None, Goal::Chosen);
        world.pass(Duration::from_secs(3));
        assert!(world.watchers[again].viewer().is_up());
        assert_eq!(world.platform.minted, minted, "the same code");
        assert!(!world.watchers[again].disk.contains_key(&StateFile::PendingPairing));
        world.stop_watcher(again);
        world.settle();
    }
}

/// F9: the org asks for a pre-shared key from now on. The viewer asks for another pairing with that org, by itself, and goes on
/// where it was: no record is shown twice, and none is left out.
#[test]
fn a_viewer_pairs_again_when_the_policy_asks_for_it() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    world.show(run, "before");
    let watcher = world.watcher("acme");
    let session = session(&world, run);
    world.watch(watcher, session);
    world.settle();
    let old = world.watchers[watcher].disk.clone();
    let org = world.org("acme");
    world.platform.orgs.get_mut(&org).unwrap().policy = PolicyMode::CryptoPairing;
    // Links that are open stay open, so the daemon goes on.
    world.cut_off_watcher(watcher);
    world.pass(Duration::from_secs(30));
    let [PairingCause::Again(workspace, Reason::NoisePskInvalid)] = &world.watchers[watcher].occasions[..] else {
        panic!("{:?}, {:?}", world.watchers[watcher].occasions, world.watchers[watcher].downs)
    };
    assert_eq!(workspace.slug, "acme");
    world.show(run, "meanwhile");
    world.approve_watcher(watcher, "acme");
    world.pass(Duration::from_secs(10));
    world.show(run, "afterwards");
    world.settle();
    assert!(world.watchers[watcher].viewer().is_up(), "{:?}", world.watchers[watcher].downs);
    assert_eq!(contents(&world, watcher, session), world.laptop.runs[run].shown);
    let keys = |disk: &Disk| disk.keys().filter(|file| matches!(file, StateFile::Identity(..))).cloned().collect::<Vec<_>>();
    assert_eq!((keys(&world.watchers[watcher].disk).len(), keys(&old).len()), (1, 1));
    assert_ne!(keys(&world.watchers[watcher].disk), keys(&old));
}

/// A list names all sessions with what runs in them, and is there within a second where the daemon answers.
#[test]
fn a_list_says_what_runs_in_each_session() {
    let mut world = bound(&["acme"]);
    let runs = [world.run("/work/acme"), world.run("/work/acme")];
    for run in runs {
        let title = proto_core::wire::Title {
            command: format!("agent {run}"),
            directory: "/work/acme".into(),
            started: 0,
            columns: 80,
            rows: 24,
        };
        world.title(run, title);
    }
    world.settle();
    for goal in [Goal::List, Goal::TheOnly] {
        let paired = world.watcher("acme");
        let disk = world.watchers[paired].disk.clone();
        world.stop_watcher(paired);
        world.settle();
        let watcher = world.start_watcher(disk, None, goal);
        world.pass(Duration::from_secs(1));
        let list = world.watchers[watcher].list.clone().expect("a list");
        let mut commands: Vec<_> = list.into_iter().map(|entry| entry.title.expect("a title").command).collect();
        commands.sort();
        assert_eq!(commands, ["agent 0", "agent 1"], "{goal:?}");
    }
    // Without their daemon their titles are not known; they are listed for all that.
    world.kill();
    let paired = world.watcher("acme");
    let disk = world.watchers[paired].disk.clone();
    let watcher = world.start_watcher(disk, None, Goal::List);
    world.pass(TITLE_TIMEOUT);
    let list = world.watchers[watcher].list.clone().expect("a list");
    assert_eq!(list.into_iter().map(|entry| entry.title).collect::<Vec<_>>(), [None, None]);
}
