//! Whose connection or request it is, as far as limits are concerned (D6, ADM-3).

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;
use ipnet::IpNet;

/// The nearest address that is no trusted proxy: `X-Forwarded-For` is read from the right, and only as far as proxies that are
/// trusted have written it.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> IpAddr {
    let forwarded: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let mut hops = forwarded.iter().flat_map(|value| value.split(',')).rev().map(|hop| hop.trim().parse::<IpAddr>());
    let mut client = peer.to_canonical();
    while is_among(client, trusted_proxies) {
        match hops.next() {
            Some(Ok(hop)) => client = hop.to_canonical(),
            Some(Err(_)) | None => break,
        }
    }
    client
}

/// Whether one of the networks has this address.
pub fn is_among(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// The address that stands for all of one host: an IPv4 address is itself however it is written, an IPv6 host has a whole /64 to
/// itself.
pub fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_host() {
        let of = |text: &str| host(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_eq!([of("::ffff:192.0.2.1"), of("192.0.2.1")], ["192.0.2.1"; 2]);
    }

    fn seen(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let headers = forwarded.iter().map(|value| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap())).collect();
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    /// ADM-3, D6, every way of up to four hops over good, bad and unreadable ones, in one header or in several, against the
    /// rule itself: from the right, the first that is no trusted proxy, and nothing beyond what cannot be read.
    #[test]
    fn every_way_of_proxies_is_read_from_the_right() {
        const HOPS: [&str; 4] = ["10.0.0.1", "198.51.100.7", "2001:db8::7", "unknown"];
        let model = |way: &[&'static str]| {
            let mut nearest = way[0];
            for hop in &way[1..] {
                if nearest != "10.0.0.1" || *hop == "unknown" {
                    break;
                }
                nearest = hop;
            }
            nearest
        };
        for number in 0..4_usize.pow(4) {
            for len in 1..=4 {
                // The connection comes first; then what the nearest proxy wrote, which stands rightmost.
                let way: Vec<_> = (0..len).map(|hop| HOPS[number / 4_usize.pow(hop) % 4]).collect();
                if way[0] == "unknown" {
                    continue;
                }
                let written: Vec<_> = way[1..].iter().rev().copied().collect();
                let line: &'static str = written.join(" ,").leak();
                let one: &[&'static str] = if written.is_empty() { &[] } else { &[line] };
                assert_eq!(seen(way[0], one, &["10.0.0.0/8"]), model(&way), "{way:?}");
                assert_eq!(seen(way[0], &written, &["10.0.0.0/8"]), model(&way), "{way:?} in lines of their own");
                assert_eq!(seen(way[0], one, &[]), way[0], "no proxy is trusted");
            }
        }
    }

    #[test]
    fn forwarded_addresses_count_only_through_trusted_proxies_from_the_right() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        let trusted = ["10.0.0.0/8"];
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 198.51.100.1"], &trusted), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 198.51.100.1", "10.0.0.2"], &trusted), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["nonsense"], &trusted), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[], &trusted), "10.0.0.1");
        assert_eq!(seen("::ffff:10.0.0.1", &["198.51.100.1"], &trusted), "198.51.100.1");
    }
}
