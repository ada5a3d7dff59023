//! TLS below requests and WebSockets: an untrusted server gets nothing, and no client waits for ever.

use std::time::Duration;

use bytes::Bytes;
use io_engine::{Network, ServerKey};
use proto_core::effect::{Closed, Connect, Effect, HttpRequest, IoEvent, NetFault};

use crate::{
    PATIENCE, Subject,
    http::{echo, get, outcome, pattern, post},
    next,
    peer::{Peer, expired_identity, identity},
};

const LIMIT: usize = 300_000;

/// What comes of a WebSocket at `url` that does not open.
fn not_opened<S: Subject>(url: String, timeout: Duration, network: Network) -> Closed {
    let mut subject = S::start(None, network);
    subject.perform(Effect::Connect("relay", Connect { url, timeout, max_message: LIMIT }));
    match next(&mut subject) {
        IoEvent::Closed("relay", closed) => closed,
        other => panic!("{other:?}"),
    }
}

/// Neither a request nor a WebSocket gets through to a server with `key`, under this URL, and the fault says why.
fn refuses<S: Subject>(key: &ServerKey, network: &Network, url: fn(&Peer, &str) -> String, fault: NetFault) {
    let silence = |key: &ServerKey| {
        Peer::secure(key.clone(), |mut far| assert!(far.read().is_empty(), "the client said something to an untrusted server"))
    };
    let peer = silence(key);
    let subject = &mut S::start(None, network.clone());
    assert_eq!(outcome(subject, post(url(&peer, "https"), 3)), Err(fault));
    peer.finish();
    let peer = silence(key);
    assert_eq!(not_opened::<S>(url(&peer, "wss"), PATIENCE, network.clone()), Closed::Fault(fault));
    peer.finish();
}

/// A server whose certificate no trusted root signed.
pub fn unknown_root<S: Subject>() {
    let ((key, _), (_, others)) = (identity(), identity());
    refuses::<S>(&key, &others, Peer::url, NetFault::CertificateUntrusted);
}

/// A server that is vouched for under another name.
pub fn wrong_name<S: Subject>() {
    let (key, network) = identity();
    refuses::<S>(&key, &network, Peer::url_by_address, NetFault::CertificateName);
}

/// A server whose certificate was good once.
pub fn expired<S: Subject>() {
    let (key, network) = expired_identity();
    refuses::<S>(&key, &network, Peer::url, NetFault::CertificateExpired);
}

/// A server that does not speak TLS at all.
pub fn not_tls<S: Subject>() {
    let plain = || Peer::plain(|mut far| far.write(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let network = identity().1;
    let peer = plain();
    let fault = outcome(&mut S::start(None, network.clone()), get(peer.url("https"))).unwrap_err();
    assert!(matches!(fault, NetFault::Tls | NetFault::Broken), "{fault:?}: a reset may overtake the answer");
    peer.finish();
    let peer = plain();
    let closed = not_opened::<S>(peer.url("wss"), PATIENCE, network);
    assert!(matches!(closed, Closed::Fault(NetFault::Tls | NetFault::Broken)), "{closed:?}");
    peer.finish();
}

/// A server that stays silent within the handshake costs one timeout; one that hangs up, none.
pub fn handshake_stops<S: Subject>() {
    let network = identity().1;
    let short = Duration::from_millis(50);
    let silent = || Peer::plain(|mut far| far.read_to_end());
    let (first, second) = (silent(), silent());
    let request = HttpRequest { timeout: short, ..get(first.url("https")) };
    assert_eq!(outcome(&mut S::start(None, network.clone()), request), Err(NetFault::TimedOut));
    assert_eq!(not_opened::<S>(second.url("wss"), short, network.clone()), Closed::Fault(NetFault::TimedOut));
    first.finish();
    second.finish();
    let gone = Peer::plain(|mut far| drop(far.read()));
    assert_eq!(outcome(&mut S::start(None, network), get(gone.url("https"))), Err(NetFault::Broken));
    gone.finish();
}

/// An end without TLS's close_notify can be an attacker's who cuts the connection (RFC 8446 section 6.1).
pub fn cut_without_goodbye<S: Subject>() {
    let (key, network) = identity();
    let peer = Peer::secure(key, |mut far| {
        far.head();
        far.write(b"HTTP/1.1 200 OK\r\n\r\nall of it, or so it ");
    });
    assert_eq!(outcome(&mut S::start(None, network), get(peer.url("https"))), Err(NetFault::Broken));
    peer.finish();
}

/// A long body, more than rustls takes before its handshake has ended, to a server that takes its time over that.
pub fn long_body_before_the_handshake<S: Subject>() {
    const LEN: usize = 150 * 1024;
    let (key, network) = identity();
    let peer = Peer::secure_piecemeal(key, echo);
    let answer = outcome(&mut S::start(None, network), post(peer.url("https"), LEN)).unwrap();
    assert!(answer.body.expose() == pattern(LEN));
    peer.finish();
}

/// Many times what TLS buffers, all at once, right after a slow handshake: everything arrives, and is counted once.
pub fn lots_at_once<S: Subject>() {
    const MESSAGES: u32 = 64;
    let message = |at: u32| Bytes::from(at.to_le_bytes().repeat(25_000));
    let (key, network) = identity();
    let peer = Peer::secure_piecemeal(key, move |far| {
        let mut socket = far.upgrade(LIMIT);
        for at in 0..MESSAGES {
            assert!(socket.wait() == IoEvent::Received((), message(at)), "message {at}");
        }
        socket.send("all".into());
        assert!(matches!(socket.echo(), IoEvent::Closed(..)));
    });
    let mut subject = S::start(None, network);
    let connect = Connect { url: peer.url("wss"), timeout: PATIENCE, max_message: LIMIT };
    subject.perform(Effect::Connect("relay", connect));
    assert!(matches!(next(&mut subject), IoEvent::Connected("relay", _)));
    (0..MESSAGES).for_each(|at| subject.perform(Effect::Send("relay", message(at))));
    let (mut sent, mut all) = (0, false);
    while sent < MESSAGES || !all {
        match next(&mut subject) {
            IoEvent::Sent("relay", count) => sent += count,
            IoEvent::Received("relay", word) => all = word == "all",
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sent, MESSAGES);
    subject.shutdown();
    peer.finish();
}
