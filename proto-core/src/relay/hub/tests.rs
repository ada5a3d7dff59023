//! The hub against a store and connections that move when a test says so.

mod bounds;
mod counts;
mod envelopes;
mod isolation;
mod listings;
mod world;

use alloc::{string::String, vec, vec::Vec};
use core::time::Duration;

use bytes::Bytes;
use world::{World, data, org, session, target};

use super::*;
use crate::{
    secret::SecretText,
    wire::{Frame, Head, Listing, Outcome},
};

const S: crate::id::SessionId = crate::id::SessionId([1; 16]);

fn ack(next: u64) -> Head {
    Head::Acknowledge { session: S, next }
}

fn resume(next: u64) -> Head {
    Head::Resume { session: S, next }
}

/// SES-2: an acknowledgement means durable; a viewer does not wait for that.
#[test]
fn records_are_delivered_at_once_and_acknowledged_when_durable() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.open(daemon, S);
    world.resume(viewer, S, 0);
    world.send(daemon, data(S, 0, "zero"));
    world.send(daemon, data(S, 1, "one"));
    assert_eq!(world.records(viewer, S).len(), 2);
    assert_eq!(world.heads(daemon), [resume(0)]);
    world.commit_all();
    assert_eq!(world.heads(daemon)[1..], [ack(1), ack(2)]);
    assert_eq!(world.hub.unstored(), 0);
}

/// WIRE section 6: a viewer hears of every session, with the credential that vouches for its daemon.
#[test]
fn viewers_hear_of_sessions_old_and_new_with_the_latest_credential() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.open(daemon, session(1));
    world.input(Input::Renewed(daemon, SecretText::new("renewed")));
    let viewer = world.viewer("a", "v");
    world.open(daemon, session(2));
    let opens: Vec<_> = world.frames(viewer).iter().map(|f| (f.head.clone(), Listing::split(&f.body).0)).collect();
    let open = |n| (Head::Open { session: session(n), cipher: 1 }, Bytes::from_static(b"renewed"));
    assert_eq!(opens, [open(1), open(2)]);
}

/// After a reconnect the daemon is told from where to send, and what it need not keep.
#[test]
fn a_daemon_resumes_where_the_relay_is() {
    let mut world = World::default();
    let first = world.daemon("a", "d");
    world.open(first, S);
    world.send(first, data(S, 0, "zero"));
    world.commit_all();
    world.send(first, data(S, 1, "one"));
    world.input(Input::Gone(first));
    let second = world.daemon("a", "d");
    world.open(second, S);
    assert_eq!(world.heads(second), [resume(2), ack(1)]);
    world.commit_all();
    assert_eq!(world.heads(second).last(), Some(&ack(2)), "what the old link sent is acknowledged on the new one");
}

#[test]
fn a_duplicate_is_dropped_and_counted_and_a_gap_ends_the_link() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.open(daemon, S);
    world.resume(viewer, S, 0);
    world.send(daemon, data(S, 0, "zero"));
    world.send(daemon, data(S, 0, "zero"));
    assert_eq!((world.records(viewer, S).len(), world.hub.counters().duplicate_records), (1, 1));
    world.send(daemon, data(S, 2, "two"));
    assert_eq!(world.reason_text(daemon), "frame_malformed");
}

#[test]
fn data_before_open_and_after_end_ends_the_link() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.send(daemon, data(S, 0, "zero"));
    assert_eq!(world.reason_text(daemon), "frame_malformed");
    let daemon = world.daemon("a", "d");
    world.open(daemon, S);
    world.send(daemon, Head::End { session: S, next: 0, outcome: Outcome::Exited });
    world.send(daemon, data(S, 0, "zero"));
    assert_eq!(world.reason_text(daemon), "frame_malformed");
}

/// The end is told to viewers after all records, and acknowledged once more when durable, also when the daemon asks again.
#[test]
fn an_end_comes_last_and_is_acknowledged_again_after_a_reconnect() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.open(daemon, S);
    world.resume(viewer, S, 0);
    world.send(daemon, data(S, 0, "zero"));
    let end = Head::End { session: S, next: 1, outcome: Outcome::Cut };
    world.send(daemon, end.clone());
    assert_eq!(world.heads(viewer).last(), Some(&end));
    world.commit_all();
    assert_eq!(world.heads(daemon), [resume(0), ack(1), ack(2)]);
    world.crash();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.open(daemon, S);
    world.send(daemon, end.clone());
    assert_eq!(world.heads(daemon), [resume(2), ack(2), ack(2)]);
    world.resume(viewer, S, 0);
    world.settle();
    assert_eq!(world.heads(viewer).last(), Some(&end));
    assert_eq!(world.records(viewer, S).len(), 1);
}

/// F11: a daemon that was restarted takes the end of a session that it gives up for a record, and says so once more behind it.
#[test]
fn an_end_behind_the_end_changes_nothing() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.open(daemon, S);
    world.send(daemon, data(S, 0, "zero"));
    world.send(daemon, Head::End { session: S, next: 1, outcome: Outcome::Exited });
    world.commit_all();
    world.open(daemon, S);
    world.send(daemon, Head::End { session: S, next: 2, outcome: Outcome::Cut });
    assert_eq!(world.heads(daemon), [resume(0), ack(1), ack(2), resume(2), ack(2), ack(3)]);
    let viewer = world.viewer("a", "v");
    world.resume(viewer, S, 0);
    world.settle();
    assert_eq!(world.heads(viewer).last(), Some(&Head::End { session: S, next: 1, outcome: Outcome::Exited }));
    world.send(daemon, Head::End { session: S, next: 3, outcome: Outcome::Cut });
    assert_eq!(world.reason_text(daemon), "frame_malformed");
}

/// LINK-2, NOI-4: only a confirmed connection takes over, and what the old one still sends counts for nothing.
#[test]
fn a_newer_connection_of_the_same_target_supersedes_the_older() {
    let mut world = World::default();
    let older = world.daemon("a", "d");
    world.open(older, S);
    let newer = world.daemon("a", "d");
    assert_eq!(world.reason_text(older), "superseded");
    world.send(older, data(S, 0, "late"));
    assert_eq!((world.uncommitted.len(), world.hub.counters().unknown_connection), (2, 1), "credential and session only");
    world.open(newer, S);
    assert_eq!(world.heads(newer), [resume(0)]);
}

#[test]
fn a_session_belongs_to_the_target_that_opened_it_first() {
    let mut world = World::default();
    let (owner, thief) = (world.daemon("a", "d"), world.daemon("a", "e"));
    world.open(owner, S);
    world.open(thief, S);
    assert_eq!((world.reason_text(owner), world.reason_text(thief)), ("open".into(), "session_unknown".into()));
}

/// A viewer that stops reading is never disconnected and loses nothing: the rest comes from memory or the store (S136).
#[test]
fn a_slow_viewer_gets_everything_later_and_in_order() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.open(daemon, S);
    world.resume(viewer, S, 0);
    let body: String = "x".repeat(50_000);
    for sequence in 0..100 {
        world.send(daemon, data(S, sequence, &body));
        if sequence == 70 {
            world.commit_all();
        }
    }
    let at_first = world.records(viewer, S).len();
    assert!(at_first * 50_000 <= VIEWER_WINDOW + 50_000 && at_first > 10, "{at_first}");
    assert_eq!(world.closed(viewer), None);
    world.settle();
    let sequences: Vec<_> = world.records(viewer, S).iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences, (0..100).collect::<Vec<_>>());
    world.send(daemon, data(S, 100, "live again"));
    assert_eq!(world.records(viewer, S).last().unwrap().0, 100);
}

/// One viewer's window bounds what is under way to it, reads of the store included.
#[test]
fn reads_are_bounded_by_the_window() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    for n in 0..20 {
        world.open(daemon, session(n));
        world.send(daemon, data(session(n), 0, "zero"));
    }
    world.commit_all();
    let viewer = world.viewer("a", "v");
    for n in 0..20 {
        world.resume(viewer, session(n), 0);
    }
    assert!(world.reads.len() <= VIEWER_WINDOW / MAX_READ + 1, "{}", world.reads.len());
    world.settle();
    assert!((0..20).all(|n| world.records(viewer, session(n)).len() == 1));
}

/// A viewer that turns elsewhere while the store works gets what it asked for last.
#[test]
fn a_resume_during_a_read_moves_the_viewer() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.open(daemon, S);
    for sequence in 0..5 {
        world.send(daemon, data(S, sequence, "record"));
    }
    world.commit_all();
    let viewer = world.viewer("a", "v");
    world.resume(viewer, S, 0);
    world.resume(viewer, S, 3);
    world.settle();
    let sequences: Vec<_> = world.records(viewer, S).iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!((sequences, world.hub.counters().stale_store_answers), (vec![3, 4], 1));
}

/// After a crash the relay may know less than a viewer has seen; the viewer then sees no record twice.
#[test]
fn a_viewer_ahead_of_the_relay_waits_for_what_it_has_not_seen() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.open(daemon, S);
    world.send(daemon, data(S, 0, "zero"));
    world.commit_all();
    world.crash();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.resume(viewer, S, 2);
    world.open(daemon, S);
    assert_eq!(world.heads(daemon)[0], resume(1));
    for sequence in 1..4 {
        world.send(daemon, data(S, sequence, "again"));
    }
    let sequences: Vec<_> = world.records(viewer, S).iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences, [2, 3]);
}

/// SES-3: a store that falls behind holds the daemons back; nothing is dropped, no connection is closed.
#[test]
fn a_slow_store_holds_the_daemon_back() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    world.open(daemon, S);
    let body: String = "x".repeat(60_000);
    let mut sequence = 0;
    while !world.inboxes[&daemon].held {
        world.send(daemon, data(S, sequence, &body));
        sequence += 1;
    }
    assert!(world.hub.unstored() < UNSTORED_PER_DAEMON + 60_000);
    world.commit_all();
    assert!(!world.inboxes[&daemon].held);
    assert_eq!(world.heads(daemon).last(), Some(&ack(sequence)));
}

/// L8: who asks without reading the answers is not read any more, until it reads them.
#[test]
fn a_daemon_that_does_not_read_its_answers_is_held_back() {
    let mut world = World::default();
    let daemon = world.daemon("a", "d");
    while !world.inboxes[&daemon].held {
        world.open(daemon, S);
        assert!(world.inboxes[&daemon].untaken <= REPLY_WINDOW + 256);
    }
    world.take(daemon);
    assert!(!world.inboxes[&daemon].held);
}

/// WIRE section 8: the relay numbers viewers for the daemon, and passes bodies on as they are.
#[test]
fn peers_reach_each_other_through_the_session() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    let peer = |viewer, body| Frame { head: Head::Peer { session: S, viewer }, body: Bytes::from_static(body) };
    world.send(viewer, peer(0, b"too early"));
    world.open(daemon, S);
    world.send(viewer, peer(0, b"knock"));
    assert_eq!(world.frames(daemon).last(), Some(&peer(viewer.0, b"knock")));
    world.send(daemon, peer(viewer.0, b"who"));
    assert_eq!(world.frames(viewer).last(), Some(&peer(viewer.0, b"who")));
    world.send(daemon, peer(99, b"nobody"));
    assert_eq!((world.hub.counters().peer_frames, world.hub.counters().peer_without_receiver), (2, 2));
}

/// F29: a viewer that floods a daemon keeps neither a session's key from another viewer nor the daemon from being read.
#[test]
fn a_viewers_flood_leaves_room_for_another_viewer() {
    let mut world = World::default();
    let (daemon, other) = (world.daemon("a", "d"), world.viewer("a", "other"));
    world.open(daemon, S);
    let knock = |len| Frame { head: Head::Peer { session: S, viewer: 0 }, body: Bytes::from(alloc::vec![7; len]) };
    let before = world.frames(daemon).len();
    for flood in 0..64 {
        let viewer = world.viewer("a", &alloc::format!("flood-{flood}"));
        for _ in 0..200 {
            world.send(viewer, knock(1_000));
        }
    }
    let under_way = world.inboxes[&daemon].untaken;
    assert!((PEER_WINDOW..PEER_WINDOW + 64 * PEER_FIRST).contains(&under_way), "{under_way}");
    let first = world.frames(daemon).len() - before;
    assert!(first < 64 * 200, "{first} were passed on");
    world.send(other, knock(2_000));
    let expected = Frame { head: Head::Peer { session: S, viewer: other.0 }, ..knock(2_000) };
    assert_eq!(world.frames(daemon).last(), Some(&expected));
    world.send(daemon, data(S, 0, "goes on"));
    world.commit_all();
    assert!(!world.inboxes[&daemon].held, "the daemon is read");
    world.take(daemon);
    world.send(other, knock(2_000));
    assert_eq!(world.frames(daemon).last(), Some(&expected), "what the socket took makes room again");
}

/// F29: what one viewer has under way to a daemon is bounded, and frees up as the socket takes it, also between other frames.
#[test]
fn a_viewer_has_a_share_of_a_daemon() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.open(daemon, S);
    let knock = Frame { head: Head::Peer { session: S, viewer: 0 }, body: Bytes::from(alloc::vec![7; 1_000]) };
    let each = weight(&knock);
    let fits = PEER_SHARE.div_ceil(each) as u64;
    for sequence in 0..fits + 5 {
        world.send(viewer, knock.clone());
        world.send(daemon, data(S, sequence, "x"));
        world.commit_all();
    }
    assert_eq!((world.hub.counters().peer_frames, world.hub.counters().peer_without_room), (fits, 5));
    world.take(daemon);
    world.send(viewer, knock);
    assert_eq!((world.hub.counters().peer_frames, world.hub.counters().peer_without_room), (fits + 1, 5));
}

/// F20: what was revoked before the feed was heard is not known, so every connection is validated again, also one that was
/// validated before and confirms after; one that was validated after it is left in peace.
#[test]
fn a_recheck_reaches_who_is_in_and_who_confirms_soon() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("b", "v"));
    world.input(Input::Revalidate);
    assert_eq!(core::mem::take(&mut world.rechecked), [daemon, viewer]);
    let late = world.daemon("a", "late");
    assert_eq!(core::mem::take(&mut world.rechecked), [late]);
    world.now = world.now.after(MAX_CONFIRMATION + Duration::from_secs(1));
    world.daemon("a", "later");
    assert_eq!(world.rechecked, []);
    assert_eq!(["a", "b"].map(|_| world.reason_text(daemon)), ["open"; 2]);
}

/// D3: a revocation finds its target in every org that uses the id, and nothing else.
#[test]
fn a_revocation_finds_its_target_in_every_org_that_has_it() {
    let mut world = World::default();
    let links = [world.daemon("a", "d"), world.daemon("b", "d"), world.viewer("c", "d"), world.daemon("a", "e")];
    world.input(Input::Gone(links[1]));
    world.input(Input::Revoked { targets: vec![target("d"), target("unknown")], orgs: vec![] });
    assert_eq!([0, 2, 3].map(|n| world.reason_text(links[n])), ["machine_revoked", "machine_revoked", "open"]);
}

/// D3: a revocation cuts the live connection at once, and one that was validated just before and confirms just after.
#[test]
fn a_revocation_cuts_now_and_what_confirms_too_late() {
    let mut world = World::default();
    let (daemon, other) = (world.daemon("a", "d"), world.daemon("b", "e"));
    let bystander = world.daemon("a", "f");
    world.input(Input::Revoked { targets: vec![target("d")], orgs: vec![org("b")] });
    assert_eq!(world.reason_text(daemon), "machine_revoked");
    assert_eq!(world.reason_text(other), "workspace_not_found");
    assert_eq!(world.reason_text(bystander), "open");
    let late = world.daemon("a", "d");
    assert_eq!(world.reason_text(late), "machine_revoked");
    let late = world.viewer("b", "v");
    assert_eq!(world.reason_text(late), "workspace_not_found");
    world.now = world.now.after(REVOCATION_MEMORY + Duration::from_secs(1));
    let validated_since = world.daemon("a", "d");
    assert_eq!(world.reason_text(validated_since), "open");
}

#[test]
fn a_viewer_that_asks_for_an_unknown_session_is_told_so() {
    let mut world = World::default();
    let viewer = world.viewer("a", "v");
    world.resume(viewer, S, 0);
    assert_eq!(world.reason_text(viewer), "session_unknown");
}

/// Nothing of a connection or of an org without sessions stays behind.
#[test]
fn what_is_gone_leaves_nothing() {
    let mut world = World::default();
    let (daemon, viewer) = (world.daemon("a", "d"), world.viewer("a", "v"));
    world.input(Input::Gone(daemon));
    world.input(Input::Gone(viewer));
    assert_eq!(world.hub, Hub::new());
}

/// Daemons of an org are told that its records cannot be made durable, and that they can again: each once, and those that come
/// meanwhile. Viewers, and other orgs, are not.
#[test]
fn daemons_are_told_of_a_store_that_fails() {
    let mut world = World::default();
    let (daemon, viewer, other) = (world.daemon("a", "d1"), world.viewer("a", "v1"), world.daemon("b", "d2"));
    let told = |world: &World, of| {
        let heads = world.heads(of).into_iter();
        heads.filter_map(|head| if let Head::Storing { works } = head { Some(works) } else { None }).collect::<Vec<_>>()
    };
    for works in [true, false, false, true, true] {
        world.input(Input::Storing(org("a"), works));
    }
    assert_eq!(told(&world, daemon), [false, true]);
    world.input(Input::Storing(org("a"), false));
    let late = world.daemon("a", "d3");
    assert_eq!([told(&world, daemon), told(&world, late)], [vec![false, true, false], vec![false]]);
    assert!([viewer, other].iter().all(|of| told(&world, *of).is_empty()));
}
