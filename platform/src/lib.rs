//! The control plane that a team hosts itself: accounts, organizations, pairing codes, machines, credentials, and the web
//! pages for approvals, revocation and administration.
//!
//! [`Platform::open`] opens the database; [`Platform::serve`] answers on a listener that the caller has bound, so that the
//! public URL can be known before anything else; [`Platform::router`] is the same without a socket. It never sees what a
//! session says, and never a device's private key.
//!
//! ```no_run
//! # async fn example(relay: proto_core::api::RelayEndpoint) -> Result<(), Box<dyn std::error::Error>> {
//! use proto_core::secret::SecretText;
//! use viewport_platform::{Clock, Config, Platform};
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("http://{}", listener.local_addr()?);
//! let config = Config::new("platform.db", &url, relay, SecretText::new("shared with the relay"));
//! let platform = Platform::open(config, Clock::system()).await?;
//! if let Some(page) = platform.setup_url().await? {
//!     println!("Open {page} to create the first account.");
//! }
//! platform.serve(listener, std::future::pending()).await?;
//! # Ok(()) }
//! ```

mod accounts;
mod address;
mod api;
mod app;
mod clock;
mod config;
mod credentials;
mod door;
mod error;
mod health;
mod keys;
mod limit;
mod machines;
mod members;
mod names;
mod news;
mod organization_key;
mod organizations;
mod pages;
mod pairing;
mod password;
mod platform;
mod random;
mod store;

pub use clock::Clock;
pub use config::{Config, ConfigError, DEFAULT_PORT};
pub use error::Error;
pub use platform::{FirstAdmin, Founded, Platform};
pub use store::OpenError;
