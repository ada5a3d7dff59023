//! Small servers on loopback for the tests of this crate.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use io_engine::{Roots, Trust, answer_upgrade};
use io_tokio::{Network, Socket, accept};
use proto_core::{
    effect::{Connect, HttpRequest, IoEvent, Method},
    secret::SecretBytes,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

pub const LIMIT: usize = 2_000_000;

pub type Accepted = Socket<TokioIo<Upgraded>>;

pub fn http(url: String, body: Option<Vec<u8>>) -> HttpRequest {
    HttpRequest {
        method: if body.is_some() { Method::Post } else { Method::Get },
        url,
        headers: Vec::new(),
        body: body.map(SecretBytes::new),
        timeout: Duration::from_mins(1),
        max_answer: LIMIT,
    }
}

pub fn websocket(url: String) -> Connect {
    Connect { url, timeout: Duration::from_mins(1), max_message: LIMIT }
}

/// `/echo` gives back what was posted, `/hello` greets, `/ws` upgrades and hands the socket to the test, `/forbidden` does not.
pub fn app() -> (Router, mpsc::UnboundedReceiver<Accepted>) {
    let (accepted, sockets) = mpsc::unbounded_channel();
    let app = Router::new()
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/hello", get(|| async { "hello" }))
        .route("/forbidden", get(|| async { StatusCode::FORBIDDEN }))
        .route("/ws", get(async move |request: Request| upgrade(request, accepted)))
        .layer(axum::extract::DefaultBodyLimit::disable());
    (app, sockets)
}

fn upgrade(request: Request, accepted: mpsc::UnboundedSender<Accepted>) -> Response {
    match answer_upgrade::<_, Body>(&request) {
        Ok(answer) => {
            tokio::spawn(async move {
                let stream = hyper::upgrade::on(request).await.unwrap();
                let _ = accepted.send(accept(TokioIo::new(stream), Bytes::new(), LIMIT));
            });
            answer
        }
        Err(refused) => (StatusCode::BAD_REQUEST, refused.to_string()).into_response(),
    }
}

/// Serves [`app`] on a free port.
pub async fn serve() -> (SocketAddr, mpsc::UnboundedReceiver<Accepted>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (app, sockets) = app();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, sockets)
}

/// Sends back what arrives until the other side closes; gives what it saw last.
pub async fn echo(mut socket: Accepted) -> IoEvent<()> {
    loop {
        match socket.next().await {
            IoEvent::Received((), message) => socket.send(message),
            closed @ IoEvent::Closed(..) => return closed,
            _ => {}
        }
    }
}

/// Lets the socket work until it is closed.
pub async fn to_the_end<S: AsyncRead + AsyncWrite + Unpin>(mut socket: Socket<S>) {
    while !matches!(socket.next().await, IoEvent::Closed(..)) {}
}

/// Answers the first connection with exactly `answer`, once its request's headers are there, and hangs up.
pub async fn canned(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut seen).await.unwrap();
        }
        stream.write_all(answer).await.unwrap();
    });
    address
}

/// An HTTPS server for `localhost` that echoes one request body, and the roots that trust it.
pub fn tls_echo() -> (SocketAddr, Network) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || echo_over_tls(&listener, &Arc::new(config)));
    (address, Roots::only(Trust::only(&[made.cert.pem()]).unwrap()).into())
}

fn echo_over_tls(listener: &std::net::TcpListener, config: &Arc<rustls::ServerConfig>) {
    use std::io::{BufRead, BufReader, Read, Write};
    for stream in listener.incoming() {
        let session = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
        let mut stream = BufReader::new(rustls::StreamOwned::new(session, stream.unwrap()));
        let (mut line, mut length) = (String::new(), 0);
        // A client that does not trust the certificate hangs up here.
        while stream.read_line(&mut line).is_ok_and(|read| read > 0) && !line.trim().is_empty() {
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).is_ok() {
            let _ = write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            let _ = stream.get_mut().write_all(&body);
        }
    }
}
