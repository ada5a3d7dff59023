//! What a spool holds at most, and what a full disk does.

use super::*;

/// At the bound of one session the record ends there, as cut, and the process is told: nothing is dropped in silence.
#[test]
fn a_full_spool_ends_the_record_and_says_so() {
    let mut bench = Bench::keeping();
    bench.records(0..2);
    bench.input(Input::Source { frame: record(2, 100), free: 10 });
    assert_eq!(bench.take().0, [Head::Revoke { reason: Reason::SpoolFull }]);
    assert_eq!((&bench.troubles[..], bench.spool.is_closed()), (&[Reason::SpoolFull][..], true));
    bench.open(0);
    assert_eq!(bench.take().0, [Head::Revoke { reason: Reason::SessionCut }]);
    bench.settle();
    bench.relay(resume(0));
    bench.settle();
    assert_eq!(bench.delivered(), [0, 1]);
    bench.relay(acknowledge(2));
    assert_eq!(bench.take().1, [cut_at(2)]);
}

/// An end has always room.
#[test]
fn an_end_has_room_in_a_full_spool() {
    let mut bench = Bench::keeping();
    bench.records(0..1);
    bench.input(Input::Source { frame: end(1).into(), free: 0 });
    bench.settle();
    assert_eq!(bench.acknowledged(), Some(2));
}

/// SES-3: one session keeps no more than its bound.
#[test]
fn a_session_keeps_no_more_than_its_bound() {
    let mut bench = Bench::keeping();
    let mut n = 0;
    while !bench.spool.is_closed() {
        bench.source(record(n, 60_000));
        while !bench.asked.is_empty() {
            bench.disk_does();
        }
        n += 1;
        assert!(bench.spool.bytes() <= MAX_SESSION);
    }
    assert!(n * 60_000 > MAX_SESSION - 1024 * 1024 && n * 60_000 < MAX_SESSION);
}

/// SPOOL-2: what the disk does not take is not acknowledged; it is tried again, and the process still has it.
#[test]
fn what_the_disk_does_not_take_is_not_acknowledged() {
    let mut bench = Bench::keeping();
    bench.records(0..2);
    bench.disk_fails();
    assert_eq!((bench.acknowledged(), &bench.troubles[..]), (None, &[Reason::StateNotWritten][..]));
    assert!(bench.asked.is_empty(), "not again at once");
    bench.pass(tail::RETRY);
    bench.settle();
    assert_eq!(bench.acknowledged(), Some(2));
}

/// A disk that stays full changes nothing for a relay that comes back.
#[test]
fn a_full_disk_does_not_keep_records_from_passing_again() {
    let mut bench = Bench::keeping();
    bench.records(0..2);
    bench.disk_fails();
    bench.relay(resume(0));
    bench.pass(MIN_SPOOLING);
    assert!(!bench.spool.is_keeping());
}

/// L8: what waits for a disk that never answers is bounded, whatever the process does.
#[test]
fn what_waits_for_the_disk_is_bounded() {
    let mut bench = Bench::keeping();
    (0..2_000).for_each(|n| bench.source(record(n, 60_000)));
    assert!(bench.spool.bytes() < 8 * 1024 * 1024, "{}", bench.spool.bytes());
    assert!(bench.spool.stats().out_of_turn > 1_000);
}

/// A segment that the disk would not remove goes with the folder, when the session is over: the machine knows that there may be
/// one.
#[test]
fn what_was_kept_once_may_lie_there_still() {
    let mut bench = Bench::keeping();
    bench.records(0..1);
    bench.settle();
    bench.relay(resume(0));
    bench.settle();
    bench.relay(acknowledge(1));
    bench.disk_fails();
    bench.pass(MIN_SPOOLING);
    assert_eq!((bench.disk.len(), bench.spool.is_keeping(), bench.spool.leaves_files()), (1, false, true));
}
