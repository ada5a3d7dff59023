//! Settings from the environment: names that are known, values that are understood, and what is said where they are not.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;
use proto_core::secret::SecretText;
use url::Url;

/// Why the settings are invalid. Contains no secret values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no such setting.
    #[error("unknown setting {name}{}", nearest.map(|nearest| format!(": did you mean {nearest}?")).unwrap_or_default())]
    Unknown {
        /// What was set.
        name: String,
        /// What was perhaps meant.
        nearest: Option<&'static str>,
    },
    /// A setting that has no default.
    #[error("{0} must be set")]
    Missing(&'static str),
    /// A value that cannot be understood.
    #[error("{name}: expected {expected}")]
    Invalid {
        /// Which setting.
        name: &'static str,
        /// What its value must be.
        expected: &'static str,
    },
}

impl ConfigError {
    /// A name that is none of the `known` ones.
    pub fn unknown(name: &str, known: impl IntoIterator<Item = &'static str>) -> Self {
        let by_distance = known.into_iter().map(|known| (strsim::damerau_levenshtein(known, name), known));
        let nearest = by_distance.min().filter(|(distance, _)| *distance <= MAX_TYPO).map(|(_, known)| known);
        Self::Unknown { name: name.to_owned(), nearest }
    }
}

/// How many letters are mistyped at most.
const MAX_TYPO: usize = 6;

/// The fewest characters of a secret that keeps others out.
pub const MIN_SECRET: usize = 16;

/// A value that is written as its type is.
///
/// # Errors
/// [`ConfigError::Invalid`].
pub fn value<T: FromStr>(name: &'static str, text: &str, expected: &'static str) -> Result<T, ConfigError> {
    text.trim().parse().map_err(|_| ConfigError::Invalid { name, expected })
}

/// An URL of one of the `schemes`, with nothing in it that has no place in a setting, and without a slash at its end.
///
/// # Errors
/// [`ConfigError::Invalid`].
pub fn url(name: &'static str, text: &str, schemes: [&str; 2], expected: &'static str) -> Result<String, ConfigError> {
    let (invalid, text) = (ConfigError::Invalid { name, expected }, text.trim());
    let Ok(url) = Url::parse(text) else { return Err(invalid) };
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if !schemes.contains(&url.scheme()) || !url.has_host() || !plain {
        return Err(invalid);
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A secret that others cannot guess, of characters that may stand in a header.
///
/// # Errors
/// [`ConfigError::Invalid`].
pub fn secret(name: &'static str, text: &str, expected: &'static str) -> Result<SecretText, ConfigError> {
    let fits = text.len() >= MIN_SECRET && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if fits { Ok(SecretText::new(text)) } else { Err(ConfigError::Invalid { name, expected }) }
}

/// Addresses and networks, with commas between them.
///
/// # Errors
/// [`ConfigError::Invalid`].
pub fn networks(name: &'static str, text: &str) -> Result<Vec<IpNet>, ConfigError> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let network = |part: &str| part.parse().ok().or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from));
    let networks: Option<Vec<_>> = parts.map(network).collect();
    networks.ok_or(ConfigError::Invalid { name, expected: "addresses or networks, such as 10.0.0.0/8, with commas" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_refused_with_the_nearest() {
        let known = ["RELAY_LISTEN", "RELAY_JWKS_URL"];
        let said = |name| ConfigError::unknown(name, known).to_string();
        assert_eq!(said("RELAY_LISTN"), "unknown setting RELAY_LISTN: did you mean RELAY_LISTEN?");
        assert_eq!(said("RELAY_COFFEE_MACHINE"), "unknown setting RELAY_COFFEE_MACHINE");
    }

    #[test]
    fn values_are_understood_or_refused() {
        assert_eq!(value::<u8>("N", " 7 ", "a number"), Ok(7));
        assert_eq!(value::<u8>("N", "x", "a number").unwrap_err().to_string(), "N: expected a number");
        let web = |text| url("N", text, ["http", "https"], "an URL").ok();
        assert_eq!(web(" https://a.example/b/ ").as_deref(), Some("https://a.example/b"));
        for bad in ["a.example", "ws://a.example", "https://u@a.example", "https://:p@a.example", "https://a/?b", "https://a/#b"]
        {
            assert_eq!(web(bad), None, "{bad}");
        }
        assert_eq!(networks("N", "10.0.0.0/8, ::1,").unwrap().len(), 2);
        assert!(networks("N", "10.0.0.0/99").is_err());
        assert!(secret("N", "0123456789abcdef", "a secret").is_ok());
        for bad in ["0123456789abcde", "0123456789abcde\n", "0123456789abcdeü"] {
            assert!(secret("N", bad, "a secret").is_err(), "{bad}");
        }
    }
}
