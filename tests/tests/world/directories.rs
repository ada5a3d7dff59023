//! Which directory streams to which organization.

use proto_core::{
    Reason,
    device::{
        control::{Attached, Bound, Unbound},
        daemon::Answer,
    },
};

use crate::{World, bound};

fn why(world: &World, run: usize) -> Option<Reason> {
    match &world.laptop.runs[run].attached {
        Some(Attached::LocalOnly { reason }) => *reason,
        other => panic!("{other:?}"),
    }
}

/// S78 to S82, S84, ISO-6: pairing alone streams nothing, and an unpaired daemon neither.
#[test]
fn pairing_never_implies_streaming() {
    let mut world = World::with(&["acme"]);
    let before = world.run("/work/acme");
    world.pair_with("acme", proto_core::api::PairingMode::New);
    let after = world.run("/work/acme");
    world.show(before, "a");
    world.show(after, "b");
    world.exit(after);
    world.pass(std::time::Duration::from_mins(1));
    assert_eq!((why(&world, before), why(&world, after)), (None, None));
    assert!(world.relay("acme").frames.iter().all(|(_, frame)| frame.head.session().is_none()));
    assert!(world.laptop.pins().is_empty());
}

/// S85 to S93, S96, S99: a bound directory streams to its org, what lies below it as well, others stay local.
#[test]
fn a_bound_directory_streams_to_its_org() {
    let mut world = bound(&["acme", "oss"]);
    let answer = world.bind("/clients/a", "acme");
    assert!(matches!(&answer, Ok(Answer::Bound(Bound { directory, org })) if directory == "/clients/a" && org.slug == "acme"));
    let file = &world.laptop.tree["/clients/a/.viewport/local.yaml"];
    assert!(file.contains("streaming: enabled") && file.contains(world.org("acme").as_str()));
    assert!(world.laptop.tree["/clients/a/.viewport/.gitignore"].contains("/local.yaml"));
    let runs = ["/clients/a", "/clients/a/deep/er", "/work/oss", "/clients", "/clients/ab"].map(|at| world.run(at));
    let orgs = runs.map(|run| world.laptop.runs[run].org().cloned());
    let (acme, oss) = (Some(world.org("acme")), Some(world.org("oss")));
    assert_eq!(orgs, [acme.clone(), acme, oss, None, None]);
    let rows = world.laptop.daemon().report().directories;
    let rows: Vec<_> = rows.iter().map(|row| (row.path.as_str(), row.org.as_str(), row.recursive)).collect();
    assert_eq!(rows, [("/clients/a", "acme Inc.", false), ("/work/acme", "acme Inc.", false), ("/work/oss", "oss Inc.", false)]);
}

/// S82, D10: what was bound can be taken back; a session that runs keeps its pin.
#[test]
fn an_unbound_directory_streams_no_more() {
    let mut world = bound(&["acme"]);
    let pinned = world.run("/work/acme");
    let answer = world.unbind("/work/acme");
    assert!(matches!(&answer, Ok(Answer::Unbound(Unbound { directory })) if directory == "/work/acme"));
    assert_eq!(world.unbind("/work/acme"), Err(Reason::NotBound));
    let later = world.run("/work/acme");
    assert_eq!(why(&world, later), None);
    world.show(pinned, "still");
    world.settle();
    assert_eq!(crate::stored(&world, pinned).len(), 1);
    world.kill();
    world.boot();
    let after_restart = world.run("/work/acme");
    assert_eq!(why(&world, after_restart), None);
}

/// D11, S94, S109, S110: a file that this machine did not write grants nothing, and neither does a hint.
#[test]
fn a_file_without_a_grant_streams_nothing() {
    let mut world = bound(&["acme"]);
    let shipped = world.laptop.tree["/work/acme/.viewport/local.yaml"].clone();
    world.laptop.tree.insert("/cloned/.viewport/local.yaml".into(), shipped);
    let hint = format!("org_id: {}\n", world.org("acme"));
    world.laptop.tree.insert("/hinted/.viewport/workspace.yaml".into(), hint);
    let (cloned, hinted) = (world.run("/cloned"), world.run("/hinted"));
    assert_eq!(why(&world, cloned), Some(Reason::GrantMissing));
    assert_eq!(why(&world, hinted), None);
}

/// Two directories bound at the same time, and one of them unbound while the other is being bound: no change of the ledger undoes
/// another (D11).
#[test]
fn changes_of_the_ledger_do_not_undo_each_other() {
    use proto_core::device::{
        consent::Directory,
        daemon::{Bind, Request},
    };
    let mut world = bound(&["acme"]);
    let directory = |path: &str| Directory::parse(path).unwrap();
    let bind = |path: &str| Request::Bind(Bind::new(directory(path), None));
    let asked = [world.ask(bind("/a")), world.ask(bind("/b")), world.ask(Request::Unbind(directory("/work/acme")))];
    world.settle();
    assert!(asked.iter().all(|id| world.laptop.answers[id].is_ok()), "{:?}", world.laptop.answers);
    let paths = |world: &World| world.laptop.daemon().report().directories.iter().map(|row| row.path.clone()).collect::<Vec<_>>();
    assert_eq!(paths(&world), ["/a", "/b"]);
    world.kill();
    world.boot();
    assert_eq!(paths(&world), ["/a", "/b"]);
}

/// The disk takes nothing: the person is told, and nothing counts that is not durable.
#[test]
fn a_grant_that_cannot_be_written_is_ignored() {
    let mut world = bound(&["acme"]);
    world.laptop.disk_works = false;
    assert_eq!(world.bind("/a", "acme"), Err(Reason::StateNotWritten));
    let run = world.run("/a");
    assert_eq!(why(&world, run), Some(Reason::GrantMissing));
    let bound = world.run("/work/acme");
    assert_eq!(why(&world, bound), Some(Reason::StateNotWritten));
}
