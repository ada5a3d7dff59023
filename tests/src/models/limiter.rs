//! A rate limit (ADM-3): the list of all that was let in, counted anew for every question.

use std::net::{IpAddr, Ipv6Addr};

/// All admitted addresses, and when, in milliseconds.
#[derive(Clone, Debug)]
pub struct Arrivals {
    limit: usize,
    window: u64,
    admitted: Vec<(u64, IpAddr)>,
}

impl Arrivals {
    /// At most `limit` in any `window`; 0 is no limit (S210).
    pub fn new(limit: usize, window: u64) -> Self {
        Self { limit, window, admitted: Vec::new() }
    }

    /// Whether `address` may come in at `now`; if not, after how many milliseconds it may.
    ///
    /// # Errors
    /// The milliseconds.
    pub fn admit(&mut self, now: u64, address: IpAddr) -> Result<(), u64> {
        let who = host(address);
        let recent: Vec<u64> =
            self.admitted.iter().filter(|(at, of)| *of == who && now - at < self.window).map(|(at, _)| *at).collect();
        if self.limit > 0 && recent.len() >= self.limit {
            return Err(recent[recent.len() - self.limit] + self.window - now);
        }
        self.admitted.push((now, who));
        Ok(())
    }
}

/// What an address counts as: an IPv4 address is itself however it is written, an IPv6 host has 64 bits.
pub fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}
