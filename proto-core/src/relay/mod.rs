//! What runs in a relay.
//!
//! [`connection::Connection`] speaks with one device, [`admission::Admission`] decides whether to admit it, and [`hub::Hub`] routes
//! between the connections of each organization. [`revocations::RevocationFeed`] follows what the platform revokes. Nothing here
//! depends on the machines of [`device`](crate::device) or [`platform`](crate::platform).

pub mod admission;
pub mod connection;
pub mod hub;
pub mod revocations;
