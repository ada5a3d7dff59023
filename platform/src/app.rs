//! What every request handler shares.

use std::sync::Arc;

use proto_core::platform::pairing_code::{POLLS_MAX, POLLS_WINDOW};
use subtle::ConstantTimeEq;

use crate::{
    clock::Clock,
    config::Config,
    limit::Limiter,
    news::News,
    password::Passwords,
    store::{OpenError, Store},
};

/// The state behind the router.
pub(crate) type Shared = Arc<App>;

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) news: News,
    pub(crate) passwords: Passwords,
    pub(crate) limits: Limits,
}

/// How often things may be tried.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Codes minted, per address.
    pub(crate) mints: Limiter,
    /// Polls by a code's own device, per code.
    pub(crate) polls: Limiter,
    /// Polls of no code or with another token, per address.
    pub(crate) poll_guesses: Limiter,
    /// Codes typed on the page that do not exist, per account.
    pub(crate) code_guesses: Limiter,
    /// Failed sign-ins, per address and e-mail.
    pub(crate) sign_ins: Limiter,
    /// Sign-ins, per address.
    pub(crate) sign_ins_by_address: Limiter,
}

const MINUTE: u64 = 60;

impl App {
    pub(crate) async fn open(config: Config, clock: Clock) -> Result<Self, OpenError> {
        let store = Store::open(&config.database).await?;
        let limits = Limits {
            mints: Limiter::new(config.mints_per_address, 15 * MINUTE),
            polls: Limiter::new(POLLS_MAX, POLLS_WINDOW),
            poll_guesses: Limiter::new(100, MINUTE),
            code_guesses: Limiter::new(20, 15 * MINUTE),
            sign_ins: Limiter::new(10, 15 * MINUTE),
            sign_ins_by_address: Limiter::new(200, 15 * MINUTE),
        };
        Ok(Self { config, clock, store, news: News::new(), passwords: Passwords::new(), limits })
    }

    /// `path` under the public URL.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.config.public_url)
    }

    /// Whether `key` is the relays' key, in constant time.
    pub(crate) fn is_internal_key(&self, key: &str) -> bool {
        key.as_bytes().ct_eq(self.config.internal_key.expose().as_bytes()).into()
    }
}
