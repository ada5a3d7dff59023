//! Whose request it is, as far as limits are concerned.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, request::Parts},
};
use ipnet::IpNet;

use crate::app::Shared;

/// The address that limits count by. An IPv6 host has a whole /64 to itself, so that counts as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) String);

impl FromRequestParts<Shared> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
        Ok(Self(limit_key(client(peer, &parts.headers, &app.config.trusted_proxies)).to_string()))
    }
}

/// The nearest address that is no trusted proxy: `X-Forwarded-For` is read from the right, and only as far as proxies that
/// are trusted have written it (D6).
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let forwarded: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let mut hops = forwarded.iter().flat_map(|value| value.split(',')).rev().map(|hop| hop.trim().parse::<IpAddr>());
    let mut client = peer.to_canonical();
    while is_trusted(client) {
        match hops.next() {
            Some(Ok(hop)) => client = hop.to_canonical(),
            Some(Err(_)) | None => break,
        }
    }
    client
}

/// The address that stands for all of one host: an IPv6 host has a whole /64 to itself.
pub(crate) fn limit_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let headers = forwarded.iter().map(|value| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap())).collect();
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        limit_key(client(peer.parse().unwrap(), &headers, &trusted)).to_string()
    }

    #[test]
    fn forwarded_addresses_count_only_through_trusted_proxies_from_the_right() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        let trusted = ["10.0.0.0/8"];
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 198.51.100.1"], &trusted), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 198.51.100.1", "10.0.0.2"], &trusted), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["nonsense"], &trusted), "10.0.0.1");
        assert_eq!(seen("::ffff:10.0.0.1", &["198.51.100.1"], &trusted), "198.51.100.1");
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        assert_eq!(seen("2001:db8:1:2:3::4", &[], &[]), seen("2001:db8:1:2:ffff::", &[], &[]));
        assert_ne!(seen("2001:db8:1:2::", &[], &[]), seen("2001:db8:1:3::", &[], &[]));
    }
}
