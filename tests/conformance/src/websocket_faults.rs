//! WebSockets to peers that are slow, break off, send without an end, or do not listen.

use std::time::Duration;

use bytes::Bytes;
use proto_core::effect::{Close, Closed, Connect, Effect, IoEvent, NetFault};

use crate::{
    PATIENCE, Subject, next,
    peer::{Far, Peer, gate},
    subject,
    websocket::{closed, open},
};

const LIMIT: usize = 300_000;
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n";

/// What comes of an upgrade that is answered with `start`, and then by `then` until the client hangs up.
fn outcome_with<S: Subject>(start: &'static str, timeout: Duration, then: fn(&mut Far)) -> Closed {
    let peer = Peer::plain(move |mut far| {
        far.head();
        far.write(start.as_bytes());
        then(&mut far);
    });
    let mut subject = subject::<S>();
    subject.perform(Effect::Connect("relay", Connect { url: peer.url("ws"), timeout, max_message: LIMIT }));
    let closed = closed(&mut subject);
    peer.finish();
    closed
}

/// An upgrade that does not come to its end costs one timeout, whether the peer is silent or trickles.
pub fn slow_upgrade<S: Subject>() {
    let short = Duration::from_millis(50);
    let ways: [fn(&mut Far); 2] = [Far::read_to_end, |far| far.trickle(b'a')];
    for (start, then) in ["HTTP/1.1 101 ", SWITCHING].into_iter().flat_map(|start| ways.map(|then| (start, then))) {
        assert_eq!(outcome_with::<S>(start, short, then), Closed::Fault(NetFault::TimedOut), "{start}");
    }
}

/// An answer that was cut, or whose sender says no more and still reads.
pub fn truncated_upgrade<S: Subject>() {
    for start in ["", "HTTP/1.1 101 Swi", SWITCHING] {
        for then in [|_: &mut Far| {}, |far: &mut Far| (far.stop_sending(), far.read_to_end()).1] {
            assert_eq!(outcome_with::<S>(start, PATIENCE, then), Closed::Fault(NetFault::Broken), "{start:?}");
        }
    }
}

/// An answer whose head never ends is cut off.
pub fn endless_upgrade<S: Subject>() {
    let one_line: fn(&mut Far) = |far| {
        far.pour(&[b'a'; 4096]);
    };
    let lines: fn(&mut Far) = |far| {
        far.pour("X: y\r\n".repeat(500).as_bytes());
    };
    for (start, then) in [("HTTP/1.1 101 ", one_line), ("HTTP/1.1 101 Ok\r\nX: ", one_line), (SWITCHING, lines)] {
        let closed = outcome_with::<S>(start, PATIENCE, then);
        assert!(matches!(closed, Closed::Fault(NetFault::TooLarge | NetFault::NotUnderstood)), "{closed:?} for {start:?}");
    }
}

/// An upgrade and messages that come byte by byte are whole in the end.
pub fn frames_in_pieces<S: Subject>() {
    let peer = Peer::piecemeal(|far| assert_eq!(far.upgrade(LIMIT).echo(), IoEvent::Closed((), Closed::ByPeer(None))));
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    let messages = [0, 1, 125, 126, 5000].map(|len| Bytes::from(vec![9; len]));
    for message in &messages {
        subject.perform(Effect::Send("relay", message.clone()));
    }
    let mut back = Vec::new();
    while back.len() < messages.len() {
        match next(&mut subject) {
            IoEvent::Received("relay", message) => back.push(message),
            IoEvent::Sent("relay", _) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(back, messages);
    subject.shutdown();
    peer.finish();
}

/// Nothing of a message arrives unless all of it does: an end or a reset anywhere within its frame is a fault.
pub fn truncated_anywhere<S: Subject>() {
    let mut frame = vec![0x82, 126, 0, 200];
    frame.extend([7; 200]);
    for at in (1..6).chain([100, 203]) {
        for resets in [false, true] {
            let (opener, gate) = gate();
            let begun = frame[..at].to_vec();
            let peer = Peer::plain(move |far| {
                let mut far = far.upgrade(LIMIT).into_bytes();
                gate.wait();
                far.write(&begun);
                if resets {
                    far.reset();
                }
            });
            let mut subject = subject::<S>();
            open(&mut subject, &peer);
            drop(opener);
            assert_eq!(closed(&mut subject), Closed::Fault(NetFault::Broken), "{at}");
            peer.finish();
        }
    }
}

/// What a peer sends that does not read arrives all the same; and when it does not answer the goodbye either, the end comes by
/// itself.
pub fn deaf_peer<S: Subject>() {
    let ((opener, gate), (said, heard)) = (gate(), std::sync::mpsc::channel());
    let peer = Peer::plain(move |far| {
        let mut socket = far.upgrade(LIMIT);
        heard.recv().unwrap();
        for word in ["still", "here"] {
            socket.send(word.into());
        }
        gate.wait();
    });
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    let message = Bytes::from(vec![1; LIMIT]);
    (0..64).for_each(|_| subject.perform(Effect::Send("relay", message.clone())));
    // The sockets of both sides fill up, or have begun to, before the peer says anything.
    while subject.next(Some(proto_core::Deadline::new(proto_core::Instant::ZERO, "a turn"))).is_some() {}
    said.send(()).unwrap();
    let mut words = Vec::new();
    while words.len() < 2 {
        match next(&mut subject) {
            IoEvent::Received("relay", word) => words.push(word),
            IoEvent::Sent("relay", _) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(words, ["still", "here"]);
    subject.perform(Effect::Close("relay", Close::Normal));
    let end = loop {
        match next(&mut subject) {
            IoEvent::Sent("relay", _) => {}
            other => break other,
        }
    };
    assert_eq!(end, IoEvent::Closed("relay", Closed::ByUs));
    drop(opener);
    peer.finish();
}

/// A peer that goes away instead of answering the goodbye: by an end, or by a reset.
pub fn no_answer_to_a_goodbye<S: Subject>() {
    for resets in [false, true] {
        let peer = Peer::plain(move |far| {
            let mut far = far.upgrade(LIMIT).into_bytes();
            far.read();
            if resets {
                far.reset();
            }
        });
        let mut subject = subject::<S>();
        open(&mut subject, &peer);
        subject.perform(Effect::Close("relay", Close::Normal));
        assert_eq!(closed(&mut subject), Closed::ByUs);
        peer.finish();
    }
}

/// A peer that goes on sending instead of answering the close frame is dropped as well.
pub fn talks_on_after_a_goodbye<S: Subject>() {
    let peer = Peer::plain(|far| {
        let (ping, message) = ([0x89, 1, 7], [0x82, 1, 7]);
        far.upgrade(LIMIT).into_bytes().pour(&[ping, message].concat().repeat(1024));
    });
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    subject.perform(Effect::Close("relay", Close::Normal));
    let end = loop {
        match next(&mut subject) {
            IoEvent::Received("relay", _) => {}
            other => break other,
        }
    };
    assert_eq!(end, IoEvent::Closed("relay", Closed::ByUs));
    peer.finish();
}

/// A reset while there is much to be sent.
pub fn reset_while_sending<S: Subject>() {
    let (opener, gate) = gate();
    let peer = Peer::plain(move |far| {
        let far = far.upgrade(LIMIT).into_bytes();
        gate.wait();
        far.reset();
    });
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    let message = Bytes::from(vec![1; LIMIT]);
    (0..64).for_each(|_| subject.perform(Effect::Send("relay", message.clone())));
    drop(opener);
    let mut sent = 0;
    let end = loop {
        match next(&mut subject) {
            IoEvent::Sent("relay", count) => sent += count,
            other => break other,
        }
    };
    assert_eq!(end, IoEvent::Closed("relay", Closed::Fault(NetFault::Broken)));
    assert!(sent < 64, "what a reset cut off was not sent");
    peer.finish();
}
