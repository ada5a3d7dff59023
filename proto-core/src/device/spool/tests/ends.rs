//! How a session ends whose process does not come back.

use super::*;

/// F11: a process that was killed does not come back. What passed ends where the relay is, as cut; an end that was passed stays one.
#[test]
fn a_session_whose_process_is_gone_ends_as_cut() {
    let mut bench = Bench::new();
    bench.open(0);
    bench.relay(resume(0));
    bench.records(0..5);
    bench.input(Input::Left);
    bench.take();
    bench.input(Input::Close);
    assert_eq!((bench.take().1, bench.takes), (vec![opened()], true));
    bench.relay(resume(3));
    assert_eq!(bench.take().1, [cut_at(3)]);
    bench.relay(resume(3));
    assert_eq!(bench.take().1, [cut_at(3)], "the link broke, and the end had not arrived");
    bench.relay(acknowledge(3));
    assert!(matches!(bench.spool.status(), Status::Running { .. }));
    bench.relay(acknowledge(4));
    assert_eq!(bench.spool.status(), Status::Finished);

    let mut ended = Bench::new();
    ended.open(0);
    ended.relay(resume(0));
    ended.records(0..2);
    ended.source(end(2));
    ended.input(Input::Close);
    ended.take();
    ended.relay(resume(2));
    assert_eq!(ended.take().1, [end(2)]);
    ended.relay(resume(3));
    assert_eq!(ended.spool.status(), Status::Finished);
}

/// A relay that has no record of it has nothing to acknowledge.
#[test]
fn a_session_without_a_record_ends_as_cut() {
    let mut bench = Bench::new();
    bench.open(0);
    bench.input(Input::Close);
    bench.take();
    bench.relay(resume(0));
    assert_eq!(bench.take().1, [cut_at(0)]);
    bench.relay(acknowledge(1));
    assert_eq!(bench.spool.status(), Status::Finished);
}

/// F11: what was kept of a process that was killed is delivered before the end.
#[test]
fn what_was_kept_of_a_killed_process_is_delivered_first() {
    let mut bench = Bench::keeping();
    bench.records(0..3);
    bench.input(Input::Left);
    bench.input(Input::Close);
    assert!(bench.spool.is_closed());
    bench.settle();
    bench.relay(resume(1));
    bench.settle();
    assert_eq!(bench.delivered(), [1, 2]);
    bench.relay(acknowledge(3));
    assert_eq!(bench.take().1, [cut_at(3)]);
    bench.relay(acknowledge(4));
    bench.settle();
    assert_eq!((bench.spool.status(), bench.disk.len()), (Status::Finished, 0));
}

/// A session that never streamed has nothing to end.
#[test]
fn a_session_that_never_began_just_ends() {
    let mut bench = Bench::new();
    bench.input(Input::Close);
    assert_eq!(bench.take(), (vec![], vec![]));
    assert_eq!(bench.spool.status(), Status::Finished);
}
