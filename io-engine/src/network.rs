//! What clients of this process need to know of the network: whom to trust, and by which proxies servers are reached.

use std::{env, fs, io, path::PathBuf, sync::Arc};

use proto_core::{
    Entropy,
    device::files::{Daemon, ProxySettings, TlsSettings},
    effect::{Connect, HttpRequest, NetFault},
};

use crate::{Connection, HttpCall, Roots, Target, TlsSetupError, Transducer, WebSocketClient, proxy::Proxies, tunnel::Tunnel};

/// A client's protocol over a byte stream to a server or to a proxy: TLS with the proxy, the tunnel, and TLS with the server, each
/// where there is one.
pub type ClientConnection<T> = Connection<Tunnel<Connection<T>>>;

/// The facts of the network that hold for every client of a process. Cheap to clone. By default: the system's roots, no proxy.
#[derive(Clone, Debug, Default)]
pub struct Network {
    roots: Roots,
    proxies: Arc<Proxies>,
}

/// Where a client connects to first: the server itself, or a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// A name to resolve, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    is_proxy: bool,
}

/// A file of `daemon.tls.roots` that is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct UnusableRoots {
    path: PathBuf,
    why: Unusable,
}

#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
}

impl Network {
    /// What the settings of a device say. Reads the files of `daemon.tls.roots`; the system's certificates are read when they are
    /// needed.
    ///
    /// # Errors
    /// When one of those files cannot be read, or holds no certificate.
    pub fn of(proxy: &ProxySettings, tls: &TlsSettings) -> Result<Self, UnusableRoots> {
        let mut extra = Vec::new();
        for path in tls.roots.iter().map(PathBuf::from) {
            let read = || -> Result<Vec<u8>, Unusable> {
                let pem = fs::read(&path)?;
                Roots::with_extra(vec![pem.clone()])?;
                Ok(pem)
            };
            extra.push(read().map_err(|why| UnusableRoots { path: path.clone(), why })?);
        }
        let file = tls.cert_file.as_ref().map(PathBuf::from);
        let dirs = tls.cert_dir.iter().flat_map(env::split_paths).filter(|dir| !dir.as_os_str().is_empty()).collect();
        Ok(Self { roots: Roots::of_system(file, dirs, extra), proxies: Arc::new(Proxies::of(proxy)) })
    }

    /// What the environment of this process says.
    pub fn of_environment() -> Self {
        let mut settings = Daemon::default();
        settings.take_over(|name| env::var(name).ok());
        // The system's certificates are those of the environment.
        Self::default().with_proxies(&settings.proxy.unwrap_or_default())
    }

    /// The same roots, and these proxies.
    #[must_use]
    pub fn with_proxies(self, proxy: &ProxySettings) -> Self {
        Self { proxies: Arc::new(Proxies::of(proxy)), ..self }
    }

    /// Where to connect to, and what sends `request` there. An `http` URL is asked for at its proxy, an `https` one through a
    /// tunnel.
    ///
    /// # Errors
    /// [`NetFault::BadUrl`] when the URL or a header is none, [`NetFault::ProxyInvalid`] when its proxy's is none,
    /// [`NetFault::Tls`] without a trusted root.
    pub fn http(&self, request: &HttpRequest) -> Result<(Hop, ClientConnection<HttpCall>), NetFault> {
        let (target, mut call) = HttpCall::new(request)?;
        match self.proxies.choose(&target)? {
            Some(proxy) if !target.tls => {
                call.ask_proxy(&target.authority, proxy.authorization());
                Ok((Hop::proxy(&proxy.target), self.secured(&proxy.target, Tunnel::none(Connection::plain(call)))?))
            }
            _ => self.client(&target, call),
        }
    }

    /// Where to connect to, and what opens a WebSocket there: see [`WebSocketClient::new`]. By a proxy it is always through a
    /// tunnel (RFC 6455 section 4.1).
    ///
    /// # Errors
    /// As for [`Network::http`].
    pub fn websocket(&self, connect: &Connect, entropy: &Entropy) -> Result<(Hop, ClientConnection<WebSocketClient>), NetFault> {
        let (target, client) = WebSocketClient::new(connect, entropy)?;
        self.client(&target, client)
    }

    /// The proxy by which `url` is reached, as `host:port`, and the environment variable that stands for it. Without its user and
    /// password.
    pub fn proxy_for(&self, url: &str) -> Option<(String, &'static str)> {
        let target = Target::http(url).or_else(|_| Target::websocket(url)).ok()?;
        self.proxies.shown(&target)
    }

    fn client<T: Transducer>(&self, target: &Target, protocol: T) -> Result<(Hop, ClientConnection<T>), NetFault> {
        let inner = Connection::to(target, protocol, &self.roots)?;
        match self.proxies.choose(target)? {
            None => Ok((Hop::server(target), Connection::plain(Tunnel::none(inner)))),
            Some(proxy) => {
                let tunnel = Tunnel::to(&target.endpoint(), proxy.authorization(), inner);
                Ok((Hop::proxy(&proxy.target), self.secured(&proxy.target, tunnel)?))
            }
        }
    }

    fn secured<T: Transducer>(&self, proxy: &Target, protocol: T) -> Result<Connection<T>, NetFault> {
        Connection::to(proxy, protocol, &self.roots).map_err(|_| NetFault::ProxyTls)
    }
}

impl From<Roots> for Network {
    fn from(roots: Roots) -> Self {
        Self { roots, proxies: Arc::default() }
    }
}

impl Hop {
    pub(crate) fn server(target: &Target) -> Self {
        Self { host: target.host.clone(), port: target.port, is_proxy: false }
    }

    fn proxy(target: &Target) -> Self {
        Self { is_proxy: true, ..Self::server(target) }
    }

    /// What came of resolving its name or of connecting, said of the server or of the proxy.
    #[must_use]
    pub const fn fault(&self, fault: NetFault) -> NetFault {
        match fault {
            NetFault::Dns if self.is_proxy => NetFault::ProxyDns,
            NetFault::Refused | NetFault::TimedOut if self.is_proxy => NetFault::ProxyUnreachable,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests;
