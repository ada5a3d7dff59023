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

pub mod api;
pub mod crypto;
pub mod device;
pub mod effect;
pub mod id;
pub mod jose;
pub mod key;
pub mod keyset;
pub mod machine;
pub mod noise;
pub mod obstacle;
pub mod orgkey;
pub mod platform;
pub mod reason;
pub mod relay;
pub mod secret;
#[cfg(test)]
mod testing;
pub mod wire;

pub use id::{BindingId, OrgId, PlatformId, SessionId};
pub use machine::{
    Deadline, Machine, Misuse, Status,
    base::MachineBase,
    buffer_pool::BufferPool,
    entropy::{Entropy, EntropyChain, JitterRng},
    outbox::Outbox,
    time::{Instant, UnixTime, WallClock},
    unhashed::Unhashed,
};
pub use obstacle::Obstacle;
pub use reason::Reason;
