//! Where a URL leads.

use std::io;

use proto_core::effect::NetFault;
use url::{Host, Url};

/// The endpoint of an absolute `http`, `https`, `ws` or `wss` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A name to resolve, or an IP address without brackets.
    pub host: String,
    /// The port, the scheme's own when the URL names none.
    pub port: u16,
    /// Whether TLS comes first.
    pub tls: bool,
    /// `Host` header: with brackets, and with the port unless it is the scheme's own.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
}

impl Target {
    /// The endpoint of an HTTP URL.
    ///
    /// # Errors
    /// [`NetFault::BadUrl`] for another scheme, for no URL at all, and for one with a user or password in it, which would end
    /// up in logs.
    pub fn http(url: &str) -> Result<Self, NetFault> {
        Self::parse(url, "http", "https")
    }

    /// The endpoint of a WebSocket URL.
    ///
    /// # Errors
    /// As for [`Target::http`].
    pub fn websocket(url: &str) -> Result<Self, NetFault> {
        Self::parse(url, "ws", "wss")
    }

    /// `host:port`, with brackets around an IPv6 address.
    pub(crate) fn endpoint(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    fn parse(url: &str, plain: &str, secure: &str) -> Result<Self, NetFault> {
        let url = Url::parse(url).map_err(|_| NetFault::BadUrl)?;
        let tls = url.scheme() == secure;
        let anonymous = url.username().is_empty() && url.password().is_none();
        if !(tls || url.scheme() == plain) || !anonymous {
            return Err(NetFault::BadUrl);
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else { return Err(NetFault::BadUrl) };
        let authority = url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        let host = match host {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        Ok(Self { host, port, tls, authority, path })
    }
}

/// What failed, when connecting did.
pub fn connect_fault(error: &io::Error) -> NetFault {
    match error.kind() {
        io::ErrorKind::TimedOut => NetFault::TimedOut,
        _ => NetFault::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_and_tls() {
        let target = Target::http("https://relay.example/a/b?c=d#e").unwrap();
        assert_eq!((target.host.as_str(), target.port, target.tls), ("relay.example", 443, true));
        assert_eq!((target.authority.as_str(), target.path.as_str()), ("relay.example", "/a/b?c=d"));
        assert_eq!(target.endpoint(), "relay.example:443");
        let target = Target::websocket("ws://[::1]:7781/ws").unwrap();
        assert_eq!((target.host.as_str(), target.port, target.tls), ("::1", 7781, false));
        assert_eq!((target.authority.as_str(), target.endpoint().as_str()), ("[::1]:7781", "[::1]:7781"));
        assert_eq!(Target::http("http://localhost").unwrap().path, "/");
        assert_eq!(Target::http("http://localhost:80/").unwrap().authority, "localhost");
    }

    #[test]
    fn what_is_no_url_of_the_right_kind_is_refused() {
        for bad in
            ["", "relay.example", "ftp://a/", "ws://a/", "http://", "https://user:secret@a/", "http://a:99999/", "file:///a"]
        {
            assert_eq!(Target::http(bad), Err(NetFault::BadUrl), "{bad}");
        }
        assert_eq!(Target::websocket("https://a/"), Err(NetFault::BadUrl));
    }
}
