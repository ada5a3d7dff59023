//! How this machine reaches servers: proxies and certificate authorities, as `config.json` keeps them.
//!
//! The environment of the process that starts the daemon counts, and what it sets is kept, so that a daemon that is started later
//! by something else (another shell, a service) goes the same way. A variable that is set and empty forgets what was kept of it.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{Unknown, config::Daemon};
use crate::secret::SecretText;

/// `daemon.proxy`. URLs are secrets: they may hold a user and a password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProxySettings {
    /// For `http` and `ws`: `http_proxy`, `HTTP_PROXY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<SecretText>,
    /// For `https` and `wss`: `https_proxy`, `HTTPS_PROXY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<SecretText>,
    /// For what has none of its own: `all_proxy`, `ALL_PROXY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<SecretText>,
    /// What is reached without a proxy, separated by commas: `no_proxy`, `NO_PROXY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<String>,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// `daemon.tls`. Paths are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsSettings {
    /// Files of certificate authorities that are trusted beside the system's. Only people write it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roots: Vec<String>,
    /// A file of certificate authorities instead of the system's: `SSL_CERT_FILE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<String>,
    /// Folders of them, separated by colons: `SSL_CERT_DIR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_dir: Option<String>,
    /// Members of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Daemon {
    /// Takes over what the environment sets of proxies and certificate authorities: `variable` gives the value of one, where it is
    /// set. Small letters come before capitals, as for curl.
    pub fn take_over(&mut self, variable: impl Fn(&str) -> Option<String>) {
        let value = |names: &[&str]| names.iter().find_map(|name| variable(name));
        let mut proxy = self.proxy.take().unwrap_or_default();
        set(&mut proxy.http, value(&["http_proxy", "HTTP_PROXY"]).map(SecretText::new), |url| url.expose().trim().is_empty());
        set(&mut proxy.https, value(&["https_proxy", "HTTPS_PROXY"]).map(SecretText::new), |url| url.expose().trim().is_empty());
        set(&mut proxy.all, value(&["all_proxy", "ALL_PROXY"]).map(SecretText::new), |url| url.expose().trim().is_empty());
        set(&mut proxy.except, value(&["no_proxy", "NO_PROXY"]), |list| list.trim().is_empty());
        self.proxy = Some(proxy).filter(|proxy| *proxy != ProxySettings::default());
        let mut tls = self.tls.take().unwrap_or_default();
        set(&mut tls.cert_file, value(&["SSL_CERT_FILE"]), String::is_empty);
        set(&mut tls.cert_dir, value(&["SSL_CERT_DIR"]), String::is_empty);
        self.tls = Some(tls).filter(|tls| *tls != TlsSettings::default());
    }
}

fn set<T>(kept: &mut Option<T>, found: Option<T>, is_empty: impl Fn(&T) -> bool) {
    if let Some(found) = found {
        *kept = Some(found).filter(|value| !is_empty(value));
    }
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned, collections::BTreeMap, format};

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        let variables: BTreeMap<_, _> =
            variables.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect();
        move |name| variables.get(name).cloned()
    }

    fn after(mut daemon: Daemon, variables: &[(&str, &str)]) -> Daemon {
        daemon.take_over(environment(variables));
        daemon
    }

    #[test]
    fn what_is_set_is_kept_and_what_is_empty_is_forgotten() {
        let set = after(Daemon::default(), &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "corp"), ("SSL_CERT_FILE", "/ca.pem")]);
        let proxy = set.proxy.clone().unwrap();
        assert_eq!(proxy.https, Some(SecretText::new("http://p:1")));
        assert_eq!((proxy.http, proxy.all, proxy.except), (None, None, Some("corp".to_owned())));
        assert_eq!(set.tls.clone().unwrap().cert_file.as_deref(), Some("/ca.pem"));
        assert_eq!(after(set.clone(), &[]), set, "another shell changes nothing");
        let other = after(set.clone(), &[("ALL_PROXY", "http://q:2")]);
        assert_eq!(other.proxy.clone().unwrap().https, Some(SecretText::new("http://p:1")), "each variable counts by itself");
        assert_eq!(other.proxy.unwrap().all, Some(SecretText::new("http://q:2")));
        let without = after(set, &[("HTTPS_PROXY", ""), ("NO_PROXY", " "), ("SSL_CERT_FILE", "")]);
        assert_eq!(without, Daemon::default());
    }

    #[test]
    fn small_letters_come_first() {
        let daemon = after(
            Daemon::default(),
            &[("http_proxy", "small"), ("HTTP_PROXY", "large"), ("all_proxy", "a"), ("SSL_CERT_DIR", "/d")],
        );
        let proxy = daemon.proxy.unwrap();
        assert_eq!((proxy.http, proxy.all), (Some(SecretText::new("small")), Some(SecretText::new("a"))));
        assert_eq!(daemon.tls.unwrap().cert_dir.as_deref(), Some("/d"));
    }

    /// BIND-8, and what a person wrote by hand.
    #[test]
    fn what_is_not_of_the_environment_stays() {
        let text = r#"{"proxy":{"https":"http://u:secret@p:1","newer":1},"tls":{"roots":["/a.pem"],"newer":2}}"#;
        let daemon: Daemon = serde_json::from_str(text).unwrap();
        assert!(!format!("{daemon:?}").contains("secret"));
        let daemon = after(daemon, &[("https_proxy", ""), ("SSL_CERT_FILE", "")]);
        assert_eq!(serde_json::to_string(&daemon).unwrap(), r#"{"proxy":{"newer":1},"tls":{"roots":["/a.pem"],"newer":2}}"#);
    }
}
