//! Machines and viewers whose clocks are wrong (D19).

use std::time::Duration;

use proto_core::api::PairingMode;
use verification::world::World;

const DAY: i64 = 86_400;

/// By how many seconds clocks are ahead: seconds that matter to nobody, minutes, hours, weeks.
const AHEAD: [i64; 8] = [-40, 40, -90, 400, -7_200, 7_200, -20 * DAY, 20 * DAY];

/// It pairs, connects and renews for hours, and what is said of its clock is right.
#[test]
fn a_machine_whose_clock_is_wrong_pairs_connects_and_renews() {
    for ahead in AHEAD {
        let mut world = World::with(&["acme"]);
        world.set_clocks(ahead);
        world.pair_with("acme", PairingMode::New);
        world.pass(Duration::from_mins(1));
        assert!(world.is_connected("acme"), "{ahead}");
        for hour in 0..5 {
            world.pass(Duration::from_hours(1));
            assert!(world.is_connected("acme"), "{ahead}, hour {hour}");
        }
        let report = world.laptop.daemon().report();
        assert_eq!((report.bindings[0].clock_ahead, report.bindings[0].reason), (Some(ahead), None));
    }
}

/// Paired by a right clock that then is set wrong, and killed and booted by it.
#[test]
fn a_clock_that_is_set_wrong_cuts_nobody_off() {
    for ahead in AHEAD {
        let mut world = World::with(&["acme"]);
        world.pair_with("acme", PairingMode::New);
        world.set_clocks(ahead);
        world.pass(Duration::from_hours(2));
        assert!(world.is_connected("acme"), "{ahead}");
        world.kill();
        world.pass(Duration::from_hours(2));
        world.boot();
        world.pass(Duration::from_mins(2));
        assert!(world.is_connected("acme"), "{ahead}, after a boot");
        world.set_clocks(0);
        world.pass(Duration::from_hours(2));
        assert!(world.is_connected("acme"), "{ahead}, and right again");
        assert_eq!(world.laptop.daemon().report().bindings[0].clock_ahead, None);
    }
}

/// A viewer's clock is as wrong as the machine's; it pairs, and believes the machine's credential.
#[test]
fn a_viewer_whose_clock_is_wrong_watches() {
    for ahead in [-20 * DAY, 7_200] {
        let mut world = crate::bound(&["acme"]);
        world.set_clocks(ahead);
        let run = world.run("/work/acme");
        world.show(run, "hello");
        let watcher = world.watcher("acme");
        let session = world.laptop.runs[run].id().unwrap();
        world.watch(watcher, session);
        world.pass(Duration::from_mins(2));
        let seen: Vec<_> = world.watchers[watcher].records[&session].iter().map(|record| record.content.clone()).collect();
        assert_eq!(seen, world.laptop.runs[run].shown, "{ahead}");
    }
}
