//! Where the platform is: `VIEWPORT_API_URL` before `daemon.api.endpoint` of `config.json` before the hosted one (S162, S163). And
//! how servers are reached: what the environment sets of proxies and certificate authorities, before what `config.json` keeps of it
//! from when the daemon was started.

use std::{
    env,
    ffi::{OsStr, OsString},
};

use io_tokio::Network;
use proto_core::{
    Reason,
    device::files::{Config, Document as _},
    effect::StateFile,
};

use crate::{failure::Failure, home::Home};

/// What a person can set before the daemon starts.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The platform's base URL, without a slash at its end.
    pub api_endpoint: String,
    /// How servers are reached.
    pub network: Network,
}

impl Settings {
    /// Reads the environment and `config.json`.
    pub(crate) fn load(home: &Home) -> Result<Self, Failure> {
        let mut config = read_config(home)?;
        config.daemon.take_over(of_environment);
        let endpoint = api_url_of_environment().unwrap_or_else(|| config.api_endpoint().to_owned());
        Ok(Self { api_endpoint: normalised(&endpoint)?, network: network(home, &config)? })
    }
}

/// How the daemon of `home`, which this process is, reaches servers. What the environment says is kept: later starts, which may
/// have another environment, go by it.
pub(crate) fn kept_network(home: &Home) -> Result<Network, Failure> {
    let mut config = read_config(home)?;
    let before = config.daemon.clone();
    config.daemon.take_over(of_environment);
    let network = network(home, &config)?;
    if config.daemon != before {
        let contents = config.write()?;
        if let Err(error) = io_engine::Home::at(home.path()).store(&StateFile::Config, &contents) {
            tracing::warn!(%error, "the next start has to be given the proxies and certificates of this one again");
        }
    }
    Ok(network)
}

/// Whether this process's environment asks for other proxies or certificates than those with which the daemon was started.
pub(crate) fn network_differs(home: &Home) -> Result<bool, Failure> {
    let kept = read_config(home)?.daemon;
    let mut wanted = kept.clone();
    wanted.take_over(of_environment);
    Ok(wanted != kept)
}

fn network(home: &Home, config: &Config) -> Result<Network, Failure> {
    let (proxy, tls) = (config.daemon.proxy.clone().unwrap_or_default(), config.daemon.tls.clone().unwrap_or_default());
    Network::of(&proxy, &tls).map_err(|error| {
        let path = io_engine::Home::at(home.path()).path_of(&StateFile::Config);
        Failure::about(Reason::ConfigInvalid, format_args!("{}: daemon.tls.roots: {error}", path.display()))
    })
}

/// A variable of the environment; the paths of certificates are absolute.
fn of_environment(name: &str) -> Option<String> {
    let value = env::var(name).ok()?;
    if !PATHS.contains(&name) {
        return Some(value);
    }
    absolute(OsStr::new(&value)).into_string().ok()
}

/// Variables that name paths.
pub(crate) const PATHS: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The same paths, which colons separate, from wherever they are looked at.
pub(crate) fn absolute(paths: &OsStr) -> OsString {
    let whole = env::split_paths(paths).map(|path| std::path::absolute(&path).unwrap_or(path));
    env::join_paths(whole).unwrap_or_else(|_| paths.to_owned())
}

/// `config.json`; one that is not there is an empty one.
fn read_config(home: &Home) -> Result<Config, Failure> {
    let files = io_engine::Home::at(home.path());
    let bytes = files.read(&StateFile::Config).map_err(|error| Failure::about(error.reason(), error))?;
    let Some(bytes) = bytes else { return Ok(Config::default()) };
    let path = files.path_of(&StateFile::Config);
    Config::parse(bytes.expose()).map_err(|reason| Failure::about(reason, path.display()))
}

/// `VIEWPORT_API_URL`, where it says something.
pub(crate) fn api_url_of_environment() -> Option<String> {
    env::var("VIEWPORT_API_URL").ok().filter(|url| !url.trim().is_empty())
}

/// A base URL as it is compared and put before a path.
pub(crate) fn normalised(url: &str) -> Result<String, Failure> {
    let url = url.trim().trim_end_matches('/');
    let authority = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match authority {
        Some(authority) if !authority.is_empty() && !authority.starts_with('/') => Ok(url.to_owned()),
        _ => Err(Failure::about(Reason::PlatformUnreachable, format_args!("{url:?} is no http:// or https:// URL"))),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
    };

    use super::*;

    fn read(text: &str, mode: u32) -> Result<Config, Failure> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("config.json");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        read_config(&Home::at(place.path()))
    }

    /// S163.
    #[test]
    fn the_endpoint_stands_under_daemon_api() {
        let config = read(r#"{"daemon":{"api":{"endpoint":"https://api.your-co.com"}},"bindings":[]}"#, 0o600).unwrap();
        assert_eq!(config.api_endpoint(), "https://api.your-co.com");
    }

    #[test]
    fn files_that_are_broken_too_new_or_open_to_others_are_refused() {
        for (text, mode, reason) in [
            ("{", 0o600, Reason::ConfigInvalid),
            ("[]", 0o600, Reason::ConfigInvalid),
            (r#"{"version":99}"#, 0o600, Reason::ConfigNewer),
            ("{}", 0o644, Reason::ConfigTooOpen),
        ] {
            assert_eq!(read(text, mode).unwrap_err().reason, reason, "{text} {mode:o}");
        }
        assert!(read_config(&Home::at("/nonexistent")).is_ok());
    }

    #[test]
    fn base_urls_are_checked_and_lose_their_slash() {
        assert_eq!(normalised(" http://127.0.0.1:8787/ ").unwrap(), "http://127.0.0.1:8787");
        for bad in ["", "api.your-co.com", "ftp://x", "https://", "https:///x"] {
            assert_eq!(normalised(bad).unwrap_err().reason, Reason::PlatformUnreachable, "{bad:?}");
        }
    }
}
