//! What every request handler shares.

use std::sync::Arc;

use proto_core::platform::{
    pairing_code::{MAX_POLLS, POLLS_WINDOW},
    rate::Growth,
};
use subtle::ConstantTimeEq;

use crate::{
    clock::Clock,
    config::Config,
    health::Health,
    limit::{GrowingDelay, Limiter},
    news::LongPolls,
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
    pub(crate) news: LongPolls,
    pub(crate) passwords: Passwords,
    pub(crate) limits: Limits,
    pub(crate) health: Health,
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
    /// Failed sign-ins, per address, or per browser in which the account signed in before: they put off the next try.
    pub(crate) sign_ins: GrowingDelay,
    /// Failed sign-ins, per account: they slow tries down, and refuse none.
    pub(crate) sign_ins_by_account: GrowingDelay,
    /// Wrong current passwords where one is changed, per account.
    pub(crate) password_changes: Limiter,
    /// Tries to set the server up, per address.
    pub(crate) set_ups: Limiter,
}

const MINUTE: u64 = 60;

impl App {
    pub(crate) async fn open(config: Config, clock: Clock) -> Result<Self, OpenError> {
        let store = Store::open(&config.database).await?;
        let limits = Limits {
            mints: Limiter::new(config.mints_per_address, 15 * MINUTE),
            polls: Limiter::new(MAX_POLLS, POLLS_WINDOW),
            poll_guesses: Limiter::new(100, MINUTE),
            code_guesses: Limiter::new(20, 15 * MINUTE),
            sign_ins: GrowingDelay::new(Growth { free: 10, first: 2, most: 15 * MINUTE, forgotten_after: 60 * MINUTE }),
            sign_ins_by_account: GrowingDelay::new(Growth { free: 10, first: 1, most: 16, forgotten_after: 15 * MINUTE }),
            password_changes: Limiter::new(10, 15 * MINUTE),
            set_ups: Limiter::new(20, 15 * MINUTE),
        };
        Ok(Self { config, clock, store, news: LongPolls::new(), passwords: Passwords::new(), limits, health: Health::default() })
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
