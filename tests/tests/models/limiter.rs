//! [`RateLimiter`] beside [`Arrivals`].

use std::{net::IpAddr, time::Duration};

use proptest::{collection::vec, prelude::*};
use proto_core::relay::admission::RateLimiter;
use verification::models::{config, limiter::Arrivals, moment};

const ADDRESSES: [&str; 7] =
    ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::"];

proptest! {
    #![proptest_config(config(512))]

    /// ADM-3, S207, S210: the same yes and no and the same wait as a list of all arrivals that is counted anew each time.
    #[test]
    fn a_limiter_counts_like_its_model(
        limit in 0_u32..5,
        window in prop_oneof![1_u64..50, 1_000_u64..60_000],
        arrivals in vec((0_u64..100, proptest::sample::select(&ADDRESSES), any::<bool>()), 0..200),
    ) {
        let mut limiter = RateLimiter::new(limit, Duration::from_millis(window));
        let mut model = Arrivals::new(limit as usize, window);
        let mut now = 0;
        for (step, address, is_far) in arrivals {
            now += if is_far { step * window / 40 } else { step % 3 };
            let address: IpAddr = address.parse().unwrap();
            let said = limiter.admit(moment(now), address);
            let expected = model.admit(now, address).map_err(Duration::from_millis);
            prop_assert_eq!(said, expected, "at {}", now);
        }
    }
}
