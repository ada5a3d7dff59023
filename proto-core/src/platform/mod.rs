//! What a platform (the control plane) decides.
//!
//! Nothing in here knows of the machines of [`device`](crate::device) or [`relay`](crate::relay).

pub mod key_ring;
pub mod pairing_code;
pub mod rate;
pub mod rotation;
