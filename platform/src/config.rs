//! What the platform needs to know before it starts.

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use proto_core::{api::RelayEndpoint, key::StaticKey, secret::SecretText};
pub use viewport_server::ConfigError;
use viewport_server::settings;

/// The port it listens on when nothing else is said.
pub const DEFAULT_PORT: u16 = 8787;

/// Settings of a platform. [`Config::new`] has what cannot be guessed, the fields the rest.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the standalone program listens.
    pub listen: SocketAddr,
    /// The SQLite file. It holds signing seeds and pre-shared keys; it is made with mode 0600.
    pub database: PathBuf,
    /// How browsers, devices and relays reach the platform, without a slash at the end: the issuer of its credentials.
    /// With `https` cookies are marked `Secure`.
    pub public_url: String,
    /// The relay that devices are sent to: its URL, its current static key, then perhaps an announced successor.
    pub relay: RelayEndpoint,
    /// What relays prove themselves with (`RELAY_INTERNAL_KEY`).
    pub internal_key: SecretText,
    /// How many codes one address may mint in 15 minutes; 0 is no limit. An IPv6 network of /64 counts as one address.
    pub mints_per_address: usize,
    /// How many codes may live at a time, of all devices together.
    pub max_codes: i64,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Seconds from a credential's making to its soft expiry, `exp` (D8).
    pub credential_lifetime: u64,
    /// Seconds from a credential's making to its hard expiry, `rexp` (D8).
    pub renewable_for: u64,
}

impl Config {
    /// Settings with their defaults.
    pub fn new(database: impl Into<PathBuf>, public_url: &str, relay: RelayEndpoint, internal_key: SecretText) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)),
            database: database.into(),
            public_url: public_url.trim_end_matches('/').to_owned(),
            relay,
            internal_key,
            mints_per_address: 60,
            max_codes: 100_000,
            trusted_proxies: Vec::new(),
            credential_lifetime: 60 * 60,
            renewable_for: 30 * 24 * 60 * 60,
        }
    }

    /// Settings from the environment, of which `variables` are all names and values. Names that do not start with
    /// `PLATFORM_` are none of our business, except `RELAY_INTERNAL_KEY`.
    ///
    /// # Errors
    /// A name is unknown, a value is invalid, or a setting that cannot be guessed is missing.
    pub fn from_env(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut given = Given::default();
        for (name, value) in variables {
            if name == INTERNAL_KEY || name.starts_with("PLATFORM_") {
                given.take(&name, &value)?;
            }
        }
        given.complete()
    }
}

const LISTEN: &str = "PLATFORM_LISTEN";
const PUBLIC_URL: &str = "PLATFORM_PUBLIC_URL";
const DATABASE_URL: &str = "PLATFORM_DATABASE_URL";
const RELAY_URL: &str = "PLATFORM_RELAY_URL";
const RELAY_STATIC_KEYS: &str = "PLATFORM_RELAY_STATIC_KEYS";
const MINTS_PER_ADDRESS: &str = "PLATFORM_RATE_LIMIT_PER_IP";
const TRUSTED_PROXIES: &str = "PLATFORM_TRUSTED_PROXIES";
const CREDENTIAL_SECONDS: &str = "PLATFORM_CREDENTIAL_SECONDS";
const RENEWABLE_SECONDS: &str = "PLATFORM_RENEWABLE_SECONDS";
const INTERNAL_KEY: &str = "RELAY_INTERNAL_KEY";

const NAMES: [&str; 9] = [
    LISTEN,
    PUBLIC_URL,
    DATABASE_URL,
    RELAY_URL,
    RELAY_STATIC_KEYS,
    MINTS_PER_ADDRESS,
    TRUSTED_PROXIES,
    CREDENTIAL_SECONDS,
    RENEWABLE_SECONDS,
];

#[derive(Default)]
struct Given {
    listen: Option<SocketAddr>,
    database: Option<PathBuf>,
    public_url: Option<String>,
    relay_url: Option<String>,
    relay_keys: Option<Vec<StaticKey>>,
    internal_key: Option<SecretText>,
    mints_per_address: Option<usize>,
    trusted_proxies: Option<Vec<IpNet>>,
    credential_lifetime: Option<u64>,
    renewable_for: Option<u64>,
}

impl Given {
    fn take(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        match name {
            LISTEN => self.listen = Some(settings::value(LISTEN, value, "an address and a port, such as 127.0.0.1:8787")?),
            PUBLIC_URL => self.public_url = Some(settings::url(PUBLIC_URL, value, ["http", "https"], "an http or https URL")?),
            DATABASE_URL => self.database = Some(sqlite_path(value)?),
            RELAY_URL => self.relay_url = Some(settings::url(RELAY_URL, value, ["ws", "wss"], "a ws or wss URL")?),
            RELAY_STATIC_KEYS => self.relay_keys = Some(static_keys(value)?),
            INTERNAL_KEY => {
                self.internal_key = Some(settings::secret(INTERNAL_KEY, value, "at least 16 random characters")?);
            }
            MINTS_PER_ADDRESS => {
                self.mints_per_address = Some(settings::value(MINTS_PER_ADDRESS, value, "a number; 0 is no limit")?);
            }
            TRUSTED_PROXIES => self.trusted_proxies = Some(settings::networks(TRUSTED_PROXIES, value)?),
            CREDENTIAL_SECONDS => self.credential_lifetime = Some(seconds(CREDENTIAL_SECONDS, value)?),
            RENEWABLE_SECONDS => self.renewable_for = Some(seconds(RENEWABLE_SECONDS, value)?),
            _ => return Err(ConfigError::unknown(name, NAMES)),
        }
        Ok(())
    }

    fn complete(self) -> Result<Config, ConfigError> {
        let relay = RelayEndpoint {
            url: self.relay_url.ok_or(ConfigError::Missing(RELAY_URL))?,
            static_keys: self.relay_keys.ok_or(ConfigError::Missing(RELAY_STATIC_KEYS))?,
        };
        let defaults = Config::new(
            self.database.unwrap_or_else(|| PathBuf::from("viewport-platform.db")),
            &self.public_url.ok_or(ConfigError::Missing(PUBLIC_URL))?,
            relay,
            self.internal_key.ok_or(ConfigError::Missing(INTERNAL_KEY))?,
        );
        Ok(Config {
            listen: self.listen.unwrap_or(defaults.listen),
            mints_per_address: self.mints_per_address.unwrap_or(defaults.mints_per_address),
            trusted_proxies: self.trusted_proxies.unwrap_or_default(),
            credential_lifetime: self.credential_lifetime.unwrap_or(defaults.credential_lifetime),
            renewable_for: self.renewable_for.unwrap_or(defaults.renewable_for),
            ..defaults
        })
    }
}

fn seconds(name: &'static str, value: &str) -> Result<u64, ConfigError> {
    let expected = "a number of seconds, at least 60";
    settings::value(name, value, expected)
        .and_then(|s| if s >= 60 { Ok(s) } else { Err(ConfigError::Invalid { name, expected }) })
}

fn sqlite_path(value: &str) -> Result<PathBuf, ConfigError> {
    let path = value.trim().strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    match path {
        Some(path) if !path.is_empty() && !path.contains('?') && path != ":memory:" => Ok(PathBuf::from(path)),
        _ => Err(ConfigError::Invalid { name: DATABASE_URL, expected: "sqlite:PATH" }),
    }
}

fn static_keys(value: &str) -> Result<Vec<StaticKey>, ConfigError> {
    let keys: Option<Vec<_>> = value.split(',').map(|key| StaticKey::from_base64url(key.trim())).collect();
    keys.filter(|keys| (1..=2).contains(&keys.len())).ok_or(ConfigError::Invalid {
        name: RELAY_STATIC_KEYS,
        expected: "one key of 32 bytes in base64url, or the current one, a comma, and its successor",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";

    fn env(more: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let needed = [
            ("PLATFORM_PUBLIC_URL", "https://viewport.example/"),
            ("PLATFORM_RELAY_URL", "wss://relay.example/ws"),
            ("PLATFORM_RELAY_STATIC_KEYS", KEY),
            ("RELAY_INTERNAL_KEY", "0123456789abcdef"),
            ("PATH", "/bin"),
        ];
        Config::from_env(needed.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn what_is_needed_is_enough() {
        let config = env(&[]).unwrap();
        assert_eq!(config.public_url, "https://viewport.example");
        assert_eq!(config.relay.static_keys, [StaticKey([1; 32])]);
        assert_eq!((config.listen.port(), config.credential_lifetime), (8787, 3600));
        assert_eq!(Config::from_env([]).unwrap_err(), ConfigError::Missing(RELAY_URL));
    }

    #[test]
    fn everything_can_be_set() {
        let config = env(&[
            ("PLATFORM_LISTEN", "[::]:80"),
            ("PLATFORM_DATABASE_URL", "sqlite:///var/lib/viewport/platform.db"),
            ("PLATFORM_RATE_LIMIT_PER_IP", "0"),
            ("PLATFORM_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
            ("PLATFORM_CREDENTIAL_SECONDS", "60"),
            ("PLATFORM_RENEWABLE_SECONDS", "600"),
        ])
        .unwrap();
        assert_eq!(config.listen, "[::]:80".parse().unwrap());
        assert_eq!(config.database, PathBuf::from("/var/lib/viewport/platform.db"));
        assert_eq!((config.mints_per_address, config.trusted_proxies.len()), (0, 2));
        assert_eq!((config.credential_lifetime, config.renewable_for), (60, 600));
    }

    #[test]
    fn a_misspelt_name_is_refused_with_the_nearest() {
        let error = env(&[("PLATFORM_RELAY_STATIC_KEY", KEY)]).unwrap_err();
        assert_eq!(error.to_string(), "unknown setting PLATFORM_RELAY_STATIC_KEY: did you mean PLATFORM_RELAY_STATIC_KEYS?");
        let error = env(&[("PLATFORM_COFFEE_MACHINE", "on")]).unwrap_err();
        assert_eq!(error.to_string(), "unknown setting PLATFORM_COFFEE_MACHINE");
    }

    #[test]
    fn every_setting_is_documented() {
        let page = include_str!("../../docs/PLATFORM.md");
        for name in NAMES.into_iter().chain([INTERNAL_KEY]) {
            assert!(page.contains(&format!("\n| `{name}` |")), "{name} is not in docs/PLATFORM.md");
        }
    }

    #[test]
    fn bad_values_are_refused_and_secrets_not_shown() {
        for (name, value) in [
            ("PLATFORM_LISTEN", "8787"),
            ("PLATFORM_PUBLIC_URL", "viewport.example"),
            ("PLATFORM_PUBLIC_URL", "https://x/?a=b"),
            ("PLATFORM_DATABASE_URL", "postgres://db"),
            ("PLATFORM_RELAY_URL", "https://relay.example/ws"),
            ("PLATFORM_RELAY_STATIC_KEYS", "AAAA"),
            ("PLATFORM_RATE_LIMIT_PER_IP", "-1"),
            ("PLATFORM_TRUSTED_PROXIES", "10.0.0.0/99"),
            ("PLATFORM_CREDENTIAL_SECONDS", "59"),
            ("RELAY_INTERNAL_KEY", "hunter2"),
        ] {
            let error = env(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name) && !error.contains("hunter2"), "{error}");
        }
    }
}
