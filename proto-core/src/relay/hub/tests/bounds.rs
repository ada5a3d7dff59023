//! L8, SES-3: what one relay holds is bounded, and a connection at its bound does not affect the others (ISO-5).

use alloc::{format, vec, vec::Vec};

use bytes::Bytes;

use super::{
    super::*,
    world::{World, session},
};
use crate::{
    id::SessionId,
    machine::outbox::Outbox,
    wire::{Frame, Head, Outcome},
};

fn numbered(number: usize) -> SessionId {
    SessionId((number as u128).to_be_bytes())
}

/// One record or message of some size, the same bytes each time.
fn large(head: Head) -> Frame {
    static BODY: [u8; 60_000] = [b'x'; 60_000];
    Frame { head, body: Bytes::from_static(&BODY) }
}

#[test]
fn a_viewer_follows_so_many_sessions_and_no_more() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    for number in 0..=SUBSCRIPTIONS_PER_VIEWER {
        world.open(daemon, numbered(number));
    }
    let viewer = world.viewer("a", "v");
    for number in (0..SUBSCRIPTIONS_PER_VIEWER).chain([0]) {
        world.resume(viewer, numbered(number), 0);
    }
    assert_eq!(world.reason_text(viewer), "open", "asking again for one of them is not one more");
    world.resume(viewer, numbered(SUBSCRIPTIONS_PER_VIEWER), 0);
    assert_eq!(world.reason_text(viewer), "relay_full");
    assert_eq!(world.reason_text(daemon), "open");
}

/// Daemons of org a have all the sessions that it may have; one more of its daemons has the first of them.
fn full_org(world: &mut World) -> ConnectionId {
    let first = world.daemon("a", "first");
    world.open(first, numbered(0));
    world.open(first, numbered(1));
    let share = RUNNING_PER_DAEMON as usize;
    for start in (2..SESSIONS_PER_ORG).step_by(share) {
        let daemon = world.daemon("a", &format!("d{start}"));
        for number in start..SESSIONS_PER_ORG.min(start + share) {
            world.open(daemon, numbered(number));
        }
    }
    first
}

/// F4: these sessions were declined, and their daemon's link goes on.
fn declined(world: &World, daemon: ConnectionId) -> Vec<SessionId> {
    assert_eq!(world.reason_text(daemon), "open");
    let declined = |head| match head {
        Head::Decline { session, reason: Reason::SessionLimit, retry_after: DECLINED_FOR } => Some(session),
        _ => None,
    };
    world.heads(daemon).into_iter().filter_map(declined).collect()
}

/// F4: one daemon cannot use up the sessions of its org; those that end make room for others of it.
#[test]
fn a_daemon_runs_so_many_sessions_and_no_more() {
    let share = RUNNING_PER_DAEMON as usize;
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    for number in 0..share {
        world.open(daemon, numbered(number));
    }
    world.send(daemon, Head::End { session: numbered(3), next: 0, outcome: Outcome::Exited });
    world.commit_all();
    world.open(daemon, numbered(share));
    world.open(daemon, numbered(share));
    assert_eq!(declined(&world, daemon), []);
    world.commit_all();
    world.crash();
    let (daemon, other) = (world.daemon("a", "d"), world.daemon("a", "e"));
    world.open(daemon, numbered(share + 1));
    assert_eq!(declined(&world, daemon), [numbered(share + 1)], "also after a restart");
    world.open(daemon, numbered(0));
    world.send(daemon, large(Head::Data { session: numbered(0), epoch: 0, sequence: 0 }));
    world.commit_all();
    let heard = world.heads(daemon);
    assert!(heard.contains(&Head::Acknowledge { session: numbered(0), next: 1 }), "its other sessions go on");
    world.open(other, numbered(share + 1));
    assert_eq!((declined(&world, other), world.hub.counters().declined_sessions), (vec![], 1));
    world.send(daemon, Head::End { session: numbered(0), next: 1, outcome: Outcome::Exited });
    world.commit_all();
    world.open(daemon, numbered(share + 2));
    assert_eq!(declined(&world, daemon), [numbered(share + 1)], "there is room again");
}

#[test]
fn an_org_has_so_many_sessions_and_no_more() {
    let mut world = World::default();
    let (daemon, other) = (full_org(&mut world), world.daemon("b", "d"));
    world.open(daemon, numbered(0));
    assert_eq!(declined(&world, daemon), [], "opening one of them again is not one more");
    world.open(daemon, numbered(SESSIONS_PER_ORG));
    assert_eq!(declined(&world, daemon), [numbered(SESSIONS_PER_ORG)]);
    world.open(other, session(1));
    assert_eq!(declined(&world, other), []);
    let sessions: Vec<_> = world.hub.orgs().iter().map(|org| org.sessions).collect();
    assert_eq!(sessions, [SESSIONS_PER_ORG, 1]);
}

/// Daemons of which none does too much alone are held back once together they are too much for the store.
#[test]
fn all_daemons_together_are_held_back_when_the_store_is_behind() {
    let mut world = World::default();
    let share = UNSTORED_PER_DAEMON / 60_000;
    let daemons: Vec<_> = (0..17).map(|n| world.daemon("a", &format!("d{n}"))).collect();
    for (n, daemon) in daemons.iter().enumerate() {
        world.open(*daemon, numbered(n));
        for sequence in 0..share as u64 {
            world.send(*daemon, large(Head::Data { session: numbered(n), epoch: 0, sequence }));
        }
    }
    let held: Vec<_> = daemons.iter().copied().filter(|daemon| world.inboxes[daemon].held).collect();
    assert_eq!(held, daemons[16..], "only the latest one says what is too much for all");
    assert!(world.hub.unstored() >= MAX_UNSTORED);
    // The writes of the last daemon are the latest ones: half of all leaves it waiting, the rest lets it go on.
    while world.hub.unstored() > MAX_UNSTORED / 2 {
        assert!(world.inboxes[&held[0]].held);
        world.commit(10);
    }
    world.commit_all();
    assert!(!world.inboxes[&held[0]].held);
    assert_eq!(world.hub.unstored(), 0);
}

/// A viewer cannot fill the relay's memory through a daemon that does not read, nor end that daemon's link.
#[test]
fn peer_frames_to_one_who_does_not_read_are_dropped_and_counted() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.open(daemon, session(1));
    let knock = || large(Head::Peer { session: session(1), viewer: 0 });
    while world.hub.counters().peer_without_room == 0 {
        world.send(viewer, knock());
    }
    assert!(world.inboxes[&daemon].untaken < PEER_WINDOW + 2 * 60_000);
    assert_eq!(world.reason_text(daemon), "open");
    let passed = world.hub.counters().peer_frames;
    world.take(daemon);
    world.send(viewer, knock());
    let counters = world.hub.counters();
    assert_eq!((counters.peer_frames, counters.peer_without_room), (passed + 1, 1));
}

/// L6: a driver that does not take what the hub says is told so, and what it wanted has not happened.
#[test]
fn who_does_not_drain_the_hub_is_told_so() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.open(daemon, session(1));
    let again = || Input::Received(daemon, Head::Open { session: session(1), cipher: 1 }.into());
    let taken = core::iter::repeat_with(|| world.hub.handle_input(world.now, again())).take_while(Result::is_ok).count();
    assert!((Outbox::<Output>::LIMIT - 1..=Outbox::<Output>::LIMIT).contains(&taken), "{taken}");
    let before = world.hub.clone();
    assert_eq!(world.hub.handle_input(world.now, Input::Gone(daemon)), Err(Misuse::Full("outputs")));
    assert_eq!(world.hub, before);
    assert!(world.hub.poll_output().is_some());
    assert_eq!(world.hub.handle_input(world.now, Input::Gone(daemon)), Ok(()));
}

/// L8, WIRE section 6: how much a relay holds for one viewer, one daemon and all of them, in bytes.
#[test]
fn the_bounds_are_those_that_are_promised() {
    const MIB: usize = 1_048_576;
    assert_eq!((VIEWER_WINDOW, PEER_WINDOW, MAX_READ, REPLY_WINDOW), (MIB, MIB + MIB, MIB / 4, MIB / 4));
    assert_eq!((UNSTORED_PER_DAEMON, MAX_UNSTORED), (4_194_304, 67_108_864));
}

/// F4: a session that has ended leaves when the store says so, and makes room for another; one that lives does not.
#[test]
fn an_ended_session_leaves_and_makes_room() {
    let mut world = World::default();
    let daemon = full_org(&mut world);
    world.send(daemon, Head::End { session: numbered(1), next: 0, outcome: Outcome::Exited });
    world.input(Input::Leaving(SessionNumber(1)));
    assert_eq!(world.hub.orgs()[0].sessions, SESSIONS_PER_ORG, "its end is not durable");
    world.commit_all();
    for number in [0, 1, 1] {
        world.input(Input::Leaving(SessionNumber(number)));
    }
    world.commit_all();
    assert_eq!(world.hub.orgs()[0].sessions, SESSIONS_PER_ORG - 1, "one has ended, the other lives");
    assert_eq!(world.hub.counters().kept_sessions, 3);
    assert!(!world.durable.contains_key(&SessionNumber(1)) && world.durable.contains_key(&SessionNumber(0)));
    // Its id is free, and it is another session now.
    world.open(daemon, numbered(1));
    assert_eq!(world.reason_text(daemon), "open");
    assert!(world.uncommitted.iter().any(|write| matches!(write, Write::Session { number, .. } if number.0 > 1)));
}

/// A viewer sees a session to its end before it leaves; then the runtime target leaves with its last one.
#[test]
fn a_watched_session_stays_until_it_is_seen() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.open(daemon, session(1));
    world.send(daemon, large(Head::Data { session: session(1), epoch: 0, sequence: 0 }));
    world.send(daemon, Head::End { session: session(1), next: 1, outcome: Outcome::Exited });
    world.commit_all();
    world.resume(viewer, session(1), 0);
    world.input(Input::Leaving(SessionNumber(0)));
    assert_eq!(world.hub.orgs()[0].sessions, 1, "its record is being read");
    world.settle();
    assert_eq!(world.records(viewer, session(1)).len(), 1);
    world.input(Input::Gone(daemon));
    world.input(Input::Leaving(SessionNumber(0)));
    world.input(Input::Gone(viewer));
    world.commit_all();
    assert!(world.durable.is_empty() && world.hub.orgs().is_empty());
}
