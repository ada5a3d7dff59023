//! Where the platform is: `VIEWPORT_API_URL` before `daemon.api.endpoint` of `config.json` before the hosted one (S162, S163).

use std::env;

use proto_core::{
    Reason,
    device::files::{Config, Document as _},
    effect::StateFile,
};

use crate::{failure::Failure, home::Home};

/// What a person can set before the daemon starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The platform's base URL, without a slash at its end.
    pub api_endpoint: String,
}

impl Settings {
    /// Reads the environment and `config.json`.
    pub(crate) fn load(home: &Home) -> Result<Self, Failure> {
        let config = read_config(home)?;
        let endpoint = api_url_of_environment().unwrap_or_else(|| config.api_endpoint().to_owned());
        Ok(Self { api_endpoint: normalised(&endpoint)? })
    }
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
