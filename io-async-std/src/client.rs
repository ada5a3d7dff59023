//! Clients: one HTTP request, or one WebSocket, over TCP, TLS or a Unix socket.

use std::time::Duration;

use async_std::{
    future::timeout,
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
};
use io_engine::{Connection, Driven, HttpCall, Roots, WebSocketClient, connect_fault};
use proto_core::{
    Entropy,
    effect::{Closed, Connect, Happening, HttpAnswer, HttpRequest, NetFault},
};

use crate::{ClientSocket, dial, stream::Stream};

/// Sends one HTTP request and gives its whole answer, whatever its status.
///
/// # Errors
/// Why there was no answer; [`NetFault::TimedOut`] when the request's own timeout passed.
pub async fn request(request: &HttpRequest, roots: &Roots) -> Result<HttpAnswer, NetFault> {
    within(request.timeout, async {
        let (target, call) = HttpCall::new(request)?;
        let connection = Connection::to(&target, call, roots)?;
        Driven::new(Stream(dial::dial(&target).await?), connection).next().await
    })
    .await
}

/// [`request`] over a stream that is connected already. The URL's scheme has to be `http`; its host goes into `Host`.
///
/// # Errors
/// As for [`request`].
pub async fn request_over<S: Read + Write + Unpin>(stream: S, request: &HttpRequest) -> Result<HttpAnswer, NetFault> {
    within(request.timeout, async {
        let (target, call) = HttpCall::new(request)?;
        Driven::new(Stream(stream), Connection::to_plain(&target, call)?).next().await
    })
    .await
}

/// [`request`] over the Unix socket at `path`. The URL says `http://localhost/…`.
///
/// # Errors
/// As for [`request`]; [`NetFault::Refused`] when nobody listens there.
pub async fn request_unix(path: &Path, request: &HttpRequest) -> Result<HttpAnswer, NetFault> {
    let stream = UnixStream::connect(path).await.map_err(|error| connect_fault(&error))?;
    request_over(stream, request).await
}

/// Opens a WebSocket, up to the end of the upgrade. The entropy is fresh, for the handshake that follows.
///
/// # Errors
/// Why it did not open; [`NetFault::TimedOut`] when `connect`'s own timeout passed.
pub async fn connect(connect: &Connect, roots: &Roots) -> Result<(ClientSocket<TcpStream>, Entropy), NetFault> {
    within(connect.timeout, async {
        let (target, client) = WebSocketClient::new(connect)?;
        let connection = Connection::to(&target, client, roots)?;
        opened(ClientSocket::over(dial::dial(&target).await?, connection)).await
    })
    .await
}

/// [`connect`] over a stream that is connected already. The URL's scheme has to be `ws`; its host goes into `Host`.
///
/// # Errors
/// As for [`connect`].
pub async fn connect_over<S: Read + Write + Unpin>(stream: S, connect: &Connect) -> Result<(ClientSocket<S>, Entropy), NetFault> {
    within(connect.timeout, async {
        let (target, client) = WebSocketClient::new(connect)?;
        opened(ClientSocket::over(stream, Connection::to_plain(&target, client)?)).await
    })
    .await
}

/// [`connect`] over the Unix socket at `path`. The URL says `ws://localhost/…`.
///
/// # Errors
/// As for [`connect`]; [`NetFault::Refused`] when nobody listens there.
pub async fn connect_unix(path: &Path, connect: &Connect) -> Result<(ClientSocket<UnixStream>, Entropy), NetFault> {
    let stream = UnixStream::connect(path).await.map_err(|error| connect_fault(&error))?;
    connect_over(stream, connect).await
}

async fn opened<S: Read + Write + Unpin>(mut socket: ClientSocket<S>) -> Result<(ClientSocket<S>, Entropy), NetFault> {
    match socket.next().await {
        Happening::Connected((), entropy) => Ok((socket, entropy)),
        Happening::Closed((), Closed::Fault(fault)) => Err(fault),
        _ => Err(NetFault::Broken),
    }
}

async fn within<A>(limit: Duration, work: impl Future<Output = Result<A, NetFault>>) -> Result<A, NetFault> {
    timeout(limit, work).await.unwrap_or(Err(NetFault::TimedOut))
}
