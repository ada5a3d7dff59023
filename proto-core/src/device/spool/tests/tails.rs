//! How records become segments.

use super::*;

/// The first record goes at once, those within the pace together, and a small segment grows instead of there being many.
#[test]
fn small_records_become_one_segment() {
    let mut bench = Bench::keeping();
    bench.records(0..1);
    assert_eq!(bench.asked.len(), 1);
    bench.disk_does();
    for n in 1..200 {
        bench.records(n..n + 1);
        assert!(bench.asked.is_empty());
        bench.pass(tail::PACE);
        bench.disk_does();
        assert_eq!(bench.acknowledged(), Some(n + 1));
    }
    assert_eq!(bench.disk.len(), 1);
    let contents = bench.disk[&0].expose();
    assert_eq!(segment::read(ID, 0, &Bytes::copy_from_slice(contents)).len(), 200);
}

/// A flood is written in whole segments without a pause, and each becomes durable once.
#[test]
fn a_flood_is_written_in_whole_segments() {
    let mut bench = Bench::keeping();
    let mut written = 0;
    for n in 0..200 {
        bench.source(record(n, 60_000));
        if n % 20 == 19 {
            while let Some(Effect::Store(_, _, contents)) = bench.asked.front() {
                written += contents.expose().len();
                bench.disk_does();
            }
        }
    }
    assert!(bench.acknowledged().unwrap() > 180);
    assert!(written < 210 * 60_100, "{written}");
    let lens: Vec<_> = bench.disk.values().map(|contents| contents.expose().len()).collect();
    assert!(lens.iter().all(|len| *len <= tail::MAX_SEGMENT) && lens.len() < 25, "{lens:?}");
}

/// What comes out of turn, as after a resume, is not taken twice.
#[test]
fn what_is_there_is_not_taken_again() {
    let mut bench = Bench::keeping();
    bench.records(0..3);
    bench.records(1..4);
    bench.records(9..10);
    bench.source(end(4));
    bench.source(end(4));
    bench.records(5..6);
    bench.settle();
    assert_eq!((bench.acknowledged(), bench.spool.stats().out_of_turn), (Some(5), 5));
    bench.relay(resume(0));
    bench.settle();
    assert_eq!(bench.delivered(), [0, 1, 2, 3, 4]);
}

/// SPOOL-2: a process that comes back goes on behind what is durable, not behind what was only received.
#[test]
fn a_process_that_comes_back_goes_on_behind_what_is_durable() {
    let mut bench = Bench::keeping();
    bench.records(0..1);
    bench.disk_does();
    bench.records(1..3);
    bench.take();
    bench.input(Input::Left);
    bench.open(1);
    assert_eq!(bench.take().0, [resume(1)]);
    bench.records(1..4);
    bench.settle();
    assert_eq!(bench.acknowledged(), Some(4));
}

/// Answers of the disk to no pending request change nothing.
#[test]
fn stale_answers_are_ignored() {
    let mut bench = Bench::keeping();
    bench.records(0..2);
    for stale in
        [IoEvent::Stored(EffectId::Keep(9)), IoEvent::NotStored(EffectId::Keep(9)), IoEvent::Loaded(EffectId::Read(0), None)]
    {
        let before = bench.spool.clone();
        bench.input(Input::Io(stale));
        assert_eq!((bench.spool.poll_timeout(), bench.spool.bytes()), (before.poll_timeout(), before.bytes()));
    }
    assert_eq!((bench.spool.stats().stale_answers, bench.acknowledged()), (3, None));
    bench.settle();
    assert_eq!(bench.acknowledged(), Some(2));
}
