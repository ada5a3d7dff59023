//! What the relay and the platform are both: servers that take their settings from the environment, may stand behind proxies, hold
//! many connections, and end in order when they are asked to.
//!
//! Nothing in here decides anything about a protocol.

pub mod address;
pub mod http;
mod process;
pub mod settings;

pub use process::{raise_file_limit, stop_requested};
pub use settings::ConfigError;
