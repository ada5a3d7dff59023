//! Drives the machines of `proto-core` and the transducers of `io-engine` on tokio. Nothing in here decides anything.
//!
//! - [`Adapter`] performs a machine's effects and tells what came of them; [`Clock`] tells the time and wakes at deadlines;
//!   [`drive`] is the loop around a machine.
//! - [`Socket`] is one WebSocket over any byte stream, for servers after an upgrade and for clients ([`connect_over`]).
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
pub use client::{ClientSocket, connect, connect_over, connect_unix, request, request_over, request_unix};
pub use clock::Clock;
pub use io_engine::{Host, Roots, drive};
pub use socket::Socket;
