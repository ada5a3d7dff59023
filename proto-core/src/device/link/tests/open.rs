//! What an open link does.

use super::*;
use crate::{SessionId, wire::liveness::PING_AFTER};

/// LINK-5, WIRE section 6: a ping is answered with its nonce, and the owner is not told.
#[test]
fn a_ping_is_answered() {
    let mut bench = Bench::new();
    let mut relay = bench.come_up();
    let outputs = bench.tell(&mut relay, Head::Ping { nonce: 77 });
    assert_eq!(relay.frames(&outputs), [Head::Pong { nonce: 77 }.into()]);
    assert_eq!(outputs.len(), 1);
}

/// WIRE section 5: a relay may put a body beside the sealed part for a viewer only.
#[test]
fn only_a_viewer_takes_tails() {
    let session = SessionId([1; 16]);
    let data = Frame { head: Head::Data { session, epoch: 0, sequence: 0 }, body: Bytes::from_static(b"sealed") };
    for role in [Role::Viewer, Role::Daemon] {
        let mut bench = Bench::new();
        bench.link.config.role = role;
        let mut relay = bench.come_up();
        let message = relay.channel.seal_with_tail(&data).unwrap();
        let outputs = bench.io_event(IoEvent::Received((), message));
        if role == Role::Viewer {
            assert_eq!(outputs, [Output::Received(data.clone())]);
        } else {
            assert!(closes_because(&outputs, Reason::FrameMalformed), "{outputs:?}");
        }
    }
}

/// LINK-5: each ping has a nonce of its own.
#[test]
fn pings_are_numbered() {
    let mut bench = Bench::new();
    let mut relay = bench.come_up();
    for nonce in 1..=3 {
        let sent = bench.fire();
        assert_eq!(relay.frames(&sent), [Head::Ping { nonce }.into()]);
        bench.tell(&mut relay, Head::Pong { nonce });
    }
}

/// S204: a message as long as the relay takes goes out; a longer one ends the link with its reason.
#[test]
fn a_message_may_be_as_long_as_the_relay_said() {
    let session = SessionId([1; 16]);
    let data = |len: usize| {
        let head = Head::Data { session, epoch: 0, sequence: 0 };
        Input::Send(Frame { head, body: vec![0; len].into() })
    };
    let mut bench = Bench::new();
    let message_1 = bench.knock();
    let welcome = Welcome { frame_max: 1_000, time: 0, software: "relay".to_string() };
    bench.answer(&message_1, None, &Answer::Welcome(welcome));
    let sent = |outputs: &[Output]| match outputs {
        [Output::Effect(Effect::Send((), message))] => message.len(),
        other => panic!("{other:?}"),
    };
    let around = sent(&bench.input(data(0)));
    assert_eq!(sent(&bench.input(data(1_000 - around))), 1_000);
    for len in [1_001 - around, 5_000] {
        let outputs = bench.clone().input(data(len));
        assert!(outputs.contains(&Output::Down(Reason::FrameTooLarge)) && closes_because(&outputs, Reason::FrameTooLarge));
    }
}

/// LINK-1: the moment from which a link counts as stable is one to wake up at, for as long as attempts are remembered.
#[test]
fn a_link_becomes_stable_by_itself() {
    let mut bench = Bench::new();
    bench.come_up();
    bench.lose();
    let mut relay = bench.come_up();
    let up_at = bench.now;
    for seconds in [10, 20] {
        bench.now = up_at.after(seconds * SECOND);
        let sent = bench.input(Input::Send(Head::Pong { nonce: 0 }.into()));
        relay.frames(&sent);
        bench.tell(&mut relay, Head::Pong { nonce: 0 });
        bench.link.handle_timeout(bench.now);
        assert_eq!(bench.drain(), [], "nothing is due");
    }
    assert_eq!(bench.link.poll_timeout(), Some(Deadline::new(up_at.after(STABLE_AFTER), Timer::Stable)));
    assert!(bench.fire().is_empty());
    assert_eq!(bench.link.schedule.attempt(), 0);
    assert_eq!(bench.link.poll_timeout(), Some(Deadline::new(up_at.after(20 * SECOND + PING_AFTER), Timer::Ping)));
}

/// L6: events of a WebSocket that is not there, or is open already, are counted and change nothing.
#[test]
fn what_comes_at_the_wrong_time_is_stale() {
    let mut bench = Bench::new();
    for n in 1..=2 {
        assert_eq!(bench.io_event(IoEvent::Received((), Bytes::from_static(b"early"))), []);
        assert_eq!(bench.link.stats().stale, n);
    }
    assert_eq!(bench.io_event(IoEvent::Connected((), Entropy::new([9; 32]))), []);
    bench.come_up();
    assert_eq!(bench.io_event(IoEvent::Connected((), Entropy::new([9; 32]))), []);
    assert!(bench.link.is_up());
    assert_eq!(bench.link.stats(), &Stats { not_up: 0, stale: 4 });
}
