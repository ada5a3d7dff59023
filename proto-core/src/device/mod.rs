//! What runs on a laptop or a viewing device.
//!
//! [`daemon::Daemon`] composes the machines of a laptop, [`watcher::Watcher`] those of a viewing device. Nothing in here
//! knows of the machines of [`relay`](crate::relay) or [`platform`](crate::platform): the wire is all that the two ends share.

pub mod binding;
pub mod bridge;
pub mod clock;
pub mod consent;
pub mod control;
pub mod credential;
pub mod daemon;
pub mod files;
pub mod incarnation;
pub mod link;
pub mod orgkey;
pub mod pairing;
pub mod session;
pub mod spool;
pub mod uplink;
pub mod viewer;
pub mod watcher;
