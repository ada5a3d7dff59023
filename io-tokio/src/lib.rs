//! Drives the machines of `proto-core` and the transducers of `io-engine` on tokio. Nothing in here decides anything.
//!
//! - [`Adapter`] performs a machine's effects and reports what came of them; [`Clock`] tells the time and wakes at deadlines;
//!   [`drive`] is the loop around a machine.
//! - [`Socket`] is one WebSocket over any byte stream, for servers after an upgrade ([`accept`]) and for clients ([`connect`],
//!   [`connect_over`]); [`request`] is one HTTP request. Both are the engine's, over [`Tokio`].

mod adapter;
mod client;
mod clock;
mod files;
mod link;
mod reports;
mod runtime;
mod stream;

pub use adapter::Adapter;
pub use client::{ClientSocket, Socket, accept, connect, connect_over, request};
pub use clock::Clock;
pub use io_engine::{DriverLoop, MachineIo, Network, Next, Perform, Timer, drive};
pub use runtime::Tokio;
pub use stream::Stream;
