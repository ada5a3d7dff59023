//! The daemon and its viewers, in a world: which org a session goes to, and what a viewer is shown.

use std::{collections::BTreeMap, time::Duration};

use proptest::{collection::vec, prelude::*};
use proto_core::{
    OrgId, Reason,
    api::PairingMode,
    wire::{Content, Outcome},
};
use verification::{
    models::config,
    world::{Tampering, World},
};

const ORGS: [&str; 2] = ["acme", "oss"];
const PLACES: [&str; 5] = ["/", "/a", "/a/b", "/a/b/c", "/d"];

/// What people do on a machine, and to it.
#[derive(Clone, Debug)]
enum Event {
    Bind(usize, usize),
    Unbind(usize),
    /// A person writes a `local.yaml` by hand, or ships one, perhaps even for the org that is granted.
    Forge(usize, usize),
    Disable(usize),
    Run(usize),
    Show(prop::sample::Index),
    Exit(prop::sample::Index),
    RestartDaemon,
    RestartRelay(usize),
    Pass(u64),
}

fn events() -> impl Strategy<Value = Event> {
    let place = || 0..PLACES.len();
    let org = || 0..ORGS.len();
    prop_oneof![
        4 => (place(), org()).prop_map(|(place, org)| Event::Bind(place, org)),
        1 => place().prop_map(Event::Unbind),
        2 => (place(), org()).prop_map(|(place, org)| Event::Forge(place, org)),
        1 => place().prop_map(Event::Disable),
        5 => place().prop_map(Event::Run),
        6 => any::<prop::sample::Index>().prop_map(Event::Show),
        1 => any::<prop::sample::Index>().prop_map(Event::Exit),
        1 => Just(Event::RestartDaemon),
        1 => org().prop_map(Event::RestartRelay),
        2 => (0_u64..60).prop_map(Event::Pass),
    ]
}

/// The grants of this machine and the files in its directories, as a person would write them down.
#[derive(Default)]
struct Model {
    granted: BTreeMap<usize, usize>,
    /// `None`: `streaming: disabled`, or not written by `vpd bind` on this machine.
    files: BTreeMap<usize, Option<usize>>,
    /// Where each run streams to, decided at its start and never again; and what it showed.
    runs: Vec<Option<usize>>,
}

impl Model {
    /// D10, D11: the nearest file decides, and counts when the ledger says the same.
    fn decide(&self, place: usize) -> Option<usize> {
        let covers = |above: &str| PLACES[place] == above || above == "/" || PLACES[place].starts_with(&format!("{above}/"));
        let (nearest, says) =
            self.files.iter().filter(|(at, _)| covers(PLACES[**at])).max_by_key(|(at, _)| PLACES[**at].len())?;
        says.filter(|org| self.granted.get(nearest) == Some(org))
    }
}

fn local_yaml(place: usize) -> String {
    format!("{}/.viewport/local.yaml", PLACES[place].trim_end_matches('/'))
}

fn hear(world: &mut World, model: &mut Model, event: &Event) {
    match event {
        Event::Bind(place, org) => {
            world.bind(PLACES[*place], ORGS[*org]).unwrap();
            model.granted.insert(*place, *org);
            model.files.insert(*place, Some(*org));
        }
        Event::Unbind(place) => {
            if world.unbind(PLACES[*place]).is_ok() {
                model.granted.remove(place);
                model.files.remove(place);
            }
        }
        Event::Forge(place, org) => {
            let text = format!("org_id: {}\nstreaming: enabled\nrecursive: true\nbound_at: \"t\"\n", world.org(ORGS[*org]));
            world.laptop.tree.insert(local_yaml(*place), text);
            model.files.insert(*place, None);
        }
        Event::Disable(place) => {
            world.laptop.tree.insert(local_yaml(*place), "org_id: x\nstreaming: disabled\nbound_at: \"t\"\n".into());
            model.files.insert(*place, None);
        }
        Event::Run(place) => {
            world.run(PLACES[*place]);
            model.runs.push(model.decide(*place));
        }
        Event::Show(run) if !model.runs.is_empty() => {
            let run = run.index(model.runs.len());
            if !has_exited(world, run) {
                world.show(run, &format!("shown by {run}"));
                world.settle();
            }
        }
        Event::Exit(run) if !model.runs.is_empty() => {
            let run = run.index(model.runs.len());
            if !has_exited(world, run) {
                world.exit(run);
                world.settle();
            }
        }
        Event::RestartDaemon => {
            world.kill();
            world.boot();
            let runs = 0..model.runs.len();
            runs.for_each(|run| world.come_back(run));
            world.settle();
        }
        Event::RestartRelay(org) => world.restart_relay(ORGS[*org]),
        Event::Pass(seconds) => world.pass(Duration::from_secs(*seconds)),
        Event::Show(_) | Event::Exit(_) => {}
    }
}

fn has_exited(world: &World, run: usize) -> bool {
    world.laptop.runs[run].shown.last() == Some(&Content::Exit { status: 0 })
}

fn paired() -> World {
    let mut world = World::with(&ORGS);
    world.pair_with(ORGS[0], PairingMode::New);
    world.pair_with(ORGS[1], PairingMode::Add);
    world
}

/// ISO-6, ISO-7: every run has the pin that it got at its start, and each relay has sessions of its own org only.
fn compare(world: &World, model: &Model) {
    let org = |number: usize| -> OrgId { world.org(ORGS[number]) };
    for (run, pinned) in model.runs.iter().enumerate() {
        let run = &world.laptop.runs[run];
        assert_eq!(run.org().cloned(), pinned.map(org), "ISO-7: {}", run.directory);
        let Some(session) = run.id() else { continue };
        for (number, slug) in ORGS.iter().enumerate() {
            let relay = &world.relays[&format!("wss://relay-{slug}.example/ws")];
            let has = relay.frames.iter().any(|(_, frame)| frame.head.session() == Some(session));
            assert!(!has || Some(number) == *pinned, "ISO-7: {slug} has frames of {}", run.directory);
        }
    }
    let pinned = model.runs.iter().flatten().count();
    assert!(world.relays.values().map(|relay| relay.store.len()).sum::<usize>() <= pinned, "ISO-6");
}

proptest! {
    #![proptest_config(config(24))]

    /// ISO-6, ISO-7, S92 to S96, S112, S113, S115, S120: the org of a session is a function of grants and files at its start.
    #[test]
    fn a_session_goes_where_it_was_granted(events in vec(events(), 0..30)) {
        let mut world = paired();
        let mut model = Model::default();
        for event in &events {
            hear(&mut world, &mut model, event);
            compare(&world, &model);
        }
        // In the end everything that was shown is in the records of its org, once and in order.
        world.pass(Duration::from_mins(10));
        compare(&world, &model);
        for (run, pinned) in world.laptop.runs.iter().zip(&model.runs) {
            let (Some(session), Some(_)) = (run.id(), pinned) else { continue };
            let stored = world.relays.values().find_map(|relay| relay.session(session)).expect("its relay has it");
            prop_assert_eq!(stored.records.len(), run.shown.len(), "SES-1: {}", run.directory);
        }
    }
}

/// What becomes of a session while a viewer watches.
#[derive(Clone, Debug)]
enum Step {
    Show(u8),
    Exit,
    Watch,
    Tamper(u8, u64),
    RestartRelay,
    RestartDaemon,
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => any::<u8>().prop_map(Step::Show),
        1 => Just(Step::Exit),
        1 => Just(Step::Watch),
        1 => (0_u8..5, 0_u64..8).prop_map(|(how, record)| Step::Tamper(how, record)),
        1 => Just(Step::RestartRelay),
        1 => Just(Step::RestartDaemon),
        2 => (0_u64..60).prop_map(Step::Pass),
    ]
}

fn tampering(how: u8, record: u64) -> Tampering {
    match how {
        0 => Tampering::Forges(record),
        1 => Tampering::Omits(record),
        2 => Tampering::Swaps(record),
        3 => Tampering::EndsBefore(record),
        _ => Tampering::None,
    }
}

proptest! {
    #![proptest_config(config(64))]

    /// SES-1, D14: what a viewer is shown is a prefix of what was shown on the terminal, whatever the relay does with records; a
    /// viewer that is shown an end was shown all; and with an honest relay every viewer is shown everything.
    #[test]
    fn a_viewer_is_shown_a_prefix(how in 0_u8..8, record in 0_u64..4, steps in vec(steps(), 0..40)) {
        let mut world = paired();
        world.bind("/a", ORGS[0]).unwrap();
        let run = world.run("/a");
        let session = world.laptop.runs[run].id().unwrap();
        // Half of the relays are dishonest from the beginning, and a viewer watches from then on.
        world.relay(ORGS[0]).tampering = tampering(how, record);
        let watcher = world.watcher(ORGS[0]);
        world.watch(watcher, session);
        let (mut was_honest, mut has_exited) = (how >= 4, false);
        for step in &steps {
            match step {
                Step::Show(_) | Step::Exit if has_exited => {}
                Step::Show(byte) => world.show(run, &format!("{byte}")),
                Step::Exit => {
                    world.exit(run);
                    has_exited = true;
                }
                Step::Watch => {
                    let watcher = world.watcher(ORGS[0]);
                    world.watch(watcher, session);
                }
                Step::Tamper(how, record) => {
                    world.relay(ORGS[0]).tampering = tampering(*how, *record);
                    was_honest &= *how == 4;
                }
                Step::RestartRelay => world.restart_relay(ORGS[0]),
                Step::RestartDaemon => {
                    world.kill();
                    world.boot();
                    world.come_back(run);
                }
                Step::Pass(seconds) => world.pass(Duration::from_secs(*seconds)),
            }
            world.settle();
            is_prefix(&world, run, false)?;
        }
        if was_honest {
            world.pass(Duration::from_mins(10));
            is_prefix(&world, run, true)?;
        }
    }
}

fn is_prefix(world: &World, run: usize, is_whole: bool) -> Result<(), TestCaseError> {
    let session = world.laptop.runs[run].id().unwrap();
    let shown = &world.laptop.runs[run].shown;
    for watcher in &world.watchers {
        let seen: Vec<_> = watcher.records.get(&session).into_iter().flatten().map(|record| record.content.clone()).collect();
        prop_assert!(shown.starts_with(&seen), "SES-1: {:?} of {:?}", seen, shown);
        let ended = watcher.ended.get(&session);
        prop_assert!(ended.is_none_or(|outcome| *outcome == Outcome::Exited && seen.len() == shown.len()), "SES-1: {:?}", ended);
        let failed = watcher.failed.get(&session);
        prop_assert!(failed.is_none_or(|reason| *reason == Reason::RecordForged), "{:?}", failed);
        prop_assert!(!is_whole || seen.len() == shown.len() && failed.is_none(), "SES-1: {} of {}", seen.len(), shown.len());
    }
    Ok(())
}
