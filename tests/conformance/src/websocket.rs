//! [`Effect::Connect`], [`Effect::Send`] and [`Effect::Close`]: everything arrives in order, and every end is told once.

use bytes::Bytes;
use io_engine::MessageSocket;
use proto_core::{
    Reason,
    effect::{Close, Closed, Connect, Effect, HttpRequest, IoEvent, Method, NetFault, UpgradeRefusal},
};

use crate::{PATIENCE, Subject, next, peer::Peer, subject};

const LIMIT: usize = 300_000;

pub(crate) fn open<S: Subject>(subject: &mut S, peer: &Peer) {
    subject.perform(Effect::Connect("relay", to(peer)));
    assert!(matches!(next(subject), IoEvent::Connected("relay", _)));
}

fn to(peer: &Peer) -> Connect {
    Connect { url: peer.url("ws"), timeout: PATIENCE, max_message: LIMIT }
}

pub(crate) fn closed<S: Subject>(subject: &mut S) -> Closed {
    match next(subject) {
        IoEvent::Closed("relay", closed) => closed,
        other => panic!("{other:?}"),
    }
}

/// Many small messages and some as large as they may be, in order, and each is counted once.
pub fn messages_come_back<S: Subject>() {
    let peer = Peer::plain(|far| assert_eq!(far.upgrade(LIMIT).echo(), IoEvent::Closed((), Closed::ByPeer(None))));
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    let small = (0..2000_u32).map(|at| Bytes::from(at.to_le_bytes().to_vec()));
    let large = [0, 65_536, LIMIT, 1].map(|len| Bytes::from(vec![7; len]));
    // One by one as far as the large ones go: the other end has one thread to read and to write with.
    for batch in [small.collect::<Vec<_>>()].into_iter().chain(large.map(|message| vec![message])) {
        for message in &batch {
            subject.perform(Effect::Send("relay", message.clone()));
        }
        let (mut back, mut sent) = (Vec::new(), 0);
        while back.len() < batch.len() || sent < batch.len() {
            match next(&mut subject) {
                IoEvent::Received("relay", message) => back.push(message),
                IoEvent::Sent("relay", count) => sent += usize::try_from(count).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        assert!(back == batch && sent == batch.len());
    }
    subject.perform(Effect::Close("relay", Close::Normal));
    assert_eq!(closed(&mut subject), Closed::ByUs);
    peer.finish();
}

/// Any answer but 101: its status and what it says of waiting reach the machine (F43).
pub fn refused_upgrade<S: Subject>() {
    let peer = Peer::plain(|mut far| {
        far.request();
        far.write(
            b"HTTP/1.1 503 Full\r\nRetry-After: 7\r\nContent-Type: application/problem+json\r\nContent-Length: 2\r\n\r\n{}",
        );
    });
    let mut subject = subject::<S>();
    subject.perform(Effect::Connect("relay", to(&peer)));
    let refusal = UpgradeRefusal { status: 503, retry_after: Some(7), is_problem: true };
    assert_eq!(closed(&mut subject), Closed::Refused(refusal));
    peer.finish();
}

/// D12: the reason reaches the other side.
pub fn closed_with_reason_by_us<S: Subject>() {
    let reason = Reason::PingTimeout;
    let peer = Peer::plain(move |far| {
        assert_eq!(far.upgrade(LIMIT).echo(), IoEvent::Closed((), Closed::ByPeer(Some(reason))));
    });
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    subject.perform(Effect::Close("relay", Close::Because(reason)));
    subject.perform(Effect::Send("relay", "too late".into()));
    assert_eq!(closed(&mut subject), Closed::ByUs);
    peer.finish();
}

/// D12: the other side's reason arrives, after what it sent before.
pub fn closed_with_reason_by_peer<S: Subject>() {
    let peer = Peer::plain(|far| {
        let mut socket = far.upgrade(LIMIT);
        socket.socket().send("before".into());
        socket.socket().close(Close::Because(Reason::RateLimited));
        assert_eq!(socket.echo(), IoEvent::Closed((), Closed::ByUs));
    });
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    assert_eq!(next(&mut subject), IoEvent::Received("relay", "before".into()));
    assert_eq!(closed(&mut subject), Closed::ByPeer(Some(Reason::RateLimited)));
    peer.finish();
}

/// A side that sends no more has gone, even if it would still read.
pub fn half_open<S: Subject>() {
    let peer = Peer::plain(|far| {
        let mut far = far.upgrade(LIMIT).into_bytes();
        far.stop_sending();
        far.read_to_end();
    });
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    assert_eq!(closed(&mut subject), Closed::Fault(NetFault::Broken));
    peer.finish();
}

/// Half a frame and then nothing any more.
pub fn reset_within_a_frame<S: Subject>() {
    let peer = Peer::plain(|far| {
        let mut far = far.upgrade(LIMIT).into_bytes();
        far.write(&[0x82, 100, 1, 2, 3]);
        far.reset();
    });
    let mut subject = subject::<S>();
    subject.perform(Effect::Connect("relay", to(&peer)));
    // The reset may overtake the answer to the upgrade.
    let first = next(&mut subject);
    let last = if matches!(first, IoEvent::Connected("relay", _)) { next(&mut subject) } else { first };
    assert_eq!(last, IoEvent::Closed("relay", Closed::Fault(NetFault::Broken)));
    peer.finish();
}

/// A machine need not wait for an upgrade that it does not want any more.
pub fn given_up_before_it_opens<S: Subject>() {
    let peer = Peer::plain(|mut far| far.read_to_end());
    let mut subject = subject::<S>();
    subject.perform(Effect::Connect("relay", to(&peer)));
    subject.perform(Effect::Close("relay", Close::Normal));
    assert_eq!(closed(&mut subject), Closed::ByUs);
    peer.finish();
}

/// A longer message than was agreed on ends the connection, and says why.
pub fn too_large<S: Subject>() {
    let peer = Peer::plain(|far| {
        let mut socket = far.upgrade(LIMIT);
        socket.socket().send(vec![0; LIMIT + 1].into());
        let closed = socket.echo();
        assert!(matches!(closed, IoEvent::Closed((), Closed::ByPeer(Some(Reason::FrameTooLarge)))), "{closed:?}");
    });
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    assert_eq!(closed(&mut subject), Closed::Fault(NetFault::TooLarge));
    peer.finish();
}

/// Nothing of an older connection appears under a name that was given away again.
pub fn a_name_belongs_to_its_latest<S: Subject>() {
    let old = Peer::plain(|far| {
        let mut socket = far.upgrade(LIMIT);
        for message in ["old", "older"] {
            socket.socket().send(message.into());
        }
        assert_eq!(socket.echo(), IoEvent::Closed((), Closed::Fault(NetFault::Broken)));
    });
    let new = Peer::plain(|far| {
        let mut socket = far.upgrade(LIMIT);
        socket.socket().send("new".into());
        assert_eq!(socket.echo(), IoEvent::Closed((), Closed::ByPeer(None)));
    });
    let mut subject = subject::<S>();
    open(&mut subject, &old);
    assert_eq!(next(&mut subject), IoEvent::Received("relay", "old".into()));
    open(&mut subject, &new);
    assert_eq!(next(&mut subject), IoEvent::Received("relay", "new".into()));
    old.finish();
    subject.shutdown();
    new.finish();
}

/// Dropping the adapter leaves no task and no socket, whatever these were doing.
pub fn dropping_closes_everything<S: Subject>() {
    let open_one = Peer::plain(|far| {
        let closed = far.upgrade(LIMIT).echo();
        assert_eq!(closed, IoEvent::Closed((), Closed::Fault(NetFault::Broken)));
    });
    let (asked, wait) = std::sync::mpsc::channel();
    let unanswered = Peer::plain(move |mut far| {
        far.request();
        asked.send(()).unwrap();
        far.read_to_end();
    });
    let mut subject = subject::<S>();
    open(&mut subject, &open_one);
    let url = unanswered.url("http");
    // Longer than any test waits for tasks to end: one that is left does not end by itself in time.
    let timeout = 10 * PATIENCE;
    let request = HttpRequest { method: Method::Get, url, headers: Vec::new(), body: None, timeout, max_answer: 9 };
    subject.perform(Effect::Http("request", request));
    while wait.try_recv().is_err() {
        let soon = subject.now().after(std::time::Duration::from_millis(1));
        assert_eq!(subject.next(Some(proto_core::Deadline::new(soon, "a turn"))), None);
    }
    assert_eq!(subject.abandon(), 0);
    open_one.finish();
    unanswered.finish();
}

/// A shutdown says goodbye.
pub fn shutdown_closes_normally<S: Subject>() {
    let peer = Peer::plain(|far| assert_eq!(far.upgrade(LIMIT).echo(), IoEvent::Closed((), Closed::ByPeer(None))));
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    subject.shutdown();
    peer.finish();
}
