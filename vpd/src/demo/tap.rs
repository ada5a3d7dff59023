//! A tap on the line in front of a server: passes everything on and keeps a copy of all that the server received and sent.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use io_engine::{Transducer as _, WebSocket, fresh_entropy};
use proto_core::effect::IoEvent;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// The longest WebSocket message that is put together.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// How much of what came before an upgrade is looked through for its end.
const MAX_HEAD: usize = 16 * 1024;

/// A tapped server.
#[derive(Debug)]
pub(super) struct Tap {
    address: SocketAddr,
    target: watch::Sender<Option<SocketAddr>>,
    seen: Arc<Mutex<Seen>>,
    _connections: JoinSet<()>,
}

/// What went through.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// What the server received: HTTP as it came, WebSocket messages without their masks.
    pub(super) received: Vec<Bytes>,
    /// What the server sent, as it went.
    pub(super) sent: Vec<Bytes>,
    /// How many of those received were WebSocket messages, and their bytes.
    pub(super) messages: usize,
    /// The bytes of those.
    pub(super) message_bytes: usize,
}

impl Tap {
    /// Listens on a port that the system chooses; connections wait until there is a target.
    pub(super) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (target, aim) = watch::channel(None);
        let seen = Arc::default();
        let mut connections = JoinSet::new();
        connections.spawn(accept(listener, aim, Arc::clone(&seen)));
        Ok(Self { address, target, seen, _connections: connections })
    }

    /// Where clients connect to.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on connections lead there; none, nowhere.
    pub(super) fn lead_to(&self, target: Option<SocketAddr>) {
        self.target.send_replace(target);
    }

    /// What went through so far.
    pub(super) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }
}

async fn accept(listener: TcpListener, aim: watch::Receiver<Option<SocketAddr>>, seen: Arc<Mutex<Seen>>) {
    let mut lines = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        lines.spawn(connect(client, aim.clone(), Arc::clone(&seen)));
        while lines.try_join_next().is_some() {}
    }
}

/// One connection. When either side breaks, both do.
async fn connect(client: TcpStream, aim: watch::Receiver<Option<SocketAddr>>, seen: Arc<Mutex<Seen>>) {
    let Some(target) = *aim.borrow() else { return };
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut unmask = Unmask::default();
    let received = |bytes: &[u8]| unmask.take(bytes, &mut lock(&seen));
    let sent = |bytes: &[u8]| lock(&seen).sent.push(Bytes::copy_from_slice(bytes));
    tokio::join!(pass(from_client, to_server, received), pass(from_server, to_client, sent));
}

/// Copies until the end; what is on its way is kept before it is passed on, so that nothing the server got is missing.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut keep: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        keep(&buffer[..n]);
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client masks what it sends over a WebSocket; what the server sees is what is under the mask.
#[derive(Default)]
enum Unmask {
    #[default]
    Begin,
    /// The head of what may become an upgrade.
    Head(Vec<u8>),
    Http,
    Messages(Box<WebSocket>),
}

impl Unmask {
    fn take(&mut self, bytes: &[u8], seen: &mut Seen) {
        match self {
            Self::Begin => {
                *self = Self::Head(Vec::new());
                self.take(bytes, seen);
            }
            Self::Head(head) => {
                head.extend_from_slice(bytes);
                let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else {
                    if head.len() > MAX_HEAD {
                        self.give_up(seen);
                    }
                    return;
                };
                let rest = head.split_off(end + 4);
                let is_upgrade = head.to_ascii_lowercase().windows(18).any(|window| window == b"upgrade: websocket");
                self.give_up(seen);
                if is_upgrade {
                    *self = Self::Messages(Box::new(WebSocket::server(MAX_MESSAGE, fresh_entropy())));
                }
                if !rest.is_empty() {
                    self.take(&rest, seen);
                }
            }
            Self::Http => seen.received.push(Bytes::copy_from_slice(bytes)),
            Self::Messages(socket) => {
                socket.receive(bytes);
                while let Some(event) = socket.poll_event() {
                    if let IoEvent::Received((), message) = event {
                        seen.messages += 1;
                        seen.message_bytes += message.len();
                        seen.received.push(message);
                    }
                }
            }
        }
    }

    /// What came so far is HTTP, and so is what follows.
    fn give_up(&mut self, seen: &mut Seen) {
        if let Self::Head(head) = std::mem::replace(self, Self::Http) {
            seen.received.push(head.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{Router, body::Body, extract::Request, routing::get};
    use hyper_util::rt::TokioIo;
    use io_tokio::{Network, accept};
    use proto_core::effect::Connect;

    use super::*;

    /// Echoes every message of a WebSocket.
    async fn echo_server() -> SocketAddr {
        let upgrade = async |mut request: Request| {
            let response = io_engine::answer_upgrade(&request).unwrap();
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut socket = accept(TokioIo::new(upgrade.await.unwrap()), Bytes::new(), MAX_MESSAGE);
                loop {
                    match socket.next().await {
                        IoEvent::Received((), message) => socket.send(message),
                        IoEvent::Closed(..) => return,
                        _ => {}
                    }
                }
            });
            response.map(|()| Body::empty())
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/ws", get(upgrade));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        address
    }

    /// META-1 for ADM-5: what a server receives in the clear is found, although the client masks it.
    #[tokio::test]
    async fn what_is_sent_under_a_mask_is_seen_without_it() {
        let tap = Tap::open().await.unwrap();
        tap.lead_to(Some(echo_server().await));
        let url = format!("ws://{}/ws", tap.address());
        let connect = Connect { url, timeout: Duration::from_secs(20), max_message: MAX_MESSAGE };
        let (mut socket, _) = io_tokio::connect(&connect, &Network::default()).await.unwrap();
        socket.send(Bytes::from_static(b"a canary sings"));
        while !matches!(socket.next().await, IoEvent::Received(..)) {}
        let seen = tap.seen();
        assert_eq!((seen.messages, seen.message_bytes), (1, 14));
        assert!(seen.received.contains(&Bytes::from_static(b"a canary sings")));
        assert!(seen.received[0].starts_with(b"GET /ws HTTP/1.1\r\n"));
        assert!(seen.sent.concat().windows(14).any(|window| window == b"a canary sings"));
    }
}
