//! Clients: one HTTP request, or one WebSocket, over the sockets of a [`Runtime`].

use proto_core::{
    Entropy,
    effect::{Closed, Connect, HttpAnswer, HttpRequest, IoEvent, NetFault},
};

use crate::{
    ByteStream, ClientConnection, Connection, Driven, Network, Runtime, Socket, WebSocketClient, dial::dial, fresh_entropy,
    runtime::within, tunnel::Tunnel,
};

/// A client's WebSocket over `S`.
pub type ClientSocket<R, S> = Socket<R, S, ClientConnection<WebSocketClient>>;

/// Sends one HTTP request and gives its whole answer, whatever its status.
///
/// # Errors
/// Why there was no answer; [`NetFault::TimedOut`] when the request's own timeout passed.
pub async fn request<R: Runtime>(request: &HttpRequest, network: &Network) -> Result<HttpAnswer, NetFault> {
    within::<R, _, _>(request.timeout, async {
        let (hop, connection) = network.http(request)?;
        Driven::new(dial::<R>(&hop).await?, connection).next().await
    })
    .await
}

/// Opens a WebSocket, up to the end of the upgrade. The entropy is fresh, for the handshake that follows.
///
/// # Errors
/// Why it did not open; [`NetFault::TimedOut`] when `connect`'s own timeout passed.
pub async fn connect<R: Runtime>(connect: &Connect, network: &Network) -> Result<(ClientSocket<R, R::Tcp>, Entropy), Closed> {
    within::<R, _, _>(connect.timeout, async {
        let (hop, connection) = network.websocket(connect, &fresh_entropy())?;
        opened(Socket::over(dial::<R>(&hop).await?, connection)).await
    })
    .await
}

/// [`connect`] over a stream that is connected already and stays on this machine, such as a Unix socket: see
/// [`WebSocketClient::local`]. The URL's scheme has to be `ws`; its host goes into `Host`.
///
/// # Errors
/// As for [`connect`].
pub async fn connect_over<R: Runtime, S: ByteStream>(
    stream: S,
    connect: &Connect,
) -> Result<(ClientSocket<R, S>, Entropy), Closed> {
    within::<R, _, _>(connect.timeout, async {
        let (target, client) = WebSocketClient::local(connect, &fresh_entropy())?;
        let connection = Connection::plain(Tunnel::none(Connection::to_plain(&target, client)?));
        opened(Socket::over(stream, connection)).await
    })
    .await
}

async fn opened<R: Runtime, S: ByteStream>(mut socket: ClientSocket<R, S>) -> Result<(ClientSocket<R, S>, Entropy), Closed> {
    match socket.next().await {
        IoEvent::Connected((), entropy) => Ok((socket, entropy)),
        IoEvent::Closed((), closed) => Err(closed),
        _ => Err(NetFault::Broken.into()),
    }
}
