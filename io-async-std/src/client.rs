//! Sockets and requests on async-std, to be waited for directly.

use async_std::{
    io::{Read, Write},
    net::TcpStream,
};
use io_engine::Network;
use proto_core::{
    Entropy,
    effect::{Closed, Connect, HttpAnswer, HttpRequest, NetFault},
};

use crate::{AsyncStd, Stream};

/// A client's WebSocket over `S`.
pub type ClientSocket<S> = io_engine::ClientSocket<AsyncStd, Stream<S>>;

/// [`io_engine::request`] on async-std.
///
/// # Errors
/// Why there was no answer; [`NetFault::TimedOut`] when the request's own timeout passed.
pub async fn request(request: &HttpRequest, network: &Network) -> Result<HttpAnswer, NetFault> {
    io_engine::request::<AsyncStd>(request, network).await
}

/// [`io_engine::connect`] on async-std.
///
/// # Errors
/// Why it did not open; [`NetFault::TimedOut`] when `connect`'s own timeout passed.
pub async fn connect(connect: &Connect, network: &Network) -> Result<(ClientSocket<TcpStream>, Entropy), Closed> {
    io_engine::connect::<AsyncStd>(connect, network).await
}

/// [`connect`] over a stream that is connected already. The URL's scheme has to be `ws`; its host goes into `MachineIo`.
///
/// # Errors
/// As for [`connect`].
pub async fn connect_over<S: Read + Write + Unpin>(stream: S, connect: &Connect) -> Result<(ClientSocket<S>, Entropy), Closed> {
    io_engine::connect_over(Stream(stream), connect).await
}
