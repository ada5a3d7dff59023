//! The platform on a socket.

use std::{net::SocketAddr, time::Duration};

use proto_core::api::{MintAnswer, PAIRING_CODES_PATH};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use crate::support::{Device, World};

/// A platform that listens; dropping the sender stops it.
async fn serving(world: &World) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let platform = world.platform.clone();
    let shutdown = async { drop(stopped.await) };
    (address, stop, tokio::spawn(async move { platform.serve(listener, shutdown).await }))
}

/// Sends one request and reads the answer to its end.
async fn exchange(address: SocketAddr, request: String) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// S164: it answers on a port that was bound before it was opened; asked to stop, it answers held polls and ends.
#[tokio::test]
async fn it_serves_and_stops_without_losing_an_answer() {
    let world = World::empty().await;
    let (address, stop, served) = serving(&world).await;
    let health = exchange(address, "GET /api/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".into()).await;
    assert!(health.starts_with("HTTP/1.1 200 OK"), "{health}");

    let body = serde_json::to_string(&Device::new(1).request()).unwrap();
    let answer = exchange(address, post(PAIRING_CODES_PATH, &body)).await;
    let minted: MintAnswer = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let held = format!(
        "GET {PAIRING_CODES_PATH}/{} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nprefer: wait=25\r\n\r\n",
        minted.code,
        minted.status_token.expose()
    );
    let held = tokio::spawn(exchange(address, held));
    exchange(address, post(PAIRING_CODES_PATH, &body)).await;
    assert!(!held.is_finished());
    drop(stop);
    let answer = timeout(Duration::from_secs(20), held).await.expect("the held poll was left alone").unwrap();
    assert!(answer.ends_with(r#"{"status":"pending"}"#), "{answer}");
    timeout(Duration::from_secs(20), served).await.expect("it does not stop").unwrap().unwrap();
}

/// The limit counts real addresses: everybody on this connection's address is one.
#[tokio::test]
async fn addresses_come_from_the_connection() {
    let world = World::with(|config| config.mints_per_address = 1).await;
    let (address, _stop, _served) = serving(&world).await;
    let body = serde_json::to_string(&Device::new(1).request()).unwrap();
    let forged = |n| post(PAIRING_CODES_PATH, &body).replace("host: x", &format!("host: x\r\nx-forwarded-for: 198.51.100.{n}"));
    assert!(exchange(address, forged(1)).await.starts_with("HTTP/1.1 201"));
    assert!(exchange(address, forged(2)).await.starts_with("HTTP/1.1 429"), "no proxy is trusted");
    Device::new(2).mint(&world).await;
}
