//! What a viewer is told of a session when it hears of it: enough to find it, nothing of what it says.

use alloc::vec::Vec;

use super::{
    super::*,
    S,
    world::{World, data, org, session, target},
};
use crate::{
    secret::SecretText,
    wire::{Head, Listing, Outcome, Standing},
};

const NOON: UnixTime = UnixTime(1_700_000_000);

fn world() -> World {
    let mut world = World::default();
    world.hub = Hub::numbering_from(SessionNumber(1), WallClock::new(Instant::ZERO, NOON));
    world
}

/// What a viewer that comes now is told of this org's sessions.
fn listings(world: &mut World) -> Vec<Listing> {
    let viewer = world.viewer("a", "v");
    let opens = world.frames(viewer).iter().filter(|frame| matches!(frame.head, Head::Open { .. }));
    opens.map(|frame| Listing::split(&frame.body).1.expect("a listing")).collect()
}

#[test]
fn a_session_is_listed_as_it_stands() {
    let mut world = world();
    let daemon = world.daemon("a", "d");
    world.open(daemon, S);
    let fresh = Listing { standing: Standing::Live, began: NOON, active: NOON, bytes: 0, records: 0 };
    assert_eq!(listings(&mut world), [fresh]);
    world.now = world.now.after(Duration::from_mins(1));
    world.send(daemon, data(S, 0, "zero"));
    world.send(daemon, data(S, 0, "zero"));
    let said = Listing { active: NOON.plus(60), bytes: 4, records: 1, ..fresh };
    assert_eq!(listings(&mut world), [said], "a record counts once, and before it is durable");
    world.input(Input::Gone(daemon));
    assert_eq!(listings(&mut world), [Listing { standing: Standing::Away, ..said }]);
    let daemon = world.daemon("a", "d");
    assert_eq!(listings(&mut world), [Listing { standing: Standing::Away, ..said }], "it has not named it yet");
    world.open(daemon, S);
    assert_eq!(listings(&mut world), [said]);
    world.now = world.now.after(Duration::from_secs(1));
    world.send(daemon, Head::End { session: S, next: 1, outcome: Outcome::Cut });
    let ended = Listing { standing: Standing::Cut, active: NOON.plus(61), ..said };
    assert_eq!(listings(&mut world), [ended], "before its end is durable");
    world.commit_all();
    world.input(Input::Gone(daemon));
    assert_eq!(listings(&mut world), [ended]);
}

/// What the store knows is told after a restart, and goes on from there.
#[test]
fn a_stored_session_is_listed_with_what_the_store_knows() {
    let mut world = world();
    let tally = Tally { began: UnixTime(5), active: UnixTime(9), bytes: 70 };
    for (number, ended) in [(1, Some(Outcome::Exited)), (2, None)] {
        world.input(Input::Stored(StoredSession {
            number: SessionNumber(number),
            org: org("a"),
            session: session(u8::try_from(number).unwrap()),
            target: target("d"),
            cipher: 1,
            credential: SecretText::new("x"),
            next: 0,
            ended,
            tally,
            envelope: None,
        }));
    }
    let stored = Listing { standing: Standing::Exited, began: UnixTime(5), active: UnixTime(9), bytes: 70, records: 0 };
    assert_eq!(listings(&mut world), [stored, Listing { standing: Standing::Away, ..stored }]);
    let daemon = world.daemon("a", "d");
    world.open(daemon, session(2));
    world.send(daemon, data(session(2), 0, "zero"));
    let goes_on = Listing { standing: Standing::Live, active: NOON, bytes: 74, records: 1, ..stored };
    assert_eq!(listings(&mut world), [stored, goes_on]);
}

/// The clock may be set while the relay runs.
#[test]
fn times_follow_the_wall_clock() {
    let mut world = world();
    world.hub.handle_clock(world.now, WallClock::new(world.now, NOON.plus(3_600)));
    let daemon = world.daemon("a", "d");
    world.open(daemon, S);
    assert_eq!(listings(&mut world).first().map(|listing| listing.began), Some(NOON.plus(3_600)));
}
