//! [`Window`] and [`Waits`] beside lists of all that happened.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use proto_core::{
    UnixTime,
    platform::rate::{Growth, Waits, Window},
};
use verification::models::{
    config,
    rate::{Acts, Failures},
};

proptest! {
    #![proptest_config(config(512))]

    /// PAIR-12: the same yes and no and the same wait as a list of all acts that is counted anew each time.
    #[test]
    fn a_window_counts_like_its_model(
        most in 0_usize..5,
        window in 1_u64..60,
        acts in vec((0_u64..20, 0_u8..3, any::<bool>()), 0..200),
    ) {
        let mut limit = Window::new(most, window);
        let mut model: BTreeMap<u8, Acts> = BTreeMap::new();
        let mut now = 1_000;
        for (step, key, looks) in acts {
            now += step / 4;
            let own = model.entry(key).or_default();
            if looks {
                prop_assert_eq!(limit.check(&key, UnixTime(now)), own.clone().act(now, most, window));
            }
            prop_assert_eq!(limit.act(&key, UnixTime(now)), own.act(now, most, window), "at {}", now);
        }
    }

    /// F26: the same wait as the list of all failures gives.
    #[test]
    fn waits_grow_like_their_model(
        free in 0_u32..4,
        first in 1_u64..5,
        most in 1_u64..100,
        quiet in 101_u64..300,
        failures in vec((0_u64..400, 0_u8..2), 0..60),
    ) {
        let mut waits = Waits::new(Growth { free, first, most, forgotten_after: quiet });
        let mut model: BTreeMap<u8, Failures> = BTreeMap::new();
        let mut now = 1_000;
        for (step, key) in failures {
            now += step / 3;
            let own = model.entry(key).or_default();
            let left = own.left(now, free as usize, first, most, quiet);
            prop_assert_eq!(waits.check(&key, UnixTime(now)), if left == 0 { Ok(()) } else { Err(left) }, "at {}", now);
            own.fail(now);
            waits.failed(&key, UnixTime(now));
            prop_assert_eq!(waits.wait(&key, UnixTime(now)), own.left(now, free as usize, first, most, quiet));
        }
    }
}
