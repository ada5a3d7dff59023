//! `NO_PROXY`: what is reached without a proxy.

use std::net::IpAddr;

use ipnet::IpNet;

/// The items of a list that commas or blanks separate.
#[derive(Debug, Default)]
pub(super) struct Exceptions(Vec<Exception>);

#[derive(Debug)]
struct Exception {
    hosts: Hosts,
    /// Any without one.
    port: Option<u16>,
}

#[derive(Debug)]
enum Hosts {
    All,
    /// A domain and all below it. Names that begin with `.` or `*.` mean the same.
    Domain(String),
    Addresses(IpNet),
}

impl Exceptions {
    /// An invalid item becomes a name that no host has.
    pub(super) fn parse(list: &str) -> Self {
        let items = list.split(|c: char| c == ',' || c.is_whitespace());
        Self(items.filter(|item| !item.is_empty()).map(Exception::parse).collect())
    }

    /// Whether `host`, a name or an address without brackets, is reached without a proxy at `port`.
    pub(super) fn contain(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.parse().ok();
        self.0.iter().any(|exception| exception.port.is_none_or(|of| of == port) && exception.hosts.contain(&host, address))
    }
}

impl Exception {
    fn parse(item: &str) -> Self {
        if let Some(hosts) = Hosts::addresses(item) {
            return Self { hosts, port: None };
        }
        let (name, port) = match item.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => (name, port.parse().ok()),
            _ => (item, None),
        };
        Self { hosts: Hosts::addresses(name).unwrap_or_else(|| Hosts::named(name)), port }
    }
}

impl Hosts {
    /// An address, in brackets or not, or a block of them (CIDR).
    fn addresses(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let one = bare.parse::<IpAddr>().map(IpNet::from);
        one.ok().or_else(|| bare.parse().ok()).map(Self::Addresses)
    }

    fn named(name: &str) -> Self {
        if name == "*" {
            return Self::All;
        }
        let name = name.strip_prefix('*').unwrap_or(name);
        Self::Domain(name.trim_matches('.').to_ascii_lowercase())
    }

    fn contain(&self, host: &str, address: Option<IpAddr>) -> bool {
        match self {
            Self::All => true,
            Self::Domain(domain) => {
                host.strip_suffix(domain.as_str()).is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
            Self::Addresses(block) => address.is_some_and(|address| block.contains(&address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excepted(list: &str, host: &str, port: u16) -> bool {
        Exceptions::parse(list).contain(host, port)
    }

    #[test]
    fn a_name_stands_for_itself_and_all_below_it() {
        for list in ["corp.example", ".corp.example", "*.corp.example", "a, CORP.example ,b", "a corp.example."] {
            for host in ["corp.example", "relay.corp.example", "a.b.Corp.Example."] {
                assert!(excepted(list, host, 443), "{list} {host}");
            }
            for host in ["notcorp.example", "corp.example.org", "example"] {
                assert!(!excepted(list, host, 443), "{list} {host}");
            }
        }
    }

    #[test]
    fn a_port_narrows_it() {
        assert!(excepted("corp.example:8443", "relay.corp.example", 8443));
        assert!(!excepted("corp.example:8443", "relay.corp.example", 443));
        assert!(excepted("10.0.0.1:80,[2001:db8::1]:81", "10.0.0.1", 80));
        assert!(!excepted("10.0.0.1:80", "10.0.0.1", 81));
        assert!(excepted("[2001:db8::1]:81", "2001:db8::1", 81) && !excepted("[2001:db8::1]:81", "2001:db8::1", 80));
    }

    #[test]
    fn addresses_and_blocks_of_them() {
        for list in ["10.1.2.3", "10.0.0.0/8", "10.1.2.0/24,x"] {
            assert!(excepted(list, "10.1.2.3", 1), "{list}");
            assert!(!excepted(list, "11.1.2.3", 1), "{list}");
            assert!(!excepted(list, "10.example", 1), "{list}: names are not resolved for it");
        }
        for list in ["2001:db8::1", "[2001:db8::1]", "2001:db8::/32"] {
            assert!(excepted(list, "2001:db8::1", 1), "{list}");
            assert!(!excepted(list, "2001:db9::1", 1), "{list}");
        }
    }

    #[test]
    fn a_star_is_everything_and_an_empty_list_nothing() {
        assert!(excepted("*", "any.example", 1) && excepted("x,*", "10.0.0.1", 1));
        for list in ["", " ", ",,", "."] {
            assert!(!excepted(list, "any.example", 1), "{list:?}");
        }
    }
}
