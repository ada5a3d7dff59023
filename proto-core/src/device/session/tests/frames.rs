//! Which frames a session goes by.

use super::*;

const OTHER: SessionId = SessionId([8; 16]);

/// ISO-7, ADM-4: what is said of another session is none of this one's, and is counted.
#[test]
fn frames_of_another_session_are_strange() {
    let mut s = session();
    feed(&mut s, Input::Attached);
    for (n, head) in (1..).zip([Head::Resume { session: OTHER, next: 0 }, Head::Ping { nonce: 1 }]) {
        assert_eq!(feed(&mut s, Input::Frame(head.into())), []);
        assert_eq!((s.stats().unexpected_frames, s.status()), (n, Status::Running { waiting_for: "the relay's resume point" }));
    }
    feed(&mut s, resume(0));
    feed(&mut s, output("a"));
    let kept = s.pending_bytes();
    feed(&mut s, Input::Frame(Head::Acknowledge { session: OTHER, next: 1 }.into()));
    assert_eq!((s.stats().unexpected_frames, s.stats().stale_acknowledgements, s.pending_bytes()), (3, 0, kept));
}

/// L4: after the end frames are counted and change nothing, whichever end it was.
#[test]
fn frames_after_the_end_are_strange() {
    let mut finished = session();
    feed(&mut finished, Input::Attached);
    feed(&mut finished, resume(0));
    feed(&mut finished, Input::End(Outcome::Exited));
    feed(&mut finished, acknowledge(1));
    assert_eq!(finished.status(), Status::Finished);
    let mut failed = session();
    feed(&mut failed, Input::Frame(Head::Revoke { reason: Reason::MachineRevoked }.into()));
    for (mut s, end) in [(finished, Status::Finished), (failed, Status::Failed(&Reason::MachineRevoked))] {
        let revoke = Input::Frame(Head::Revoke { reason: Reason::WorkspaceNotFound }.into());
        for (n, input) in (1..).zip([resume(0), resume(9), acknowledge(1), revoke]) {
            assert_eq!(feed(&mut s, input), []);
            assert_eq!((s.stats().unexpected_frames, s.status()), (n, end));
        }
    }
}

/// SES-2: an acknowledgement from before a reconnect, and one of what was acknowledged before, are counted and forget nothing.
#[test]
fn stale_acknowledgements_are_counted() {
    let mut s = session();
    feed(&mut s, Input::Attached);
    for n in 1..=2 {
        feed(&mut s, acknowledge(0));
        assert_eq!(s.stats().stale_acknowledgements, n);
    }
    feed(&mut s, resume(0));
    for text in ["a", "b"] {
        feed(&mut s, output(text));
    }
    feed(&mut s, acknowledge(1));
    let kept = s.pending_bytes();
    assert!(kept > 0);
    for n in 3..=4 {
        feed(&mut s, acknowledge(0));
        assert_eq!((s.stats().stale_acknowledgements, s.pending_bytes()), (n, kept));
    }
    assert_eq!(s.stats().unexpected_frames, 0);
}
