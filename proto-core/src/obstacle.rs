//! What a request or a connection met instead of what it was made for.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::effect::NetFault;

/// What the latest attempt met. Not authenticated: anything between this machine and the server can answer or break a connection,
/// so it is shown to people and decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// There was no answer.
    Fault(NetFault),
    /// There was another answer than expected: the status of HTTP.
    Status(u16),
}

impl Obstacle {
    /// What helps, where that is known.
    pub const fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Fault(NetFault::Dns) => Some("check the host name, and whether this machine is online"),
            Self::Fault(NetFault::CertificateUntrusted) => {
                Some("SSL_CERT_FILE=/path/to/authority.pem vpd restart   (the authority that signed it)")
            }
            Self::Fault(NetFault::CertificateName) => Some("check the host name in the URL"),
            Self::Fault(NetFault::CertificateExpired) => {
                Some("check this machine's clock (timedatectl), then the server's certificate")
            }
            Self::Fault(NetFault::ProxyStatus(407)) | Self::Status(407) => {
                Some("https_proxy=http://USER:PASSWORD@PROXY:PORT vpd restart   (the proxy wants a user and a password)")
            }
            Self::Fault(NetFault::ProxyStatus(_)) => Some("ask who runs the proxy to let this machine through"),
            Self::Fault(fault) if fault.is_of_proxy() => {
                Some("https_proxy=http://PROXY:PORT vpd restart   (the right proxy; an empty one goes without)")
            }
            Self::Status(_) => Some("ask who runs the server, or the proxy in front of it"),
            Self::Fault(_) => None,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Status(status) => write!(f, "the answer was HTTP {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn an_obstacle_says_what_was_met_and_what_helps() {
        let untrusted = Obstacle::Fault(NetFault::CertificateUntrusted);
        assert!(untrusted.to_string().contains("certificate"));
        assert!(untrusted.remedy().unwrap().contains("SSL_CERT_FILE"));
        assert_eq!(Obstacle::Status(403).to_string(), "the answer was HTTP 403");
        for proxy in [Obstacle::Status(407), Obstacle::Fault(NetFault::ProxyStatus(407)), Obstacle::Fault(NetFault::ProxyDns)] {
            assert!(proxy.remedy().unwrap().contains("_proxy=http://"), "{proxy}");
        }
        let refused = Obstacle::Fault(NetFault::ProxyStatus(403));
        assert_eq!(refused.to_string(), "the proxy answered HTTP 403");
        assert!(refused.remedy().unwrap().contains("who runs the proxy"));
        assert_eq!(Obstacle::Fault(NetFault::Refused).remedy(), None);
    }
}
