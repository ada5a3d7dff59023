//! What every adapter needs and no runtime owns: HTTP/1.1, WebSocket and TLS as byte transducers, and the rules of the state
//! files.
//!
//! A [`Transducer`] turns bytes from the network into events, and requests into bytes for the network. It neither opens sockets
//! nor waits: an adapter moves the bytes, on tokio, on async-std, on threads, or in memory. So an adapter holds sockets, timers
//! and tasks, and nothing that would have to be tested twice.
//!
//! ```text
//!  socket ──read──►  receive ─►┌────────────┐─► poll_event   IoEvent, HttpAnswer
//!                              │ Connection │
//!  socket ◄─write── transmit ◄─└────────────┘◄─ send, close
//! ```
//!
//! The driver's loop, the same for each of them:
//!
//! 1. Drain [`Transducer::poll_event`]; a socket is done with its last event.
//! 2. Write what [`Transducer::transmit`] shows, say with [`Transducer::transmitted`] how much the socket took, go to 1.
//! 3. Read, hand it to [`Transducer::receive`] (or [`Transducer::receive_end`], or [`Transducer::fail`]), go to 1.
//!
//! [`Driven`] is that loop over any runtime's [`ByteStream`], and [`drive`] the loop around a machine with any runtime's [`Timer`];
//! [`DriverLoop`] is the same loop without the waiting.
//! Where a runtime has futures, [`request`], [`connect`] and [`Socket`] do the rest over its [`Runtime`].

mod client;
mod clock;
mod connection;
mod date;
mod dial;
mod directories;
mod drive;
mod driven;
mod entropy;
mod files;
mod found;
mod http;
mod links;
mod network;
mod primitives;
mod proxy;
mod roots;
mod runtime;
mod socket;
mod spool;
mod target;
mod tls;
mod transducer;
mod tunnel;
mod websocket;

pub use client::{ClientSocket, connect, connect_over, request};
pub use clock::{ClockStepDetector, SystemClock, wall_clock};
pub use connection::Connection;
pub use directories::{change, look};
pub use drive::{DriverLoop, MachineIo, Next, Perform, Timer, drive};
pub use driven::{ByteStream, Driven};
pub use entropy::{fresh_entropy, fresh_jitter};
pub use files::{FileError, FileJob, Home, HomeLock, write_private};
pub use http::HttpCall;
pub use links::SocketTable;
pub use network::{ClientConnection, Hop, Network, UnusableRoots};
pub use primitives::{AwsLc, aes_in_hardware};
pub use roots::Roots;
pub use runtime::Runtime;
pub use socket::Socket;
pub use target::{Target, connect_fault};
pub use tls::{ServerKey, Tls, TlsSetupError, Trust};
pub use transducer::{MessageSocket, Transducer};
pub use tunnel::Tunnel;
pub use websocket::{LINGER, UpgradeRefused, WebSocket, WebSocketClient, answer_upgrade};
