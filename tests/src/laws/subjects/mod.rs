//! One subject per machine of the core: how it starts, and what it may hear.

pub mod admission;
pub mod binding;
pub mod bridge;
pub mod connection;
pub mod consent;
pub mod credential;
pub mod daemon;
mod device;
pub mod handshake;
pub mod hub;
pub mod keyset;
pub mod link;
mod network;
pub mod orgkey;
pub mod pairing;
pub mod pairing_code;
pub mod revocations;
pub mod session;
pub mod spool;
pub mod uplink;
pub mod viewer;
pub mod watcher;
mod world;
