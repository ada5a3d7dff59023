//! The relay that a team hosts itself: admits daemons and viewers, keeps the sealed records of sessions, and passes them on.
//! It reads none of them.
//!
//! ```text
//! listener ── upgrade ──► connection ──► hub ──► store       one task per connection: Noise in parallel
//!     │                      ▲  │         │                  one task for the hub: all routing, see proto_core::relay::hub
//!     └ /health /logs …      └──┼─mailbox─┘                  threads for the store: group commit
//!                               └──► keys, platform          the key set is shared, the validate call is not
//! ```
//!
//! [`Relay::bind`] opens everything, [`Relay::serve`] answers until it is told to stop. After that another relay can be bound
//! to the same address and directory, in the same process or another one.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use proto_core::secret::SecretText;
//! use viewport_relay::{Config, Relay};
//!
//! let mut config = Config::new("http://127.0.0.1:8787", SecretText::new("shared with the platform"), "relay-data")?;
//! config.listen = "127.0.0.1:0".parse()?;
//! // The platform announces this key, so it has to be known before anything is served.
//! let key = viewport_relay::static_keys(&config.static_key_file)?.public();
//! let relay = Relay::bind(config).await?;
//! assert_eq!(relay.static_key(), key);
//! println!("ws://{}/ws", relay.local_addr());
//! relay.serve(std::future::pending()).await;
//! # Ok(()) }
//! ```

mod admin;
pub mod config;
mod connection;
mod event_log;
mod files;
mod host;
mod hub;
mod keys;
mod listener;
mod mailbox;
mod relay;
mod revocations;
mod shared;
mod store;
mod tap;

pub use config::{Config, ConfigError};
pub use relay::{Options, Relay, RelayError, static_keys};
pub use store::StoreError;
pub use tap::{Tap, Tapped};
use viewport_server::address;
