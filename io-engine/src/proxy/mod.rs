//! Which proxy a server is reached by: the rules of the environment variables that curl, Go and others agree on.

mod exceptions;

use std::{fmt, net::IpAddr};

use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use proto_core::{device::files::ProxySettings, effect::NetFault, secret::SecretText};
use url::Url;
use zeroize::Zeroizing;

use crate::Target;
use exceptions::Exceptions;

/// The proxies of a process, and what is reached without one.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    plain: Option<Chosen>,
    secure: Option<Chosen>,
    except: Exceptions,
}

/// The proxy for a kind of URL.
#[derive(Clone, Debug)]
struct Chosen {
    /// The environment variable that stands for it.
    variable: &'static str,
    /// None where what was set is no URL of a proxy.
    proxy: Option<Proxy>,
}

/// One proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) target: Target,
    authorization: Option<SecretText>,
}

impl Proxies {
    /// What the settings say.
    pub(crate) fn of(settings: &ProxySettings) -> Self {
        let chosen = |url: &Option<SecretText>, variable| url.as_ref().map(|url| Chosen { variable, proxy: Proxy::parse(url) });
        let all = chosen(&settings.all, "all_proxy");
        Self {
            plain: chosen(&settings.http, "http_proxy").or_else(|| all.clone()),
            secure: chosen(&settings.https, "https_proxy").or(all),
            except: Exceptions::parse(settings.except.as_deref().unwrap_or_default()),
        }
    }

    /// The proxy for `target`; none for what is on this machine.
    pub(crate) fn choose(&self, target: &Target) -> Result<Option<&Proxy>, NetFault> {
        match self.chosen(target) {
            None => Ok(None),
            Some(Chosen { proxy: Some(proxy), .. }) => Ok(Some(proxy)),
            Some(Chosen { proxy: None, .. }) => Err(NetFault::ProxyInvalid),
        }
    }

    /// What people may see of the proxy for `target`, and its environment variable.
    pub(crate) fn shown(&self, target: &Target) -> Option<(String, &'static str)> {
        let chosen = self.chosen(target)?;
        let address = chosen.proxy.as_ref().map_or_else(|| "(no valid URL)".to_owned(), |proxy| proxy.target.endpoint());
        Some((address, chosen.variable))
    }

    fn chosen(&self, target: &Target) -> Option<&Chosen> {
        let chosen = if target.tls { &self.secure } else { &self.plain };
        chosen.as_ref().filter(|_| !is_local(&target.host) && !self.except.contain(&target.host, target.port))
    }
}

impl Proxy {
    /// `[http[s]://][user[:password]@]host[:port]`; without a port it is the scheme's own.
    fn parse(text: &SecretText) -> Option<Self> {
        let text = text.expose().trim();
        let with_scheme = Zeroizing::new(if text.contains("://") { text.to_owned() } else { format!("http://{text}") });
        let mut url = Url::parse(&with_scheme).ok()?;
        let authorization = authorization(&url);
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        Some(Self { target: Target::http(url.as_str()).ok()?, authorization })
    }

    /// The value of `Proxy-Authorization`, where the URL has a user.
    pub(crate) const fn authorization(&self) -> Option<&SecretText> {
        self.authorization.as_ref()
    }
}

/// Without what the proxy is to be shown.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("endpoint", &self.target.endpoint()).finish_non_exhaustive()
    }
}

/// Basic credentials (RFC 7617), as UTF-8.
fn authorization(url: &Url) -> Option<SecretText> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let user = percent_decode_str(url.username());
    let password = percent_decode_str(url.password().unwrap_or_default());
    let pair = Zeroizing::new(user.chain(b":".iter().copied()).chain(password).collect::<Vec<u8>>());
    Some(SecretText::new(format!("Basic {}", BASE64.encode(&pair))))
}

/// Whether a name or address is of this machine, which no proxy reaches.
fn is_local(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests;
