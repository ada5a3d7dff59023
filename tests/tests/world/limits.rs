//! What a daemon is asked for and cannot do, or not yet.

use proto_core::{
    Reason,
    device::{
        bridge,
        control::Unpaired,
        daemon::Answer,
        files::{Config, Document},
    },
    effect::StateFile,
};

use crate::{World, bound};

/// S112: a directory that is none streams nowhere, and its command runs on.
#[test]
fn a_run_in_a_directory_without_a_path_stays_local() {
    let mut world = bound(&["acme"]);
    let run = world.run("work/acme");
    assert_eq!(world.laptop.runs[run].id(), None);
    assert_eq!(world.laptop.runs[run].cut, Some(Reason::DirectoryMissing));
}

/// `config.json` as a user wrote it, who gave an organization that name.
fn renamed(mut world: World, called: impl Fn(&Config) -> String) -> World {
    world.kill();
    let mut config = world.laptop.config();
    config.bindings[1].slug = called(&config);
    world.laptop.disk.insert(StateFile::Config, config.write().unwrap());
    world.boot();
    world.settle();
    world
}

/// S50: a slug that two organizations have names neither; an id names one, also where it is the slug of another.
#[test]
fn an_org_to_unpair_is_named_without_doubt() {
    let mut world = renamed(bound(&["acme", "oss"]), |config| config.bindings[0].slug.clone());
    let slug = world.laptop.config().bindings[0].slug.clone();
    assert_eq!(world.unpair(Some(&slug)), Err(Reason::OrgAmbiguous));
    assert_eq!(world.laptop.config().bindings.len(), 2);

    let mut world = renamed(bound(&["acme", "oss"]), |config| config.bindings[0].workspace_id.to_string());
    let bindings = world.laptop.config().bindings;
    let meant = &bindings[0].workspace_id;
    let Ok(Answer::Unpaired(Unpaired { org })) = world.unpair(Some(meant.as_str())) else { panic!("not unpaired") };
    assert_eq!(org.id, *meant);
    let left: Vec<_> = world.laptop.config().bindings.into_iter().map(|record| record.workspace_id).collect();
    assert_eq!(left, [bindings[1].workspace_id.clone()]);
}

/// L8, S112: a binding with as many sessions as it may have takes another one once one of them is over, whose key then goes.
#[test]
fn a_session_that_is_over_makes_room_for_another_one() {
    let mut world = bound(&["acme"]);
    for _ in 0..4 {
        for _ in 0..bridge::MAX_SESSIONS / 4 {
            world.begin_run("/work/acme");
        }
        world.settle();
    }
    let refused = world.run("/work/acme");
    assert_eq!(world.laptop.runs[refused].cut, Some(Reason::StateNotWritten));
    let over = 17;
    world.exit(over);
    world.settle();
    assert!(world.laptop.runs[over].is_delivered());
    let run = world.run("/work/acme");
    let pinned: Vec<_> = world.laptop.pins().into_iter().map(|pin| pin.session).collect();
    assert_eq!(pinned.len(), bridge::MAX_SESSIONS);
    assert!(pinned.contains(&world.laptop.runs[run].id().unwrap()));
    assert!(!pinned.contains(&world.laptop.runs[over].id().unwrap()));
}
