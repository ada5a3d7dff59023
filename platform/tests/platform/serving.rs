//! The platform on a socket.

use std::{net::SocketAddr, time::Duration};

use proto_core::api::{MintAnswer, PAIRING_CODES_PATH};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{self, timeout},
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

/// The limit counts real addresses: all callers behind this connection's address count as one.
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

/// F5: half a head, half a body and a connection that says nothing more are closed in time, whatever else there is.
#[tokio::test]
async fn what_does_not_come_to_an_end_is_closed() {
    let world = World::empty().await;
    let (address, _stop, _served) = serving(&world).await;
    for half in [
        "",
        "GET /api/health HTTP/1.1\r\nhost: x\r\n",
        "POST /sign-in HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nemail=",
        "GET /style.css HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        let begun = time::Instant::now();
        time::pause();
        let mut answer = Vec::new();
        let closed = timeout(Duration::from_mins(10), stream.read_to_end(&mut answer)).await;
        time::resume();
        assert!(closed.is_ok(), "{half:?} is held for ever");
        assert!(begun.elapsed() <= Duration::from_secs(100), "{half:?} is held for {:?}", begun.elapsed());
    }
}

/// F5: one address cannot take the connections of all: what is beyond its share is closed at once.
#[tokio::test]
async fn an_address_has_its_share_of_connections() {
    let world = World::empty().await;
    let (address, _stop, _served) = serving(&world).await;
    let mut held = Vec::new();
    for _ in 0..256 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    let mut beyond = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    let closed = timeout(Duration::from_secs(10), beyond.read_to_end(&mut answer)).await;
    assert!(closed.is_ok() && answer.is_empty(), "one more than its share");
    drop(held);
    let health = "GET /api/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    timeout(Duration::from_secs(10), async {
        loop {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut answer = String::new();
            let sent = stream.write_all(health.as_bytes()).await;
            if sent.is_ok() && stream.read_to_string(&mut answer).await.is_ok() && answer.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    })
    .await
    .expect("the share comes back");
}

/// F34: a credential does not stay in the database after the code that brought it has expired.
#[tokio::test]
async fn answers_of_expired_codes_are_wiped() {
    let (world, mut ann) = World::with_ann().await;
    let (_address, _stop, _served) = serving(&world).await;
    let approval = Device::new(1).pair(&world, &mut ann, "Acme").await;
    let token = approval.issue_token.expose().as_bytes().to_vec();
    let folder = world.folder.path().join("data");
    let is_there = || {
        let files = folder.read_dir().unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap_or_default());
        files.into_iter().any(|bytes| bytes.windows(token.len()).any(|window| window == token))
    };
    assert!(is_there());
    world.clock.advance(899);
    assert!(is_there(), "the device may still ask for it");
    timeout(Duration::from_secs(20), async {
        while is_there() {
            world.clock.advance(60);
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the credential stays in the database");
}
