//! Everything that decides in Viewport: pure, deterministic state machines of both ends, and the wire codecs between them.
//!
//! Nothing in here opens a socket, reads a clock, draws a random number or knows a runtime. A caller, the *driver*, hands in
//! facts and time; the machines answer with effects to perform. The same trace gives the same bytes, always, which is why the
//! whole system can be explored, simulated and fuzzed in memory. [`Machine`] is the contract; each machine's page draws its
//! states and shows the driver's loop.

#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::disallowed_types
    )
)]

extern crate alloc;

pub mod admission;
pub mod api;
pub mod aside;
pub mod backoff;
pub mod binding;
pub mod bridge;
pub mod code;
pub mod consent;
pub mod credential;
pub mod crypto;
pub mod daemon;
pub mod effect;
pub mod entropy;
pub mod files;
pub mod handshake;
pub mod hub;
pub mod id;
pub mod jose;
pub mod key;
pub mod keyset;
pub mod link;
pub mod local;
pub mod machine;
pub mod outbox;
pub mod pairing;
pub mod peer;
pub mod reason;
pub mod secret;
pub mod session;
pub mod spares;
#[cfg(test)]
mod testing;
pub mod time;
mod timed;
pub mod uplink;
pub mod viewer;
pub mod wire;

pub use aside::Aside;
pub use entropy::{Entropy, EntropyChain, Jitter};
pub use id::{BindingId, GivenId, OrgId, SessionId};
pub use machine::{Deadline, Machine, Misuse, Status};
pub use outbox::Outbox;
pub use reason::Reason;
pub use spares::Spares;
pub use time::{Instant, UnixTime, WallClock};
