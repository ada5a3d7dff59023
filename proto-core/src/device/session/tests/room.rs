//! What a session keeps, and for how long it can seal.

use super::*;

/// SES-3: room is up to the last byte, and a session without any takes no more.
#[test]
fn a_session_is_full_to_the_byte() {
    let mut s = session();
    s.retained.push(0, Bytes::from(vec![0; MAX_RETAINED - 1]));
    assert_eq!((s.has_room(), s.pending_bytes()), (true, MAX_RETAINED - 1));
    s.retained.push(0, Bytes::from(vec![0; 1]));
    assert_eq!((s.has_room(), s.pending_bytes()), (false, MAX_RETAINED));
    let Input::Push(content) = output("a") else { unreachable!() };
    assert_eq!(s.handle_input(Instant::ZERO, Input::Push(content)), Err(Misuse::Full("session buffer")));
}

/// SES-3: after its end there is nothing to wait for: what comes is counted and dropped, also without room.
#[test]
fn an_ended_session_pushes_nothing_back() {
    let mut s = session();
    s.retained.push(0, Bytes::from(vec![0; MAX_RETAINED]));
    feed(&mut s, Input::End(Outcome::Exited));
    for n in 1..=2 {
        assert_eq!(feed(&mut s, output("late")), []);
        assert_eq!((s.stats().pushed_after_end, s.pending_bytes()), (n, MAX_RETAINED));
    }
}

/// SES-3: a window is that many bytes from the oldest record on; the record that begins behind it waits.
#[test]
fn a_window_ends_before_the_byte_behind_it() {
    let mut retained = Retained::default();
    for body in [&b"abc"[..], b"d", b"e"] {
        retained.push(0, Bytes::from_static(body));
    }
    let in_window = |retained: &Retained, window| (0..3).filter(|n| retained.get(*n, window).is_some()).count();
    assert_eq!([1, 3, 4, 5].map(|window| in_window(&retained, window)), [1, 1, 2, 3]);
    assert!(retained.acknowledge(1, &mut BufferPool::default()));
    assert_eq!([1, 2].map(|window| in_window(&retained, window)), [1, 2]);
}

fn epochs(frames: &[Frame]) -> Vec<u32> {
    frames.iter().filter_map(|f| if let Head::Data { epoch, .. } = f.head { Some(epoch) } else { None }).collect()
}

/// D14, NOI-6: an epoch ends when it has sealed all it may, not earlier, and the session goes on in the next.
#[test]
fn a_spent_epoch_is_followed_by_the_next() {
    let mut s = session();
    feed(&mut s, Input::Attached);
    feed(&mut s, resume(0));
    let mut seen = Vec::new();
    for spends in [false, false, true, false] {
        if spends {
            s.sealer.spend();
        }
        seen.extend(epochs(&feed(&mut s, output("a"))));
    }
    assert_eq!(seen, [0, 0, 1, 1]);
}

/// D14: behind the last epoch nothing can be sealed any more, which is said, and never is a nonce used again.
#[test]
fn a_session_without_epochs_left_is_too_long() {
    let mut s = session();
    s.sealer = Sealer::new(&PureRust, scope(), u32::MAX, secret(), 0);
    feed(&mut s, output("a"));
    assert!(matches!(s.status(), Status::Running { .. }));
    s.sealer.spend();
    feed(&mut s, output("b"));
    assert_eq!((s.status(), s.pending_bytes()), (Status::Failed(&Reason::SessionTooLong), 0));
}

/// SES-3, L8: what a session keeps for a relay that does not answer, and what it sends ahead: 64 MiB and 4 MiB.
#[test]
fn a_session_keeps_so_much_and_no_more() {
    assert_eq!((MAX_RETAINED, MAX_IN_FLIGHT), (67_108_864, 4_194_304));
}
