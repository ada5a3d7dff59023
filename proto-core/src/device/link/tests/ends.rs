//! How attempts and links end, and when the next one is.

use super::*;

/// What a close frame says is shown; a message that was too long is named; everything else is what it looks like.
#[test]
fn a_lost_link_says_why() {
    for (closed, reason) in [
        (Closed::ByPeer(Some(Reason::RateLimited)), Reason::RateLimited),
        (Closed::ByPeer(None), Reason::RelayClosed),
        (Closed::Fault(NetFault::TooLarge), Reason::FrameTooLarge),
        (Closed::Fault(NetFault::Broken), Reason::RelayClosed),
    ] {
        let mut bench = Bench::new();
        bench.come_up();
        assert_eq!(bench.io_event(IoEvent::Closed((), closed)), [Output::Down(reason)]);
        assert_eq!(bench.link.trouble(), Some(reason));
    }
}

/// S184: so does a WebSocket that never came about.
#[test]
fn a_failed_connection_says_why() {
    for (closed, reason) in [
        (Closed::ByPeer(Some(Reason::RateLimited)), Reason::RateLimited),
        (Closed::Fault(NetFault::TooLarge), Reason::FrameTooLarge),
        (Closed::Fault(NetFault::Dns), Reason::RelayUnreachable),
    ] {
        let mut bench = Bench::new();
        bench.fire();
        assert_eq!(bench.io_event(IoEvent::Closed((), closed)), [Output::Failed(reason)]);
        assert_eq!(bench.link.trouble(), Some(reason));
    }
}

/// L3, LINK-3: a relay that does not answer message 1 is given up after ten seconds, not earlier.
#[test]
fn a_relay_that_does_not_answer_is_given_up() {
    let mut bench = Bench::new();
    bench.knock();
    let asked_at = bench.now;
    bench.now = asked_at.after(9 * SECOND);
    bench.link.handle_timeout(bench.now);
    assert!(bench.drain().is_empty());
    let outputs = bench.fire();
    assert_eq!(bench.now, asked_at.after(10 * SECOND));
    assert!(outputs.contains(&Output::Failed(Reason::HandshakeTimedOut)));
    assert!(closes_because(&outputs, Reason::HandshakeTimedOut));
}

/// L3: an attempt is made when it is due, however often the parent asks.
#[test]
fn no_attempt_is_made_early() {
    let mut bench = Bench::new();
    for _ in 0..=QUICK_ATTEMPTS {
        bench.fire();
        bench.lose();
    }
    let due = bench.link.poll_timeout().unwrap().at;
    bench.link.handle_timeout(Instant::from_nanos(due.as_nanos() - 1));
    assert!(bench.drain().is_empty());
    bench.now = due;
    assert!(matches!(bench.fire()[..], [Output::Effect(Effect::Connect(..))]));
}

/// A restart or a wake-up asks for quick attempts again, and drops the wait that the relay asked for before.
#[test]
fn hurrying_makes_attempts_quick_again() {
    let mut bench = Bench::new();
    let message_1 = bench.knock();
    let busy = Answer::Refused(Refused { reason: Reason::RateLimited, retry_after: 6_000 });
    bench.answer(&message_1, None, &busy);
    bench.io_event(IoEvent::Closed((), Closed::ByUs));
    for _ in 0..QUICK_ATTEMPTS {
        bench.fire();
        bench.lose();
    }
    assert_eq!(bench.link.state(), LinkState::Disconnected);
    bench.input(Input::RetryNow);
    assert_eq!(bench.link.state(), LinkState::Reconnecting { attempt: QUICK_ATTEMPTS - 1, of: QUICK_ATTEMPTS });
    bench.fire();
    bench.lose();
    assert_eq!(bench.link.state(), LinkState::Reconnecting { attempt: QUICK_ATTEMPTS, of: QUICK_ATTEMPTS });
    assert!(bench.link.poll_timeout().unwrap().at <= bench.now.after(15 * SECOND));
}
