//! Sessions through the relay: live, stored, resumed, taken over, cut.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use proto_core::{
    Reason, SessionId,
    wire::{Frame, Head, Listing, Outcome, Standing},
};
use viewport_relay::{Options, Tap, Tapped};

use crate::{Site, device::Online};

const S: SessionId = SessionId([5; 16]);

fn data(sequence: u64, body: impl Into<Bytes>) -> Frame {
    Frame { head: Head::Data { session: S, epoch: 0, sequence }, body: body.into() }
}

fn resume(next: u64) -> Head {
    Head::Resume { session: S, next }
}

fn acknowledged(next: u64) -> impl Fn(&Head) -> bool {
    move |head| *head == Head::Acknowledge { session: S, next }
}

async fn open(daemon: &mut Online) -> Head {
    daemon.send(Head::Open { session: S, cipher: 1 });
    daemon.hear_until(|head| matches!(head, Head::Resume { .. })).await.head
}

/// From a daemon to a viewer, live, with the credential that vouches for the daemon; and again for a viewer that comes later.
#[tokio::test]
async fn a_session_reaches_viewers_now_and_later() {
    let site = Site::open().await;
    let device = site.daemon("org", "daemon");
    let mut daemon = device.connect(site.address, site.key).await.unwrap();
    assert_eq!(open(&mut daemon).await, resume(0));

    let mut viewer = site.viewer("org", "viewer").connect(site.address, site.key).await.unwrap();
    let announced = viewer.hear().await;
    assert_eq!(announced.head, Head::Open { session: S, cipher: 1 });
    let (credential, listing) = Listing::split(&announced.body);
    assert_eq!(credential, device.token().expose().as_bytes());
    let listing = listing.unwrap();
    assert!(listing.began.0 > 1_700_000_000 && listing.active == listing.began, "{listing:?}");
    assert_eq!((listing.standing, listing.bytes, listing.records), (Standing::Live, 0, 0));
    viewer.send(resume(0));

    let large = vec![7; 60_000];
    daemon.send(data(0, "zero"));
    daemon.send(data(1, large.clone()));
    daemon.send(Head::End { session: S, next: 2, outcome: Outcome::Exited });
    daemon.hear_until(acknowledged(3)).await;
    let expected = [data(0, "zero"), data(1, large), Head::End { session: S, next: 2, outcome: Outcome::Exited }.into()];
    for frame in &expected {
        assert_eq!(viewer.hear().await, *frame);
    }

    let mut later = site.viewer("org", "another").connect(site.address, site.key).await.unwrap();
    later.hear().await;
    later.send(resume(0));
    for frame in &expected {
        assert_eq!(later.hear().await, *frame);
    }
    let state = site.admin("/state").await;
    assert!(state.lines().any(|line| line.split_whitespace().eq(["org", "1", "2", "1", "1"])), "{state}");
}

/// SES-1, SES-2: the relay stops and starts again in place; what it acknowledged is there, and the daemon goes on from it.
#[tokio::test]
async fn a_restart_of_the_relay_keeps_what_it_acknowledged() {
    let mut site = Site::open().await;
    let (address, key) = (site.address, site.key);
    let device = site.daemon("org", "daemon");
    let mut daemon = device.connect(address, key).await.unwrap();
    open(&mut daemon).await;
    daemon.send(data(0, "zero"));
    daemon.send(data(1, "one"));
    daemon.hear_until(acknowledged(2)).await;
    site.stop().await;
    let (frames, reason) = daemon.hear_the_end().await;
    assert!(matches!(frames[..], [Frame { head: Head::Error { reason: Reason::RelayClosed, .. }, .. }]), "{frames:?}");
    assert_eq!(reason, Some(Reason::RelayClosed));

    site.start().await;
    assert_eq!((site.address, site.key), (address, key));
    let mut daemon = device.connect(address, key).await.unwrap();
    assert_eq!(open(&mut daemon).await, resume(2));
    daemon.send(data(2, "two"));
    daemon.hear_until(acknowledged(3)).await;
    let mut viewer = site.viewer("org", "viewer").connect(address, key).await.unwrap();
    viewer.hear().await;
    viewer.send(resume(1));
    assert_eq!((viewer.hear().await, viewer.hear().await), (data(1, "one"), data(2, "two")));
}

/// ADM-4: two orgs with the same session id and the same names do not see each other.
#[tokio::test]
async fn orgs_do_not_see_each_other() {
    let site = Site::open().await;
    let mut ours = site.daemon("ours", "daemon").connect(site.address, site.key).await.unwrap();
    let mut theirs = site.daemon("theirs", "daemon").connect(site.address, site.key).await.unwrap();
    for (daemon, body) in [(&mut ours, "ours"), (&mut theirs, "theirs")] {
        open(daemon).await;
        daemon.send(data(0, body));
        daemon.hear_until(acknowledged(1)).await;
    }
    for org in ["ours", "theirs"] {
        let mut viewer = site.viewer(org, "viewer").connect(site.address, site.key).await.unwrap();
        viewer.hear().await;
        viewer.send(resume(0));
        assert_eq!(viewer.hear().await, data(0, org));
    }
}

/// WIRE section 6: one link per binding.
#[tokio::test]
async fn a_newer_link_supersedes_the_older() {
    let site = Site::open().await;
    let device = site.daemon("org", "daemon");
    let mut older = device.connect(site.address, site.key).await.unwrap();
    let mut newer = device.connect(site.address, site.key).await.unwrap();
    let (frames, reason) = older.hear_the_end().await;
    assert!(matches!(frames[..], [Frame { head: Head::Error { reason: Reason::Superseded, .. }, .. }]), "{frames:?}");
    assert_eq!(reason, Some(Reason::Superseded));
    assert_eq!(open(&mut newer).await, resume(0));
}

/// D3: a revocation reaches the live connection at once, as a frame under the relay's key.
#[tokio::test]
async fn a_revocation_cuts_at_once() {
    let site = Site::open().await;
    let mut daemon = site.daemon("org", "daemon").connect(site.address, site.key).await.unwrap();
    let mut other = site.daemon("org", "other").connect(site.address, site.key).await.unwrap();
    site.platform.is_watched().await;
    site.platform.revokes("daemon");
    let (frames, reason) = daemon.hear_the_end().await;
    assert_eq!(frames, [Head::Revoke { reason: Reason::MachineRevoked }.into()]);
    assert_eq!(reason, Some(Reason::MachineRevoked));
    assert_eq!(open(&mut other).await, resume(0));
}

/// D8: over the live link.
#[tokio::test]
async fn a_credential_is_renewed_in_band() {
    let site = Site::open().await;
    let mut device = site.daemon("org", "daemon");
    let mut daemon = device.connect(site.address, site.key).await.unwrap();
    open(&mut daemon).await;
    device.claims.generation = 2;
    daemon.send(Head::Rotate { token: device.token() });
    assert_eq!(daemon.hear().await, Head::Rotated { generation: 2 }.into());
    assert!(site.admin("/logs").await.contains("credential renewed"));
    let mut viewer = site.viewer("org", "viewer").connect(site.address, site.key).await.unwrap();
    assert_eq!(Listing::split(&viewer.hear().await.body).0, device.token().expose().as_bytes());
}

/// A viewer that does not read is not disconnected and misses nothing, and no other viewer waits for it.
#[tokio::test]
async fn a_viewer_that_does_not_read_catches_up() {
    let site = Site::open().await;
    let mut daemon = site.daemon("org", "daemon").connect(site.address, site.key).await.unwrap();
    open(&mut daemon).await;
    let mut viewer = site.viewer("org", "viewer").connect(site.address, site.key).await.unwrap();
    viewer.hear().await;
    viewer.send(resume(0));
    viewer.send(Head::Ping { nonce: 2 });
    assert_eq!(viewer.hear().await, Head::Pong { nonce: 2 }.into());
    let records = 400;
    for sequence in 0..records {
        daemon.send(data(sequence, vec![u8::try_from(sequence % 251).unwrap(); 60_000]));
    }
    daemon.hear_until(acknowledged(records)).await;
    for sequence in 0..records {
        let frame = viewer.hear().await;
        assert_eq!(frame, data(sequence, vec![u8::try_from(sequence % 251).unwrap(); 60_000]));
    }
    daemon.send(data(records, "live"));
    daemon.send(Head::Ping { nonce: 3 });
    daemon.hear_until(|head| *head == Head::Pong { nonce: 3 }).await;
    assert_eq!(viewer.hear().await, data(records, "live"));
}

/// Frames of section 8 go both ways, under the relay's number for the viewer.
#[tokio::test]
async fn a_viewer_and_a_daemon_reach_each_other() {
    let site = Site::open().await;
    let mut daemon = site.daemon("org", "daemon").connect(site.address, site.key).await.unwrap();
    open(&mut daemon).await;
    let mut viewer = site.viewer("org", "viewer").connect(site.address, site.key).await.unwrap();
    viewer.hear().await;
    let knock = Bytes::from_static(b"knock");
    viewer.send(Frame { head: Head::Peer { session: S, viewer: 0 }, body: knock.clone() });
    viewer.send(Head::Ping { nonce: 2 });
    viewer.hear().await;
    let Frame { head: Head::Peer { viewer: number, .. }, body } = daemon.hear().await else { panic!("no peer frame") };
    assert_eq!(body, knock);
    daemon.send(Frame { head: Head::Peer { session: S, viewer: number }, body: Bytes::from_static(b"who") });
    daemon.send(Head::Ping { nonce: 2 });
    daemon.hear().await;
    assert_eq!(viewer.hear().await.body, "who");
}

/// ADM-5: the tap shows a test all that the relay was told, before and after Noise was taken off.
#[tokio::test]
async fn the_tap_sees_everything() {
    let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let sink = Arc::clone(&seen);
    let tap = Tap::new(move |tapped| match tapped {
        Tapped::Message(message) => sink.lock().unwrap().0.push(message.to_vec()),
        Tapped::Frame(frame) => sink.lock().unwrap().1.push(frame.clone()),
    });
    let site = Site::open_with(|_| {}, Options { tap: Some(tap), ..Options::default() }).await;
    let mut daemon = site.daemon("org", "daemon").connect(site.address, site.key).await.unwrap();
    open(&mut daemon).await;
    daemon.send(data(0, "sealed"));
    daemon.hear_until(acknowledged(1)).await;
    let (messages, frames) = seen.lock().unwrap().clone();
    assert_eq!(messages.len(), 4, "message 1, a ping, and two frames");
    assert_eq!(frames, [Head::Open { session: S, cipher: 1 }.into(), data(0, "sealed")]);
}
