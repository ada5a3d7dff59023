//! Clients: one HTTP request, or one WebSocket, over TCP, TLS or a Unix socket.

use std::{path::Path, time::Duration};

use io_engine::{Connection, HttpCall, Target, Tls, Transducer, WebSocketClient};
use proto_core::{
    Entropy,
    effect::{Closed, Connect, Happening, HttpAnswer, HttpRequest, NetFault},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    time::timeout,
};

use crate::{Roots, Socket, dial, driven::Driven};

/// A client's WebSocket over `S`.
pub type ClientSocket<S> = Socket<S, Connection<WebSocketClient>>;

/// Sends one HTTP request and gives its whole answer, whatever its status.
///
/// # Errors
/// Why there was no answer; [`NetFault::TimedOut`] when the request's own timeout passed.
pub async fn request(request: &HttpRequest, roots: &Roots) -> Result<HttpAnswer, NetFault> {
    within(request.timeout, async {
        let (target, call) = HttpCall::new(request)?;
        let connection = secured(call, &target, roots)?;
        Driven::new(dial::dial(&target).await?, connection).next().await
    })
    .await
}

/// [`request`] over a stream that is connected already. The URL's scheme has to be `http`; its host goes into `Host`.
///
/// # Errors
/// As for [`request`].
pub async fn request_over<S>(stream: S, request: &HttpRequest) -> Result<HttpAnswer, NetFault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    within(request.timeout, async {
        let (target, call) = HttpCall::new(request)?;
        Driven::new(stream, plain(call, &target)?).next().await
    })
    .await
}

/// [`request`] over the Unix socket at `path`. The URL says `http://localhost/…`.
///
/// # Errors
/// As for [`request`]; [`NetFault::Refused`] when nobody listens there.
pub async fn request_unix(path: &Path, request: &HttpRequest) -> Result<HttpAnswer, NetFault> {
    let stream = UnixStream::connect(path).await.map_err(|error| dial::fault_of(&error))?;
    request_over(stream, request).await
}

/// Opens a WebSocket, up to the end of the upgrade. The entropy is fresh, for the handshake that follows.
///
/// # Errors
/// Why it did not open; [`NetFault::TimedOut`] when `connect`'s own timeout passed.
pub async fn connect(connect: &Connect, roots: &Roots) -> Result<(ClientSocket<tokio::net::TcpStream>, Entropy), NetFault> {
    within(connect.timeout, async {
        let (target, client) = WebSocketClient::new(connect)?;
        let connection = secured(client, &target, roots)?;
        opened(Socket::over(dial::dial(&target).await?, connection)).await
    })
    .await
}

/// [`connect`] over a stream that is connected already. The URL's scheme has to be `ws`; its host goes into `Host`.
///
/// # Errors
/// As for [`connect`].
pub async fn connect_over<S>(stream: S, connect: &Connect) -> Result<(ClientSocket<S>, Entropy), NetFault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    within(connect.timeout, async {
        let (target, client) = WebSocketClient::new(connect)?;
        opened(Socket::over(stream, plain(client, &target)?)).await
    })
    .await
}

/// [`connect`] over the Unix socket at `path`. The URL says `ws://localhost/…`.
///
/// # Errors
/// As for [`connect`]; [`NetFault::Refused`] when nobody listens there.
pub async fn connect_unix(path: &Path, connect: &Connect) -> Result<(ClientSocket<UnixStream>, Entropy), NetFault> {
    let stream = UnixStream::connect(path).await.map_err(|error| dial::fault_of(&error))?;
    connect_over(stream, connect).await
}

async fn opened<S>(mut socket: ClientSocket<S>) -> Result<(ClientSocket<S>, Entropy), NetFault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match socket.next().await {
        Happening::Connected((), entropy) => Ok((socket, entropy)),
        Happening::Closed((), Closed::Fault(fault)) => Err(fault),
        _ => Err(NetFault::Broken),
    }
}

async fn within<A>(limit: Duration, work: impl Future<Output = Result<A, NetFault>>) -> Result<A, NetFault> {
    timeout(limit, work).await.unwrap_or(Err(NetFault::TimedOut))
}

fn secured<T: Transducer>(protocol: T, target: &Target, roots: &Roots) -> Result<Connection<T>, NetFault> {
    if !target.tls {
        return Ok(Connection::plain(protocol));
    }
    let trust = roots.trust().map_err(|_| NetFault::Tls)?;
    Ok(Connection::secure(protocol, Tls::client(trust, &target.host)?))
}

fn plain<T: Transducer>(protocol: T, target: &Target) -> Result<Connection<T>, NetFault> {
    if target.tls { Err(NetFault::BadUrl) } else { Ok(Connection::plain(protocol)) }
}
