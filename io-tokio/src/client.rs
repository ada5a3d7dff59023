//! Sockets and requests on tokio, to be waited for directly.

use bytes::Bytes;
use io_engine::{ClientConnection, Network, WebSocket, WebSocketClient};
use proto_core::{
    Entropy,
    effect::{Closed, Connect, HttpAnswer, HttpRequest, NetFault},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{Stream, Tokio};

/// A WebSocket over any of tokio's byte streams.
pub type Socket<S, T = WebSocket> = io_engine::Socket<Tokio, Stream<S>, T>;

/// A client's WebSocket over `S`.
pub type ClientSocket<S> = Socket<S, ClientConnection<WebSocketClient>>;

/// [`io_engine::request`] on tokio.
///
/// # Errors
/// Why there was no answer; [`NetFault::TimedOut`] when the request's own timeout passed.
pub async fn request(request: &HttpRequest, network: &Network) -> Result<HttpAnswer, NetFault> {
    io_engine::request::<Tokio>(request, network).await
}

/// [`io_engine::connect`] on tokio.
///
/// # Errors
/// Why it did not open; [`NetFault::TimedOut`] when `connect`'s own timeout passed.
pub async fn connect(connect: &Connect, network: &Network) -> Result<(ClientSocket<TcpStream>, Entropy), Closed> {
    io_engine::connect::<Tokio>(connect, network).await
}

/// [`connect`] over a stream that is connected already. The URL's scheme has to be `ws`; its host goes into `MachineIo`.
///
/// # Errors
/// As for [`connect`].
pub async fn connect_over<S>(stream: S, connect: &Connect) -> Result<(ClientSocket<S>, Entropy), Closed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    io_engine::connect_over(Stream(stream), connect).await
}

/// The server's end of a stream that was upgraded: see [`io_engine::Socket::accept`].
pub fn accept<S>(stream: S, read_already: Bytes, max_message: usize) -> Socket<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Socket::accept(Stream(stream), read_already, max_message)
}
