//! The life of signing keys, second by second.

use alloc::vec;

use super::*;
use crate::secret::Secret;

const START: UnixTime = UnixTime(1_000_000);
const RENEWABLE: u64 = 30 * 24 * 60 * 60;

fn signing(n: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([n; 32]))
}

fn key(n: u8, active_from: UnixTime) -> Key {
    Key { signing: signing(n), active_from, is_withdrawn: false }
}

fn leaked(n: u8, active_from: UnixTime) -> Key {
    Key { is_withdrawn: true, ..key(n, active_from) }
}

fn ring(keys: impl IntoIterator<Item = Key>) -> KeyRing {
    keys.into_iter().collect()
}

fn set(numbers: &[u8]) -> JwkSet {
    numbers.iter().map(|n| signing(*n).public_key()).collect()
}

/// S180: a successor is in the set for two hours before anything is signed with it.
#[test]
fn a_successor_is_published_before_it_signs() {
    let ring = ring([key(2, START.plus(LEAD)), key(1, START)]);
    assert_eq!(ring.published(), set(&[1, 2]));
    assert_eq!(ring.signing_key(START.plus(LEAD - 1)), Some(&signing(1)));
    assert_eq!(ring.signing_key(START.plus(LEAD)), Some(&signing(2)));
    assert_eq!(ring.signing_key(UnixTime(0)), Some(&signing(1)), "a clock that went back still finds a key");
}

#[test]
fn without_a_key_one_is_made_that_signs_at_once() {
    let empty = ring([]);
    assert_eq!((empty.signing_key(START), empty.published().is_empty()), (None, true));
    assert_eq!(empty.due(START, RENEWABLE), [Change::Add { active_from: START }]);
    assert_eq!(ring([leaked(1, START)]).due(START, RENEWABLE), [Change::Add { active_from: START }]);
}

/// S180: 90 days of service, then a successor in time.
#[test]
fn a_key_serves_ninety_days() {
    let alone = ring([key(1, START)]);
    assert_eq!(alone.due(START.plus(SERVICE - LEAD - 1), RENEWABLE), []);
    let due = START.plus(SERVICE - LEAD);
    assert_eq!(alone.due(due, RENEWABLE), [Change::Add { active_from: START.plus(SERVICE) }]);
    assert_eq!(ring([key(1, START), key(2, START.plus(SERVICE))]).due(due, RENEWABLE), []);
}

/// A key stays for as long as anything that it signed can be renewed, withdrawn or not.
#[test]
fn a_key_stays_until_nothing_of_it_is_renewable() {
    let switch = START.plus(SERVICE);
    for old in [key(1, START), leaked(1, START)] {
        let both = ring([old, key(2, switch)]);
        let end = switch.plus(RENEWABLE + 2 * SKEW);
        assert_eq!(both.due(UnixTime(end.0 - 1), RENEWABLE), []);
        assert_eq!(both.due(end, RENEWABLE), [Change::Forget(signing(1).kid())]);
    }
}

/// An operator who rotates twice publishes one successor, not two.
#[test]
fn a_rotation_makes_one_successor() {
    let change = Change::Add { active_from: START.plus(LEAD) };
    assert_eq!(ring([key(1, START)]).rotate(START), Some(change));
    assert_eq!(ring([key(1, START), key(2, START.plus(LEAD))]).rotate(START.plus(LEAD - 1)), None);
    assert!(ring([key(1, START), key(2, START.plus(LEAD))]).rotate(START.plus(LEAD)).is_some());
}

/// F27: a leaked key is published no longer; what it signed can be renewed, and nothing is signed with it.
#[test]
fn a_withdrawn_key_is_in_no_key_set_and_renews() {
    let now = START.plus(10);
    let before = ring([leaked(4, UnixTime(1)), key(1, UnixTime(2)), key(2, START), key(3, now.plus(1))]);
    let [first, second, third] = [1, 2, 3].map(|n| signing(n).kid());
    assert_eq!(
        before.withdraw(now),
        [Change::Withdraw(first), Change::Withdraw(second), Change::Forget(third), Change::Add { active_from: now }]
    );
    let after = ring([leaked(4, UnixTime(1)), leaked(1, UnixTime(2)), leaked(2, START), key(5, now)]);
    assert_eq!(after.published(), set(&[5]));
    assert_eq!(after.renewable(), set(&[1, 2, 4, 5]));
    assert_eq!(after.signing_key(now), Some(&signing(5)));
    assert_eq!(after.signing_key(UnixTime(0)), Some(&signing(5)), "not with a withdrawn one, whatever the clock shows");
    assert_eq!(ring([key(1, now)]).withdraw(now), vec![Change::Withdraw(first), Change::Add { active_from: now }]);
}
