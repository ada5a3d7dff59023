//! From the text of a variable to its value.

use std::{net::IpAddr, path::PathBuf, str::FromStr};

use ipnet::IpNet;
use proto_core::{api, relay::hub::CONNECTIONS_MAX, secret::SecretText};
use url::Url;

use super::{
    ConfigError, FRAME_MAX_BYTES, FRAME_MAX_LEAST, FRAME_MAX_MOST, INTERNAL_KEY, MAX_CONNECTIONS, SECRET_MIN, VALIDATE_URL,
};

pub(super) fn value<T: FromStr>(name: &'static str, value: &str, expected: &'static str) -> Result<T, ConfigError> {
    value.parse().map_err(|_| ConfigError::Invalid { name, expected })
}

pub(super) fn frame_max(text: &str) -> Result<u32, ConfigError> {
    let expected = "a number of bytes from 65536 to 67108864";
    let bytes = value(FRAME_MAX_BYTES, text, expected)?;
    let fits = (FRAME_MAX_LEAST..=FRAME_MAX_MOST).contains(&bytes);
    if fits { Ok(bytes) } else { Err(ConfigError::Invalid { name: FRAME_MAX_BYTES, expected }) }
}

pub(super) fn max_connections(text: &str) -> Result<usize, ConfigError> {
    let expected = "a number from 1 to 65536";
    let connections = value(MAX_CONNECTIONS, text, expected)?;
    let fits = (1..=CONNECTIONS_MAX).contains(&connections);
    if fits { Ok(connections) } else { Err(ConfigError::Invalid { name: MAX_CONNECTIONS, expected }) }
}

/// An `http` or `https` URL with nothing in it that has no place in a setting.
pub(super) fn web_url(name: &'static str, text: &str) -> Result<String, ConfigError> {
    let invalid = ConfigError::Invalid { name, expected: "an http or https URL" };
    let Ok(url) = Url::parse(text) else { return Err(invalid) };
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() || !plain {
        return Err(invalid);
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The platform's base URL, from itself or from that of its validate endpoint.
pub(super) fn platform_of(validate_url: &str) -> Result<String, ConfigError> {
    let base = validate_url.strip_suffix(api::VALIDATE_PATH).unwrap_or(validate_url);
    let has_path = Url::parse(base).is_ok_and(|url| url.path().contains("/api/"));
    if has_path {
        let expected = "the platform's URL, or that of its /api/relay/validate";
        return Err(ConfigError::Invalid { name: VALIDATE_URL, expected });
    }
    Ok(base.to_owned())
}

pub(super) fn secret(name: &'static str, text: &str) -> Result<SecretText, ConfigError> {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.len() < SECRET_MIN || !printable {
        let expected = if name == INTERNAL_KEY {
            "the platform's RELAY_INTERNAL_KEY: at least 16 characters, no spaces"
        } else {
            "at least 16 characters that nobody can guess, no spaces"
        };
        return Err(ConfigError::Invalid { name, expected });
    }
    Ok(SecretText::new(text))
}

pub(super) fn path(name: &'static str, text: &str) -> Result<PathBuf, ConfigError> {
    if text.is_empty() { Err(ConfigError::Invalid { name, expected: "a path" }) } else { Ok(PathBuf::from(text)) }
}

pub(super) fn networks(name: &'static str, text: &str) -> Result<Vec<IpNet>, ConfigError> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let network = |part: &str| part.parse().ok().or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from));
    let networks: Option<Vec<_>> = parts.map(network).collect();
    networks.ok_or(ConfigError::Invalid { name, expected: "addresses or networks, such as 10.0.0.0/8, with commas" })
}
