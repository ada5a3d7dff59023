//! What the hub counts, and when exactly it holds back and lets go.

use super::*;

const NOBODY: ConnectionId = ConnectionId(99);
const NOWHERE: SessionNumber = SessionNumber(99);

/// L6: what is ignored is counted by kind, each time.
#[test]
fn what_is_ignored_is_counted() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.open(daemon, S);
    let confirmed = |name: &str| Confirmed { org: org("a"), target: target(name), kind: Kind::Viewer };
    for n in 1..=2 {
        world.send(viewer, data(S, 0, "not yours"));
        world.send(daemon, resume(0));
        world.input(Input::Confirmed(daemon, confirmed("e")));
        world.input(Input::Renewed(NOBODY, SecretText::new("x")));
        world.input(Input::Gone(NOBODY));
        world.input(Input::Taken(NOBODY, 1));
        world.input(Input::Received(NOBODY, resume(0).into()));
        world.input(Input::Appended(NOWHERE, 1));
        world.input(Input::Ended(NOWHERE));
        world.input(Input::Ended(SessionNumber(0)));
        world.input(Input::Unreadable(viewer, SessionNumber(0)));
        let expected = Counters {
            misdirected: 2 * n,
            confirmed_twice: n,
            unknown_connection: 4 * n,
            stale_store_answers: 4 * n,
            ..Counters::default()
        };
        assert_eq!(world.hub.counters(), &expected);
    }
    assert_eq!((world.reason_text(daemon), world.reason_text(viewer)), ("open".into(), "open".into()));
}

/// What was done is counted: records in, and out to viewers at once or later.
#[test]
fn what_is_delivered_is_counted() {
    let mut world = World::default();
    let (daemon, live) = (world.daemon("a", "d"), world.viewer("a", "live"));
    world.open(daemon, S);
    world.resume(live, S, 0);
    for sequence in 0..3 {
        world.send(daemon, data(S, sequence, "record"));
    }
    assert_eq!(world.hub.counters(), &Counters { records: 3, delivered_live: 3, ..Counters::default() });
    let from_memory = world.viewer("a", "m");
    world.resume(from_memory, S, 1);
    assert_eq!(world.hub.counters(), &Counters { records: 3, delivered_live: 3, delivered_later: 2, ..Counters::default() });
    world.commit_all();
    let from_store = world.viewer("a", "s");
    world.resume(from_store, S, 0);
    world.settle();
    assert_eq!(world.hub.counters(), &Counters { records: 3, delivered_live: 3, delivered_later: 5, ..Counters::default() });
}

/// SES-2: an answer of the store that says nothing new acknowledges nothing.
#[test]
fn an_answer_of_the_store_counts_once() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.open(daemon, S);
    world.send(daemon, data(S, 0, "zero"));
    assert_eq!(world.hub.unstored(), 4);
    world.send(daemon, data(S, 1, "one"));
    assert_eq!(world.hub.unstored(), 7);
    world.commit(3);
    assert_eq!((world.hub.unstored(), world.heads(daemon)), (3, vec![resume(0), ack(1)]));
    for n in 1..=2 {
        world.input(Input::Appended(SessionNumber(0), 1));
        assert_eq!(world.hub.counters().stale_store_answers, n);
    }
    assert_eq!((world.hub.unstored(), world.heads(daemon).len()), (3, 2));
}

/// A credential is written where viewers need it after a restart: with the first session, and when it changes after that.
#[test]
fn a_credential_is_kept_with_its_sessions() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    let renew = |world: &mut World, text: &str| world.input(Input::Renewed(daemon, SecretText::new(text)));
    renew(&mut world, "second");
    assert!(world.uncommitted.is_empty(), "there is nothing to show it with");
    world.open(daemon, session(1));
    world.open(daemon, session(2));
    renew(&mut world, "second");
    renew(&mut world, "third");
    let credentials: Vec<_> = world
        .uncommitted
        .iter()
        .filter_map(|write| if let Write::Credential { credential, .. } = write { Some(credential.expose()) } else { None })
        .collect();
    assert_eq!(credentials, ["second", "third"]);
}

fn sized(id: crate::id::SessionId, sequence: u64, len: usize) -> Frame {
    static BODY: [u8; 1024 * 1024] = [0; 1024 * 1024];
    Frame { head: Head::Data { session: id, epoch: 0, sequence }, body: Bytes::from_static(&BODY[..len]) }
}

/// SES-3: a daemon is held back from the byte on that is too much, until half of that is durable.
#[test]
fn a_daemon_is_held_for_its_own_records_until_half_is_durable() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.open(daemon, S);
    world.commit_all();
    let records = UNSTORED_PER_DAEMON as u64 / 65_536;
    for sequence in 0..records {
        assert!(!world.inboxes[&daemon].held, "{sequence}");
        world.send(daemon, sized(S, sequence, 65_536));
    }
    for _ in 0..records / 2 {
        assert!(world.inboxes[&daemon].held, "{}", world.hub.unstored());
        world.commit(1);
    }
    assert!(!world.inboxes[&daemon].held);
    assert_eq!(world.hub.unstored(), UNSTORED_PER_DAEMON / 2);
}

/// L8: and for answers that it does not read until half of them are read.
#[test]
fn a_daemon_is_held_for_unread_answers_until_half_are_read() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    let untaken = |world: &World| world.inboxes[&daemon].untaken;
    while !world.inboxes[&daemon].held {
        assert!(untaken(&world) < REPLY_WINDOW);
        world.open(daemon, S);
    }
    let surplus = untaken(&world) - REPLY_WINDOW / 2;
    for (taken, held) in [(0, true), (surplus - 1, true), (1, false)] {
        world.input(Input::Taken(daemon, taken));
        assert_eq!(world.inboxes[&daemon].held, held, "{taken}");
    }
}

/// SES-3: all together are held back from the byte on that is too much for the store, until half of that is durable.
#[test]
fn daemons_are_held_for_all_records_until_half_is_durable() {
    let mut world = World::default();
    let mebibyte = 1024 * 1024;
    let daemons: Vec<_> = (0..32).map(|n| world.daemon("a", &alloc::format!("d{n}"))).collect();
    for (n, daemon) in (0..).zip(&daemons) {
        world.open(*daemon, session(n));
    }
    world.commit_all();
    for (n, daemon) in (0..).zip(&daemons) {
        for sequence in 0..2 {
            assert!(world.inboxes.values().all(|inbox| !inbox.held));
            world.send(*daemon, sized(session(n), sequence, mebibyte));
        }
    }
    let latest = daemons[31];
    assert_eq!((world.hub.unstored(), world.inboxes[&latest].held), (MAX_UNSTORED, true));
    for _ in 0..32 {
        assert!(world.inboxes[&latest].held, "{}", world.hub.unstored());
        world.commit(1);
    }
    assert_eq!((world.hub.unstored(), world.inboxes[&latest].held), (MAX_UNSTORED / 2, false));
}

/// S136: a viewer's window is full from its last byte on, not before; what waits is sent as soon as one byte is taken.
#[test]
fn a_viewers_window_is_full_to_the_byte() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.open(daemon, S);
    world.take(viewer);
    world.resume(viewer, S, 0);
    let around = weight(&sized(S, 0, 0));
    for (sequence, len) in [(0, VIEWER_WINDOW - 2 * around - 1), (1, 1), (2, 10)] {
        world.send(daemon, sized(S, sequence, len));
    }
    assert_eq!((world.records(viewer, S).len(), world.inboxes[&viewer].untaken), (2, VIEWER_WINDOW));
    world.input(Input::Taken(viewer, 1));
    assert_eq!(world.records(viewer, S).len(), 3);
}

/// An org lasts while anything of it is there: a viewer that stays hears of the session that comes later.
#[test]
fn an_org_lasts_as_long_as_anything_of_it() {
    let mut world = World::default();
    let (leaving, staying) = (world.viewer("a", "v"), world.viewer("a", "w"));
    world.input(Input::Gone(leaving));
    let daemon = world.daemon("a", "d");
    world.open(daemon, S);
    assert_eq!(world.heads(staying), [Head::Open { session: S, cipher: 1 }]);
    world.send(daemon, data(S, 0, "zero"));
    world.input(Input::Gone(daemon));
    world.input(Input::Gone(staying));
    let later = world.viewer("a", "v");
    world.resume(later, S, 0);
    assert_eq!(world.records(later, S).len(), 1);
}

/// D3: a revocation is remembered for its time, to the end.
#[test]
fn a_revocation_is_remembered_to_the_end_of_its_time() {
    let mut world = World::default();
    world.input(Input::Revoked { targets: vec![target("d")], orgs: vec![] });
    world.now = world.now.after(REVOCATION_MEMORY);
    let late = world.daemon("a", "d");
    assert_eq!(world.reason_text(late), "machine_revoked");
    world.now = world.now.after(Duration::from_nanos(1));
    let validated_since = world.daemon("a", "d");
    assert_eq!(world.reason_text(validated_since), "open");
}

/// A store that contradicts itself is believed the first time, and the rest is counted.
#[test]
fn stored_sessions_that_contradict_one_another_are_counted() {
    let mut world = World::default();
    let stored = |number, id| StoredSession {
        number: SessionNumber(number),
        org: org("a"),
        session: session(id),
        target: target("d"),
        cipher: 1,
        credential: SecretText::new("x"),
        next: 0,
        ended: None,
        tally: Tally::default(),
        envelope: None,
    };
    world.input(Input::Stored(stored(1, 1)));
    for (n, (number, id)) in (1..).zip([(1, 2), (2, 1), (1, 1)]) {
        world.input(Input::Stored(stored(number, id)));
        assert_eq!((world.hub.counters().contradicting_sessions, world.hub.orgs()[0].sessions), (n, 1));
    }
    world.input(Input::Stored(stored(2, 2)));
    assert_eq!((world.hub.counters().contradicting_sessions, world.hub.orgs()[0].sessions), (3, 2));
}

/// An answer of the store is taken once: a second one about the same read frees no room and asks for nothing.
#[test]
fn an_answer_to_a_read_is_taken_once() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.open(daemon, S);
    for sequence in 0..3 {
        world.send(daemon, sized(S, sequence, VIEWER_WINDOW));
    }
    world.commit_all();
    let viewer = world.viewer("a", "v");
    world.resume(viewer, S, 0);
    let Some(Read { session: number, from: 0, .. }) = world.reads.pop_front() else { panic!("no read") };
    let answer = || {
        let record = SealedRecord { epoch: 0, body: sized(S, 0, VIEWER_WINDOW).body };
        Input::Records(Records { viewer, session: number, from: 0, records: vec![record] })
    };
    for stale in 0..3 {
        world.input(answer());
        assert_eq!(world.hub.counters().stale_store_answers, stale);
        assert_eq!((world.records(viewer, S).len(), world.reads.len()), (1, 0));
    }
    world.take(viewer);
    assert_eq!(world.reads.pop_front().map(|read| read.from), Some(1));
}

/// WIRE section 8: a viewer whose window is full of records still gets what daemons say to it, up to as much again.
#[test]
fn peer_frames_have_room_beside_records() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.open(daemon, S);
    world.take(viewer);
    world.resume(viewer, S, 0);
    world.send(daemon, sized(S, 0, VIEWER_WINDOW - FRAME_WEIGHT));
    let peer = Frame { head: Head::Peer { session: S, viewer: viewer.0 }, body: sized(S, 0, 65_536 - FRAME_WEIGHT).body };
    for _ in 0..20 {
        world.send(daemon, peer.clone());
    }
    assert_eq!((world.hub.counters().peer_frames, world.hub.counters().peer_without_room), (16, 4));
    assert_eq!(world.inboxes[&viewer].untaken, PEER_WINDOW);
}
