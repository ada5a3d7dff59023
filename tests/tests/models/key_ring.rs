//! [`KeyRing`] beside the list of all keys and their stamps.

use proptest::{collection::vec, prelude::*};
use proto_core::{
    UnixTime,
    jose::{SigningKey, Thumbprint},
    platform::key_ring::{Change, Key, KeyRing, LEAD, SERVICE},
    secret::Secret,
};
use verification::models::{
    config,
    key_ring::{Known, is_needed, signs, verify},
};

const START: u64 = 1_000_000;

/// The longest time between two looks at the keys, in seconds.
const LONGEST_PAUSE: u64 = 40 * 40 * LEAD / 50;

fn signing(number: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([number; 32]))
}

fn kids(numbers: &[u8]) -> Vec<Thumbprint> {
    let mut kids: Vec<_> = numbers.iter().map(|number| signing(*number).kid()).collect();
    kids.sort();
    kids
}

fn ring(keys: &[Known]) -> KeyRing {
    let key = |known: &Known| Key {
        signing: signing(known.number),
        active_from: UnixTime(known.from),
        is_withdrawn: known.leaked.is_some(),
    };
    keys.iter().map(key).collect()
}

/// What a platform does with its keys in a case: nothing, a rotation by hand, or a leak.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Nothing,
    Rotate,
    Leak,
}

struct Stored {
    keys: Vec<Known>,
    made: u8,
}

impl Stored {
    fn carry_out(&mut self, change: Change, now: u64) {
        match change {
            Change::Add { active_from } => {
                self.made += 1;
                self.keys.push(Known { number: self.made, from: active_from.0, leaked: None });
            }
            Change::Withdraw(kid) => {
                let key = self.keys.iter_mut().find(|key| signing(key.number).kid() == kid).expect("a key of that name");
                assert!(key.leaked.replace(now).is_none(), "withdrawn twice");
            }
            Change::Forget(kid) => {
                let before = self.keys.len();
                self.keys.retain(|key| signing(key.number).kid() != kid);
                assert_eq!(self.keys.len() + 1, before, "one key is forgotten");
            }
        }
    }
}

proptest! {
    #![proptest_config(config(96))]

    /// S177, S180, F27: through months of rotations by age, by hand and after leaks, the ring signs, publishes and renews with the
    /// keys that the list says; no key goes while it is needed or is kept after that; and a key that was not withdrawn before its
    /// time signs only after it was published for [`LEAD`].
    #[test]
    fn a_key_ring_keeps_its_keys_like_its_model(
        renewable_for in prop_oneof![Just(600_u64), Just(30 * 86_400_u64)],
        steps in vec(
            (0_u64..40, prop_oneof![6 => Just(Deed::Nothing), 2 => Just(Deed::Rotate), 1 => Just(Deed::Leak)]),
            1..40,
        ),
    ) {
        let mut stored = Stored { keys: Vec::new(), made: 0 };
        let mut now = START;
        for (step, deed) in steps {
            now += step * step * LEAD / 50;
            let before = stored.keys.clone();
            let changes: Vec<Change> = match deed {
                Deed::Nothing => Vec::new(),
                Deed::Rotate => ring(&stored.keys).rotate(UnixTime(now)).into_iter().collect(),
                Deed::Leak => ring(&stored.keys).withdraw(UnixTime(now)),
            };
            for change in changes {
                stored.carry_out(change, now);
            }
            for change in ring(&stored.keys).due(UnixTime(now), renewable_for) {
                if let Change::Forget(kid) = change {
                    let gone = stored.keys.iter().find(|key| signing(key.number).kid() == kid).unwrap();
                    prop_assert!(!is_needed(&stored.keys, gone, now, renewable_for), "{gone:?} at {now}");
                }
                stored.carry_out(change, now);
            }
            let keys = &stored.keys;
            prop_assert_eq!(ring(keys).due(UnixTime(now), renewable_for), [], "nothing is due right after it was done");
            for key in keys {
                let is_last = keys.iter().all(|other| (other.from, other.number) <= (key.from, key.number));
                prop_assert!(is_last || is_needed(keys, key, now, renewable_for), "{:?} is kept too long at {}", key, now);
            }
            let signs_now = signs(keys, now).expect("a key to sign with");
            prop_assert_eq!(ring(keys).signing_key(UnixTime(now)).cloned(), Some(signing(signs_now)));
            for other in [0, now + LEAD, now + SERVICE] {
                let expected = signs(keys, other).map(signing);
                prop_assert_eq!(ring(keys).signing_key(UnixTime(other)).cloned(), expected);
            }
            let (opens, renews) = verify(keys);
            for (set, numbers) in [(ring(keys).published(), opens), (ring(keys).renewable(), renews)] {
                prop_assert_eq!(set.len(), numbers.len());
                prop_assert!(kids(&numbers).into_iter().all(|kid| set.get(kid).is_some()));
            }
            // A key that signs was published for LEAD, unless there was none that could have signed meanwhile.
            let fresh = keys.iter().filter(|key| !before.iter().any(|known| known.number == key.number));
            for key in fresh {
                let had_none = !before.iter().any(|known| known.leaked.is_none()) || matches!(deed, Deed::Leak);
                prop_assert!(had_none || key.from >= now + LEAD, "{:?} at {}", key, now);
            }
            // No key signs for much longer than 90 days, where the ring is looked at now and then.
            let signer = keys.iter().find(|key| key.number == signs_now).unwrap();
            prop_assert!(now < signer.from + SERVICE + LONGEST_PAUSE + LEAD);
        }
    }
}
