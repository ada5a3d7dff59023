//! Drives the machines of `proto-core` and the transducers of `io-engine` on async-std, as far as a client needs it. Nothing in
//! here decides anything.
//!
//! - [`Adapter`] performs a machine's effects and reports what came of them; [`Clock`] tells the time and wakes at deadlines;
//!   [`drive`] is the loop around a machine.
//! - [`connect`] and [`connect_over`] open one WebSocket, a [`ClientSocket`]; [`request`] is one HTTP request. Both are the
//!   engine's, over [`AsyncStd`].

mod adapter;
mod client;
mod clock;
mod files;
mod link;
mod runtime;
mod stream;

pub use adapter::Adapter;
pub use client::{ClientSocket, connect, connect_over, request};
pub use clock::Clock;
pub use io_engine::{DriverLoop, MachineIo, Network, Next, Perform, Timer, drive};
pub use runtime::AsyncStd;
pub use stream::Stream;
