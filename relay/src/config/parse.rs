//! From the text of a variable to its value.

use std::{path::PathBuf, time::Duration};

use proto_core::{api, relay::hub::MAX_CONFIRMED, secret::SecretText};
use url::Url;
use viewport_server::settings;
pub(super) use viewport_server::settings::{networks, value};

use super::{ConfigError, FRAME_MAX_BYTES, INTERNAL_KEY, MAX_CONNECTIONS, MAX_FRAME_LEAST, MAX_FRAME_MOST, VALIDATE_URL};

pub(super) fn frame_max(text: &str) -> Result<u32, ConfigError> {
    let expected = "a number of bytes from 65536 to 67108864";
    let bytes = value(FRAME_MAX_BYTES, text, expected)?;
    let fits = (MAX_FRAME_LEAST..=MAX_FRAME_MOST).contains(&bytes);
    if fits { Ok(bytes) } else { Err(ConfigError::Invalid { name: FRAME_MAX_BYTES, expected }) }
}

pub(super) fn max_connections(text: &str) -> Result<usize, ConfigError> {
    let expected = "a number from 1 to 65536";
    let connections = value(MAX_CONNECTIONS, text, expected)?;
    let fits = (1..=MAX_CONFIRMED).contains(&connections);
    if fits { Ok(connections) } else { Err(ConfigError::Invalid { name: MAX_CONNECTIONS, expected }) }
}

/// A length of time; 0 is none.
pub(super) fn age(name: &'static str, text: &str) -> Result<Option<Duration>, ConfigError> {
    if text == "0" {
        return Ok(None);
    }
    let expected = "a length of time, such as 90d or 12h; 0 is no limit";
    humantime::parse_duration(text).map(Some).map_err(|_| ConfigError::Invalid { name, expected })
}

/// A number of bytes; 0 is none.
pub(super) fn bytes(name: &'static str, text: &str) -> Result<Option<u64>, ConfigError> {
    let expected = "a number of bytes, such as 500000000, 500MiB or 16GiB; 0 is no limit";
    let (number, shift) = match text {
        _ if text.ends_with("KiB") => (text.trim_end_matches("KiB"), 10),
        _ if text.ends_with("MiB") => (text.trim_end_matches("MiB"), 20),
        _ if text.ends_with("GiB") => (text.trim_end_matches("GiB"), 30),
        _ if text.ends_with("TiB") => (text.trim_end_matches("TiB"), 40),
        _ => (text, 0),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.map(|bytes| (bytes > 0).then_some(bytes)).ok_or(ConfigError::Invalid { name, expected })
}

/// An `http` or `https` URL.
pub(super) fn web_url(name: &'static str, text: &str) -> Result<String, ConfigError> {
    settings::url(name, text, ["http", "https"], "an http or https URL")
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
    let expected = if name == INTERNAL_KEY {
        "the platform's RELAY_INTERNAL_KEY: at least 16 characters, no spaces"
    } else {
        "at least 16 random characters, no spaces"
    };
    if text.contains(' ') { Err(ConfigError::Invalid { name, expected }) } else { settings::secret(name, text, expected) }
}

pub(super) fn path(name: &'static str, text: &str) -> Result<PathBuf, ConfigError> {
    if text.is_empty() { Err(ConfigError::Invalid { name, expected: "a path" }) } else { Ok(PathBuf::from(text)) }
}
