//! Limits at their edges.

use alloc::vec::Vec;

use super::*;

const GROWTH: Growth = Growth { free: 3, first: 2, most: 20, forgotten_after: 100 };

fn at(seconds: u64) -> UnixTime {
    UnixTime(1_000 + seconds)
}

/// PAIR-12: in no stretch of a window's length are there more acts than the limit.
#[test]
fn no_window_holds_more_than_the_limit() {
    let mut window = Window::new(3, 10);
    let mut passed = Vec::new();
    for now in 0..200 {
        for _ in 0..(now % 3) {
            if window.act(&"a", at(now)).is_ok() {
                passed.push(now);
            }
        }
    }
    assert!(passed.len() > 30);
    for start in 0..200 {
        let within = passed.iter().filter(|at| (start..start + 10).contains(*at)).count();
        assert!(within <= 3, "{within} acts from {start} on");
    }
}

#[test]
fn a_refused_caller_learns_how_long_to_wait() {
    let mut window = Window::new(2, 10);
    assert_eq!(window.act(&1, at(0)), Ok(()));
    assert_eq!(window.act(&1, at(3)), Ok(()));
    assert_eq!(window.check(&1, at(4)), Err(6));
    assert_eq!(window.act(&1, at(9)), Err(1));
    assert_eq!(window.act(&2, at(9)), Ok(()), "keys are apart");
    assert_eq!(window.act(&1, at(10)), Ok(()), "what was refused does not count");
    assert_eq!(window.act(&1, at(12)), Err(1));
    assert_eq!(window.act(&1, UnixTime(0)), Err(10), "a clock that goes back frees nothing");
}

#[test]
fn looking_counts_nothing_and_leaves_nothing() {
    let mut window = Window::new(1, 10);
    assert!((0..5).all(|_| window.check(&1, at(0)).is_ok()));
    assert!(window.acts.is_empty());
    window.act(&1, at(0)).unwrap();
    assert_eq!(window.acts.len(), 1);
    assert_eq!(window.check(&1, at(10)), Ok(()));
    assert!(window.acts.is_empty(), "what is over is forgotten");
}

#[test]
fn acts_can_be_forgiven() {
    let mut window = Window::new(1, 10);
    window.act(&1, at(0)).unwrap();
    window.act(&2, at(0)).unwrap();
    window.reset(&1);
    assert_eq!((window.act(&1, at(1)), window.act(&2, at(1))), (Ok(()), Err(9)));
}

#[test]
fn zero_is_off() {
    let mut window = Window::new(0, 10);
    assert!((0..100).all(|_| window.act(&1, at(0)).is_ok()));
    assert!(window.acts.is_empty());
}

/// L8: what is over goes first, then what was quiet longest.
#[test]
fn memory_is_bounded() {
    let mut window = Window::new(2, 100);
    for n in 0..MAX_KEYS {
        window.act(&n, at(1)).unwrap();
    }
    window.act(&0, at(2)).unwrap();
    window.act(&MAX_KEYS, at(3)).unwrap();
    assert_eq!(window.acts.len(), MAX_KEYS);
    assert!(window.check(&0, at(3)).is_err(), "it acted lately");
    window.act(&1, at(4)).unwrap();
    assert_eq!(window.act(&1, at(4)), Ok(()), "it was forgotten for another");
    window.act(&(MAX_KEYS + 1), at(101)).unwrap();
    assert_eq!(window.acts.len(), 4, "all but those that acted after second 1");

    let mut waits = Waits::new(GROWTH);
    for n in 0..MAX_KEYS {
        waits.failed(&n, at(1));
    }
    (0..3).for_each(|_| waits.failed(&0, at(2)));
    waits.failed(&MAX_KEYS, at(2));
    assert_eq!((waits.failures.len(), waits.wait(&0, at(2))), (MAX_KEYS, 2));
    waits.failed(&(MAX_KEYS + 1), at(101));
    assert_eq!(waits.failures.len(), 3);
}

/// F26: the first failures cost nothing, then the wait doubles up to its most.
#[test]
fn waits_double_up_to_their_most() {
    let mut waits = Waits::new(GROWTH);
    assert!(waits.failures.is_empty());
    let mut seen = Vec::new();
    for _ in 0..40 {
        waits.failed(&1, at(0));
        seen.push(waits.wait(&1, at(0)));
    }
    assert_eq!(seen[..8], [0, 0, 0, 2, 4, 8, 16, 20]);
    assert!(seen[8..].iter().all(|wait| *wait == 20));
    assert_eq!(waits.wait(&2, at(0)), 0, "keys are apart");
    assert_eq!(waits.failures.len(), 1);
}

#[test]
fn a_wait_counts_from_the_latest_failure() {
    let mut waits = Waits::new(GROWTH);
    for _ in 0..4 {
        assert_eq!(waits.check(&1, at(10)), Ok(()));
        waits.failed(&1, at(10));
    }
    assert_eq!(waits.check(&1, at(10)), Err(2));
    assert_eq!(waits.check(&1, at(11)), Err(1));
    assert_eq!(waits.check(&1, at(12)), Ok(()));
    waits.failed(&1, at(12));
    assert_eq!(waits.check(&1, at(12)), Err(4));
    assert_eq!(waits.check(&1, UnixTime(0)), Err(4), "a clock that goes back frees nothing");
}

#[test]
fn failures_are_forgotten_after_a_while_or_taken_back() {
    let mut waits = Waits::new(GROWTH);
    (0..9).for_each(|_| waits.failed(&1, at(0)));
    assert_eq!((waits.wait(&1, at(99)), waits.wait(&1, at(100))), (20, 0));
    waits.failed(&1, at(99));
    assert_eq!(waits.wait(&1, at(150)), 20, "the latest one counts");
    waits.failed(&1, at(199));
    assert_eq!(waits.wait(&1, at(199)), 0, "it begins anew");
    (0..9).for_each(|_| waits.failed(&1, at(199)));
    assert_eq!(waits.wait(&1, at(199)), 20);
    (0..5).for_each(|_| waits.take_back(&1));
    assert_eq!(waits.wait(&1, at(199)), 4);
    (0..9).for_each(|_| waits.take_back(&1));
    waits.take_back(&2);
    assert_eq!((waits.check(&1, at(199)), waits.failures.len()), (Ok(()), 1));
}

#[test]
fn huge_growth_does_not_overflow() {
    let growth = Growth { free: 0, first: u64::MAX, most: u64::MAX, forgotten_after: u64::MAX };
    let mut waits = Waits::new(growth);
    (0..200).for_each(|_| waits.failed(&1, at(0)));
    assert_eq!(waits.wait(&1, at(0)), u64::MAX);
}
