//! [`Effect::Http`](proto_core::effect::Effect::Http) with peers that are slow, break off, or send without an end.

use std::time::Duration;

use proto_core::effect::{HttpRequest, NetFault};

use crate::{
    Subject,
    http::{answered, get, outcome, post},
    peer::{Far, Peer, gate},
    subject,
};

/// Longer than everything that the sockets of both sides hold.
const LONG: usize = 16 << 20;

/// Until one of these has passed, a peer that trickles has sent a few dozen bytes.
const SHORT: Duration = Duration::from_millis(50);

/// The beginnings of answers that stop within each part of one.
const BEGINNINGS: [&str; 5] = [
    "HTTP/1.1 200 ",
    "HTTP/1.1 200 OK\r\nX: ",
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: ",
];

/// What comes of a request to a peer that sends `start` and then does `then` until the client hangs up.
fn outcome_with<S: Subject>(start: &'static str, timeout: Duration, then: fn(&mut Far)) -> NetFault {
    let peer = Peer::plain(move |mut far| {
        far.head();
        far.write(start.as_bytes());
        then(&mut far);
    });
    let request = HttpRequest { timeout, ..get(peer.url("http")) };
    let fault = outcome(&mut subject::<S>(), request).unwrap_err();
    peer.finish();
    fault
}

/// A byte now and then does not extend the timeout, in whatever part of the answer.
pub fn trickling<S: Subject>() {
    for start in BEGINNINGS {
        assert_eq!(outcome_with::<S>(start, SHORT, |far| far.trickle(b'a')), NetFault::TimedOut, "{start}");
    }
}

/// An answer that was cut is never taken for a whole one, wherever it was cut: by an end, or by a reset.
pub fn truncated_anywhere<S: Subject>() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n5\r\npedia\r\n0\r\nX: y\r\n\r\n";
    let counted = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nWikipedia";
    let mut subject = subject::<S>();
    for (answer, at) in [chunked, counted].into_iter().flat_map(|answer| (0..answer.len()).map(move |at| (answer, at))) {
        let peer = Peer::plain(move |mut far| {
            far.head();
            far.write(&answer.as_bytes()[..at]);
            if at % 2 == 0 {
                far.reset();
            }
        });
        assert_eq!(outcome(&mut subject, get(peer.url("http"))), Err(NetFault::Broken), "{at} of {answer:?}");
        peer.finish();
    }
}

/// What never ends is cut off, and not kept: interim answers, a status line, a header, headers, the length of a
/// chunk, a trailer.
pub fn endless<S: Subject>() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let trailer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ";
    let one_line: fn(&mut Far) = |far| {
        far.pour(&[b'1'; 4096]);
    };
    let lines: fn(&mut Far) = |far| {
        far.pour("X: y\r\n".repeat(500).as_bytes());
    };
    let interim: fn(&mut Far) = |far| {
        far.pour("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(150).as_bytes());
    };
    for (start, then) in [
        ("", interim),
        ("HTTP/1.1 200 ", one_line),
        ("HTTP/1.1 200 OK\r\nX: ", one_line),
        ("HTTP/1.1 200 OK\r\n", lines),
        (chunked, one_line),
        (trailer, one_line),
    ] {
        let fault = outcome_with::<S>(start, crate::PATIENCE, then);
        assert!(matches!(fault, NetFault::TooLarge | NetFault::NotUnderstood), "{fault:?} for {start:?}");
    }
}

/// A peer that sends no more and still reads, before its answer and within.
pub fn half_open<S: Subject>() {
    for start in ["", BEGINNINGS[1], BEGINNINGS[3]] {
        let fault = outcome_with::<S>(start, crate::PATIENCE, |far| {
            far.stop_sending();
            far.read_to_end();
        });
        assert_eq!(fault, NetFault::Broken, "{start:?}");
    }
}

/// A peer that does not read costs one timeout.
pub fn never_reads<S: Subject>() {
    let (opener, gate) = gate();
    let peer = Peer::plain(move |mut far| {
        gate.wait();
        far.read_to_end();
    });
    let request = HttpRequest { timeout: SHORT, ..post(peer.url("http"), LONG) };
    assert_eq!(outcome(&mut subject::<S>(), request), Err(NetFault::TimedOut));
    drop(opener);
    peer.finish();
}

/// An answer that comes before the request was read counts: it says why the rest is not wanted.
pub fn answered_early<S: Subject>() {
    let peer = Peer::plain(move |mut far| {
        far.head();
        far.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!");
        far.read_to_end();
    });
    let answer = outcome(&mut subject::<S>(), post(peer.url("http"), LONG)).unwrap();
    assert_eq!((answer.status, answer.body.expose()), (413, &b"no!"[..]));
    peer.finish();
}

/// Interim answers (RFC 9110 section 15.2) come before the real one.
pub fn interim_answers<S: Subject>() {
    let pieces =
        ["HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "HTTP/1.1 102 ", "Processing\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"];
    let answer = answered::<S>(pieces.map(|piece| piece.as_bytes().to_vec()).to_vec()).unwrap();
    assert_eq!(answer.status, 204);
}
