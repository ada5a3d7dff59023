//! Drives the machines of `proto-core` and the transducers of `io-engine` on async-std, as far as a client needs it. Nothing in
//! here decides anything.
//!
//! - [`Adapter`] performs a machine's effects and tells what came of them; [`Clock`] tells the time and wakes at deadlines;
//!   [`drive`] is the loop around a machine.
//! - [`connect`], [`connect_over`] and [`connect_unix`] open one WebSocket, a [`ClientSocket`].
//! - [`request`], [`request_over`] and [`request_unix`] are one HTTP request each.

mod adapter;
mod client;
mod clock;
mod dial;
mod files;
mod link;
mod socket;
mod stream;

pub use adapter::Adapter;
pub use client::{connect, connect_over, connect_unix, request, request_over, request_unix};
pub use clock::Clock;
pub use io_engine::{Host, Roots, drive};
pub use socket::ClientSocket;
