//! What a restart or a reboot finds.

use super::*;

/// A spool in which lie these records, and the end where there is one.
fn left_behind(records: u64, ends: bool) -> BTreeMap<u64, SecretBytes> {
    let mut bench = Bench::keeping();
    for n in 0..records {
        bench.source(record(n, 60_000));
    }
    if ends {
        bench.source(end(records));
    }
    bench.settle();
    assert!(bench.disk.len() > 1);
    bench.disk
}

/// SPOOL-2: after a reboot all of it is delivered, once.
#[test]
fn what_was_kept_survives_a_restart() {
    let mut bench = Bench::restart(left_behind(40, true));
    assert!(bench.spool.is_source() && bench.spool.bytes() > 40 * 60_000);
    bench.settle();
    bench.relay(resume(0));
    bench.settle();
    assert_eq!(bench.delivered(), (0..=40).collect::<Vec<_>>());
    bench.relay(acknowledge(41));
    bench.settle();
    assert_eq!((bench.spool.status(), bench.disk.len()), (Status::Finished, 0));
}

/// A relay that is there before the disk has answered waits, and a process that comes back too.
#[test]
fn a_relay_and_a_process_wait_for_the_disk() {
    let mut bench = Bench::restart(left_behind(40, false));
    bench.relay(resume(3));
    bench.open(0);
    assert_eq!(bench.take(), (vec![], vec![]));
    bench.disk_does();
    assert_eq!(bench.take().0, [resume(40)]);
    bench.records(38..42);
    bench.settle();
    assert_eq!(bench.acknowledged(), Some(42));
    assert_eq!(bench.delivered(), (3..42).collect::<Vec<_>>());
}

/// SPOOL-2: a torn end is cut there, and the process is asked for what is missing.
#[test]
fn a_torn_end_is_asked_for_again() {
    let mut disk = left_behind(40, false);
    let (first, contents) = disk.pop_last().unwrap();
    let torn = &contents.expose()[..contents.expose().len() - 1];
    let whole = segment::read(ID, first, &Bytes::copy_from_slice(torn)).len() as u64;
    disk.insert(first, SecretBytes::new(torn));
    let mut bench = Bench::restart(disk);
    bench.open(0);
    bench.disk_does();
    assert_eq!(bench.take().0, [resume(first + whole)]);
}

/// One that is torn from its beginning is dropped, and the one before it is the last.
#[test]
fn a_segment_that_cannot_be_read_is_let_go() {
    let mut disk = left_behind(40, true);
    let last = *disk.last_key_value().unwrap().0;
    disk.insert(last, SecretBytes::new([0; 3]));
    let mut bench = Bench::restart(disk);
    bench.open(0);
    bench.settle();
    assert_eq!(bench.take().0, [resume(last)]);
    assert!(!bench.disk.contains_key(&last));

    let mut nothing = Bench::restart([(0, SecretBytes::new([9; 9]))].into());
    nothing.settle();
    assert_eq!((nothing.spool.is_source(), &nothing.troubles[..]), (false, &[Reason::StateInvalid][..]));
}

/// A hole in the middle ends the record there, as cut; what lies behind it is of no use, and is removed. What lies before it stays
/// until the relay has it.
#[test]
fn a_hole_ends_the_record() {
    let mut disk = left_behind(40, true);
    let hole = *disk.keys().nth(1).unwrap();
    disk.insert(hole, SecretBytes::new([]));
    let mut bench = Bench::restart(disk);
    for _ in 0..2 {
        bench.settle();
        bench.relay(resume(0));
        bench.settle();
        assert_eq!(bench.delivered(), (0..hole).collect::<Vec<_>>());
        assert_eq!((&bench.troubles[..], bench.disk.len()), (&[Reason::StateInvalid][..], 1));
    }
    bench.relay(acknowledge(hole));
    bench.settle();
    assert_eq!((bench.take().1, bench.disk.len()), (vec![cut_at(hole)], 0));
    bench.relay(acknowledge(hole + 1));
    assert_eq!(bench.spool.status(), Status::Finished);
}

/// SPOOL-1: a disk that gives nothing back at the moment is asked again; nothing is taken for lost.
#[test]
fn what_cannot_be_read_is_read_again() {
    let disk = left_behind(40, true);
    let mut bench = Bench::restart(disk.clone());
    for _ in 0..3 {
        bench.disk_fails();
        assert_eq!(bench.asked, []);
        assert_eq!(bench.spool.poll_timeout().map(|deadline| deadline.at), Some(bench.now.after(tail::RETRY)));
        bench.pass(tail::RETRY);
    }
    bench.disk_does();
    bench.relay(resume(0));
    bench.disk_fails();
    bench.relay(resume(0));
    assert_eq!(bench.asked, []);
    bench.pass(tail::RETRY);
    bench.settle();
    assert_eq!((bench.delivered(), bench.disk), ((0..=40).collect(), disk));
    assert_eq!(bench.troubles, [Reason::StateInvalid; 4]);
}

/// The relay goes on elsewhere while a segment is read for it: that one is not taken for a hole.
#[test]
fn a_segment_that_comes_too_late_is_no_hole() {
    let mut bench = Bench::restart(left_behind(40, true));
    bench.settle();
    bench.relay(resume(0));
    bench.relay(resume(30));
    bench.settle();
    assert_eq!((bench.delivered(), &bench.troubles[..]), ((30..=40).collect::<Vec<_>>(), &[][..]));
}

/// SPOOL-2: what a kill kept from being removed is behind the process, which has passed records by itself since: it waits for the
/// relay's word, instead of being asked for what it has no more.
#[test]
fn what_was_not_removed_in_time_is_behind_the_process() {
    let mut bench = Bench::restart(left_behind(20, false));
    bench.settle();
    bench.open(25);
    assert_eq!(bench.take(), (vec![], vec![]));
    bench.relay(resume(27));
    bench.relay(acknowledge(24));
    while !bench.asked.is_empty() {
        bench.disk_does();
    }
    assert_eq!((bench.spool.is_keeping(), bench.takes, bench.disk.len()), (false, false, 0));
    assert_eq!(bench.take(), (vec![], vec![opened()]));
    bench.pass(ACK_TIMEOUT);
    assert_eq!(bench.take().0, [resume(25)], "the first that the process still has");
}

/// F11: the process did not survive the reboot.
#[test]
fn what_was_kept_of_a_process_that_is_gone_is_delivered_and_cut() {
    let mut bench = Bench::restart(left_behind(20, false));
    bench.input(Input::Close);
    assert!(bench.spool.is_closed());
    bench.settle();
    bench.relay(resume(0));
    bench.settle();
    assert_eq!(bench.delivered(), (0..20).collect::<Vec<_>>());
    bench.relay(acknowledge(20));
    assert_eq!(bench.take().1, [cut_at(20)]);
}
