//! How many connections one address may open (S207, S208, ADM-3).

use alloc::collections::{BTreeMap, VecDeque};
use core::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use crate::machine::time::Instant;

/// With so many arrivals within one window, of all addresses together, addresses that are not known are refused: a limiter that
/// forgets under a flood is none. Those that are known go on being let in, each up to its own limit.
pub const MAX_ARRIVALS: usize = 1 << 18;
/// The most addresses that are known at once; more are refused. So no more than this many times the limit is remembered.
pub const MAX_ADDRESSES: usize = 1 << 16;

/// A limit per address over a sliding window: in no window, wherever it begins, are there more arrivals than the limit.
///
/// A host has 2^64 IPv6 addresses, so those count by their first 64 bits; an IPv4 address written as IPv6 counts as itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RateLimiter {
    limit: u32,
    window: Duration,
    /// All arrivals in the window, oldest first; `by_address` has the same ones once more, by address.
    arrivals: VecDeque<(Instant, IpAddr)>,
    by_address: BTreeMap<IpAddr, VecDeque<Instant>>,
}

impl RateLimiter {
    /// At most `limit` arrivals per address in any `window`. With a limit of 0 there is none.
    pub const fn new(limit: u32, window: Duration) -> Self {
        Self { limit, window, arrivals: VecDeque::new(), by_address: BTreeMap::new() }
    }

    /// Lets one arrival in and counts it; one that is refused is not counted. A `now` before the latest one counts as that.
    ///
    /// # Errors
    /// How long until the address is let in again at the earliest, more than zero and at most the window.
    pub fn admit(&mut self, now: Instant, address: IpAddr) -> Result<(), Duration> {
        if self.limit == 0 {
            return Ok(());
        }
        let now = self.arrivals.back().map_or(now, |(latest, _)| now.max(*latest));
        self.forget(now);
        let address = counted_as(address);
        let own = self.by_address.get(&address);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let oldest = match own {
            Some(own) => own.front().filter(|_| own.len() >= limit).copied(),
            None => self.oldest_when_full(),
        };
        if let Some(oldest) = oldest {
            return Err(oldest.after(self.window).since(now));
        }
        self.arrivals.push_back((now, address));
        self.by_address.entry(address).or_default().push_back(now);
        Ok(())
    }

    fn oldest_when_full(&self) -> Option<Instant> {
        let is_full = self.arrivals.len() >= MAX_ARRIVALS || self.by_address.len() >= MAX_ADDRESSES;
        self.arrivals.front().filter(|_| is_full).map(|(at, _)| *at)
    }

    /// Drops what is a whole window old.
    fn forget(&mut self, now: Instant) {
        while let Some((_, address)) = self.arrivals.pop_front_if(|(at, _)| at.after(self.window) <= now) {
            if let Some(own) = self.by_address.get_mut(&address) {
                own.pop_front();
                if own.is_empty() {
                    self.by_address.remove(&address);
                }
            }
        }
    }
}

pub(super) fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::machine::entropy::JitterRng;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(millis: u64) -> Instant {
        Instant::ZERO.after(Duration::from_millis(millis))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// ADM-3, for arrival times of every density, against the definition itself.
    #[test]
    fn no_window_holds_more_than_the_limit() {
        for (seed, gap) in [(1, 100), (2, 3_000), (3, 9_000), (4, 30_000), (5, 70_000)] {
            let (mut limiter, mut jitter) = (RateLimiter::new(7, MINUTE), JitterRng::new(seed));
            let (mut now, mut admitted) = (0, Vec::new());
            for _ in 0..2_000 {
                now += jitter.next() % gap;
                let expected = admitted.iter().filter(|then| now - **then < 60_000).count() < 7;
                assert_eq!(limiter.admit(at(now), ip("192.0.2.1")).is_ok(), expected, "{seed} {now}");
                if expected {
                    admitted.push(now);
                }
            }
            assert!(admitted.len() > 7);
        }
    }

    #[test]
    fn a_refused_caller_learns_how_long_to_wait() {
        let mut limiter = RateLimiter::new(2, MINUTE);
        let address = ip("192.0.2.1");
        assert_eq!(limiter.admit(at(0), address), Ok(()));
        assert_eq!(limiter.admit(at(10_000), address), Ok(()));
        assert_eq!(limiter.admit(at(15_000), address), Err(Duration::from_secs(45)));
        assert_eq!(limiter.admit(at(59_999), address), Err(Duration::from_millis(1)));
        assert_eq!(limiter.admit(at(60_000), address), Ok(()), "a refused arrival does not count");
        assert_eq!(limiter.admit(at(60_000), address), Err(Duration::from_secs(10)));
    }

    #[test]
    fn addresses_have_limits_of_their_own() {
        let mut limiter = RateLimiter::new(1, MINUTE);
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"] {
            assert_eq!(limiter.admit(at(0), ip(address)), Ok(()), "{address}");
            assert!(limiter.admit(at(0), ip(address)).is_err());
        }
        assert!(limiter.admit(at(0), ip("::ffff:192.0.2.1")).is_err(), "the same address, written as IPv6");
        assert!(limiter.admit(at(0), ip("2001:db8::2")).is_err(), "the same host's network");
    }

    /// D6.
    #[test]
    fn zero_switches_it_off() {
        let mut limiter = RateLimiter::new(0, MINUTE);
        assert!((0..10_000).all(|_| limiter.admit(at(0), ip("192.0.2.1")).is_ok()));
        assert!(limiter.arrivals.is_empty());
    }

    #[test]
    fn a_clock_that_goes_back_frees_nothing() {
        let mut limiter = RateLimiter::new(1, MINUTE);
        assert_eq!(limiter.admit(at(100_000), ip("192.0.2.1")), Ok(()));
        assert_eq!(limiter.admit(at(0), ip("192.0.2.1")), Err(MINUTE));
        assert_eq!(limiter.admit(at(0), ip("192.0.2.2")), Ok(()));
        assert!(limiter.admit(at(159_999), ip("192.0.2.2")).is_err());
    }

    /// F21: a flood from many addresses, each within its limit, keeps unknown addresses out, and no known one.
    #[test]
    fn who_is_known_comes_in_when_it_is_full() {
        let mut limiter = RateLimiter::new(60, MINUTE);
        limiter.admit(at(0), ip("192.0.2.1")).unwrap();
        let flood = (0..u32::MAX).map(|n| IpAddr::V4((0x0a00_0000 + n / 60).into()));
        for address in flood.take(MAX_ARRIVALS - 1) {
            limiter.admit(at(1_000), address).unwrap();
        }
        assert_eq!(limiter.admit(at(2_000), ip("192.0.2.2")), Err(Duration::from_secs(58)), "unknown");
        for n in 2..61 {
            assert_eq!(limiter.admit(at(2_000), ip("192.0.2.1")), Ok(()), "{n}");
        }
        assert_eq!(limiter.admit(at(2_000), ip("192.0.2.1")), Err(Duration::from_secs(58)), "its own limit holds");
        assert_eq!(limiter.admit(at(61_000), ip("192.0.2.2")), Ok(()));
    }

    /// L8: a flood of addresses does not make it forget, nor grow.
    #[test]
    fn memory_is_bounded_and_freed() {
        let mut limiter = RateLimiter::new(1, MINUTE);
        for n in 0..u32::try_from(MAX_ADDRESSES).unwrap() {
            limiter.admit(at(0), IpAddr::V4(n.into())).unwrap();
        }
        assert_eq!(limiter.admit(at(20_000), ip("192.0.2.1")), Err(Duration::from_secs(40)));
        assert!(limiter.admit(at(20_000), IpAddr::V4(0.into())).is_err());
        assert_eq!(limiter.admit(at(60_000), ip("192.0.2.1")), Ok(()));
        assert_eq!((limiter.arrivals.len(), limiter.by_address.len()), (1, 1));
    }
}
