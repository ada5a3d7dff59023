//! What the relay has to be told before it starts: the `RELAY_*` environment of the specification (S176-S210).

mod parse;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use proto_core::{api, secret::SecretText, wire::MAX_FRAME_DEFAULT};
pub use viewport_server::ConfigError;

pub use crate::store::Retention;

/// The port it listens on when nothing else is said.
pub const DEFAULT_PORT: u16 = 8788;
/// `RELAY_RATE_LIMIT_PER_IP` when nothing else is said: connections of one address within a minute (S209).
pub const RATE_LIMIT_DEFAULT: u32 = 60;
/// `RELAY_MAX_CONNECTIONS` when nothing else is said.
pub const MAX_CONNECTIONS_DEFAULT: usize = 16_384;
/// `RELAY_RETENTION_AGE` when nothing else is said: 90 days.
pub const RETENTION_AGE_DEFAULT: Duration = Duration::from_hours(90 * 24);
/// `RELAY_RETENTION_ORG_BYTES` when nothing else is said: 16 GiB.
pub const RETENTION_ORG_BYTES_DEFAULT: u64 = 16 * 1024 * 1024 * 1024;
/// How long and how much is kept when nothing else is said.
const RETENTION_DEFAULT: Retention =
    Retention { age: Some(RETENTION_AGE_DEFAULT), org_bytes: Some(RETENTION_ORG_BYTES_DEFAULT), bytes: None };
/// The smallest `RELAY_FRAME_MAX_BYTES`: a record of the largest size in its frame (WIRE section 10).
pub const MAX_FRAME_LEAST: u32 = 65_536;
/// The largest `RELAY_FRAME_MAX_BYTES`: what one connection may make the relay hold.
pub const MAX_FRAME_MOST: u32 = 64 * 1024 * 1024;

/// Settings of a relay. [`Config::new`] has what cannot be guessed, the fields the rest.
#[derive(Clone, Debug)]
pub struct Config {
    /// `RELAY_LISTEN`: where it listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// `RELAY_JWKS_URL`: the platform's key set.
    pub jwks_url: String,
    /// `RELAY_VALIDATE_URL`: the platform's validate endpoint. Given as the platform's base URL, the path is added (S198).
    pub validate_url: String,
    /// Where revocations are asked for: beside the validate endpoint.
    pub revocations_url: String,
    /// `RELAY_TOKEN_ISSUER`: the `iss` of the platform's credentials. By default what stands before the path of the key set.
    pub token_issuer: String,
    /// `RELAY_INTERNAL_KEY`: what the relay proves itself with to the platform.
    pub internal_key: SecretText,
    /// `RELAY_ADMIN_TOKEN`: the bearer of `/logs`, `/state` and `/metrics`; without it they are switched off.
    pub admin_token: Option<SecretText>,
    /// `RELAY_FRAME_MAX_BYTES`: the longest WebSocket message after the handshake.
    pub frame_max: u32,
    /// `RELAY_RATE_LIMIT_PER_IP`: connections of one address within a minute; 0 switches the limit off (S210).
    pub rate_limit_per_ip: u32,
    /// `RELAY_TRUSTED_IPS`: who is exempt from it.
    pub trusted_ips: Vec<IpNet>,
    /// `RELAY_TRUSTED_PROXIES`: whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// `RELAY_MAX_CONNECTIONS`: admitted connections at most.
    pub max_connections: usize,
    /// `RELAY_RETENTION_AGE`, `RELAY_RETENTION_ORG_BYTES`, `RELAY_RETENTION_BYTES`: how long and how much is kept.
    pub retention: Retention,
    /// `RELAY_DATA_DIR`: where records are kept. Made with mode 0700.
    pub data_dir: PathBuf,
    /// `RELAY_STATIC_KEY_FILE`: the relay's private key, 32 bytes in base64url. Made with mode 0600 at the first start.
    pub static_key_file: PathBuf,
}

impl Config {
    /// Settings with their defaults for the relay of the platform at `platform_url`, such as `https://viewport.example`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when that is no web address.
    pub fn new(platform_url: &str, internal_key: SecretText, data_dir: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let base = parse::web_url(VALIDATE_URL, platform_url)?;
        let data_dir = data_dir.into();
        Ok(Self {
            listen: SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)),
            jwks_url: format!("{base}{}", api::JWKS_PATH),
            validate_url: format!("{base}{}", api::VALIDATE_PATH),
            revocations_url: format!("{base}{}", api::REVOCATIONS_PATH),
            token_issuer: base,
            internal_key,
            admin_token: None,
            // 1 MiB.
            frame_max: u32::try_from(MAX_FRAME_DEFAULT).unwrap_or(MAX_FRAME_LEAST),
            rate_limit_per_ip: RATE_LIMIT_DEFAULT,
            trusted_ips: Vec::new(),
            trusted_proxies: Vec::new(),
            max_connections: MAX_CONNECTIONS_DEFAULT,
            retention: RETENTION_DEFAULT,
            static_key_file: data_dir.join("static.key"),
            data_dir,
        })
    }

    /// Settings from the environment, of which `variables` are all names and values. Names that do not start with `RELAY_` are
    /// ignored.
    ///
    /// # Errors
    /// A name is unknown, a value is invalid, or a setting that cannot be guessed is missing.
    pub fn from_env(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut given = Given::default();
        for (name, value) in variables.into_iter().filter(|(name, _)| name.starts_with("RELAY_")) {
            given.take(&name, value.trim())?;
        }
        given.complete()
    }
}

const LISTEN: &str = "RELAY_LISTEN";
const JWKS_URL: &str = "RELAY_JWKS_URL";
const VALIDATE_URL: &str = "RELAY_VALIDATE_URL";
const INTERNAL_KEY: &str = "RELAY_INTERNAL_KEY";
const ADMIN_TOKEN: &str = "RELAY_ADMIN_TOKEN";
const FRAME_MAX_BYTES: &str = "RELAY_FRAME_MAX_BYTES";
const RATE_LIMIT_PER_IP: &str = "RELAY_RATE_LIMIT_PER_IP";
const TRUSTED_IPS: &str = "RELAY_TRUSTED_IPS";
const TRUSTED_PROXIES: &str = "RELAY_TRUSTED_PROXIES";
const MAX_CONNECTIONS: &str = "RELAY_MAX_CONNECTIONS";
const RETENTION_AGE: &str = "RELAY_RETENTION_AGE";
const RETENTION_ORG_BYTES: &str = "RELAY_RETENTION_ORG_BYTES";
const RETENTION_BYTES: &str = "RELAY_RETENTION_BYTES";
const DATA_DIR: &str = "RELAY_DATA_DIR";
const STATIC_KEY_FILE: &str = "RELAY_STATIC_KEY_FILE";
const TOKEN_ISSUER: &str = "RELAY_TOKEN_ISSUER";

/// Every setting, with what it is for: the text of `--help`.
pub const SETTINGS: [(&str, &str); 16] = [
    (JWKS_URL, "the platform's key set, https://…/api/.well-known/jwks.json (required)"),
    (VALIDATE_URL, "the platform, or its endpoint https://…/api/relay/validate (required)"),
    (INTERNAL_KEY, "the same secret as on the platform (required)"),
    (ADMIN_TOKEN, "bearer for /logs, /state and /metrics; without it they are off"),
    (LISTEN, "address and port, 127.0.0.1:8788"),
    (DATA_DIR, "where sealed records are kept, viewport-relay"),
    (RETENTION_AGE, "how long a session is kept after its end, 90d; 0 is no limit"),
    (RETENTION_ORG_BYTES, "bytes kept of one organization, 16GiB; beyond, the oldest ended sessions go; 0 is no limit"),
    (RETENTION_BYTES, "bytes kept in all; beyond, the largest organization is trimmed; no limit"),
    (STATIC_KEY_FILE, "the relay's private key, made at the first start, static.key in the data directory"),
    (FRAME_MAX_BYTES, "the longest message, 1048576"),
    (RATE_LIMIT_PER_IP, "connections of one address in a minute, 60; 0 is no limit"),
    (TRUSTED_IPS, "addresses or networks without that limit"),
    (TRUSTED_PROXIES, "addresses or networks whose X-Forwarded-For is believed"),
    (MAX_CONNECTIONS, "admitted connections at most, 16384"),
    (TOKEN_ISSUER, "the platform's public URL, when the key set is fetched from another one"),
];

#[derive(Default)]
struct Given {
    listen: Option<SocketAddr>,
    jwks_url: Option<String>,
    validate_url: Option<String>,
    internal_key: Option<SecretText>,
    admin_token: Option<SecretText>,
    frame_max: Option<u32>,
    rate_limit_per_ip: Option<u32>,
    trusted_ips: Vec<IpNet>,
    trusted_proxies: Vec<IpNet>,
    max_connections: Option<usize>,
    retention: Option<Retention>,
    data_dir: Option<PathBuf>,
    static_key_file: Option<PathBuf>,
    token_issuer: Option<String>,
}

impl Given {
    fn take(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        match name {
            LISTEN => self.listen = Some(parse::value(LISTEN, value, "an address and a port, such as 0.0.0.0:8788")?),
            JWKS_URL => self.jwks_url = Some(parse::web_url(JWKS_URL, value)?),
            VALIDATE_URL => self.validate_url = Some(parse::web_url(VALIDATE_URL, value)?),
            INTERNAL_KEY => self.internal_key = Some(parse::secret(INTERNAL_KEY, value)?),
            ADMIN_TOKEN => self.admin_token = Some(parse::secret(ADMIN_TOKEN, value)?),
            FRAME_MAX_BYTES => self.frame_max = Some(parse::frame_max(value)?),
            RATE_LIMIT_PER_IP => {
                self.rate_limit_per_ip = Some(parse::value(RATE_LIMIT_PER_IP, value, "a number; 0 is no limit")?);
            }
            TRUSTED_IPS => self.trusted_ips = parse::networks(TRUSTED_IPS, value)?,
            TRUSTED_PROXIES => self.trusted_proxies = parse::networks(TRUSTED_PROXIES, value)?,
            MAX_CONNECTIONS => self.max_connections = Some(parse::max_connections(value)?),
            RETENTION_AGE => self.retention().age = parse::age(RETENTION_AGE, value)?,
            RETENTION_ORG_BYTES => self.retention().org_bytes = parse::bytes(RETENTION_ORG_BYTES, value)?,
            RETENTION_BYTES => self.retention().bytes = parse::bytes(RETENTION_BYTES, value)?,
            DATA_DIR => self.data_dir = Some(parse::path(DATA_DIR, value)?),
            STATIC_KEY_FILE => self.static_key_file = Some(parse::path(STATIC_KEY_FILE, value)?),
            TOKEN_ISSUER => self.token_issuer = Some(parse::web_url(TOKEN_ISSUER, value)?),
            _ => return Err(ConfigError::unknown(name, SETTINGS.into_iter().map(|(known, _)| known))),
        }
        Ok(())
    }

    fn retention(&mut self) -> &mut Retention {
        self.retention.get_or_insert(RETENTION_DEFAULT)
    }

    fn complete(self) -> Result<Config, ConfigError> {
        let jwks_url = self.jwks_url.ok_or(ConfigError::Missing(JWKS_URL))?;
        let platform = parse::platform_of(&self.validate_url.ok_or(ConfigError::Missing(VALIDATE_URL))?)?;
        let internal_key = self.internal_key.ok_or(ConfigError::Missing(INTERNAL_KEY))?;
        let data_dir = self.data_dir.unwrap_or_else(|| PathBuf::from("viewport-relay"));
        let defaults = Config::new(&platform, internal_key, data_dir)?;
        let issuer = self.token_issuer.or_else(|| jwks_url.strip_suffix(api::JWKS_PATH).map(str::to_owned));
        Ok(Config {
            listen: self.listen.unwrap_or(defaults.listen),
            token_issuer: issuer.ok_or(ConfigError::Missing(TOKEN_ISSUER))?,
            jwks_url,
            admin_token: self.admin_token,
            frame_max: self.frame_max.unwrap_or(defaults.frame_max),
            rate_limit_per_ip: self.rate_limit_per_ip.unwrap_or(defaults.rate_limit_per_ip),
            trusted_ips: self.trusted_ips,
            trusted_proxies: self.trusted_proxies,
            max_connections: self.max_connections.unwrap_or(defaults.max_connections),
            static_key_file: self.static_key_file.unwrap_or(defaults.static_key_file),
            retention: self.retention.unwrap_or(defaults.retention),
            ..defaults
        })
    }
}

#[cfg(test)]
mod tests;
