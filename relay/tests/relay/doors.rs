//! Limits on connections: what unknown clients can do to admitted devices, and what a revocation reaches.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use proto_core::{Reason, effect::Connect};
use rustix::process::{Resource, getrlimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use viewport_relay::Options;

use crate::Site;

/// Far less than the relay waits for the head of a request.
const SOON: Duration = Duration::from_secs(5);

/// A relay with limits, which loopback is not exempt from.
async fn limited() -> Site {
    Site::open_with(|config| config.rate_limit_per_ip = 1_000_000, Options::default()).await
}

/// A connection from another address than the devices of these tests have.
async fn from_elsewhere(host: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
    socket.connect(to).await.unwrap()
}

/// What comes on a socket until it is closed; `None` when it stays open.
async fn answer(stream: &mut TcpStream, patience: Duration) -> Option<String> {
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = timeout(patience, stream.read_to_end(&mut answer)).await.ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// F5: connections that say nothing keep only their own address out, however many they are.
#[tokio::test]
async fn silent_sockets_of_one_address_delay_no_other_address() {
    let site = limited().await;
    let mut silent = Vec::new();
    for _ in 0..1_100 {
        silent.push(from_elsewhere(2, site.address).await);
    }
    let device = site.daemon("org", "target");
    let online = timeout(SOON, device.connect(site.address, site.key)).await.expect("it has to wait").unwrap();
    let last = silent.last_mut().unwrap();
    assert_eq!(answer(last, SOON).await.as_deref(), Some(""), "the address has its share already");
    online.leave().await;
    assert!(site.admin("/logs").await.contains("refused reason=rate_limited stage=accept"));
}

/// F5: and connections of many addresses make room, the oldest of the busiest first.
#[tokio::test]
async fn silent_sockets_of_many_addresses_make_room() {
    let site = limited().await;
    let mut silent = Vec::new();
    for host in 2..22 {
        for _ in 0..60 {
            silent.push(from_elsewhere(host, site.address).await);
        }
    }
    let device = site.daemon("org", "target");
    timeout(SOON, device.connect(site.address, site.key)).await.expect("it has to wait").unwrap().leave().await;
}

/// F30: upgrades that never shake hands take no place of those that do.
#[tokio::test]
async fn silent_upgrades_take_no_place_of_devices() {
    let site = Site::open_with(
        |config| {
            config.rate_limit_per_ip = 1_000_000;
            config.max_connections = 2;
        },
        Options::default(),
    )
    .await;
    let connect = Connect { url: format!("ws://{}/ws", site.address), timeout: SOON, max_message: 1 << 20 };
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(io_tokio::connect(&connect, &io_tokio::Network::default()).await.unwrap());
    }
    let first = site.daemon("org", "first").connect(site.address, site.key).await.unwrap();
    let second = site.daemon("org", "second").connect(site.address, site.key).await.unwrap();
    assert!(io_tokio::connect(&connect, &io_tokio::Network::default()).await.is_err(), "as many as there may be");
    second.leave().await;
    first.leave().await;
}

/// F34, RFC 9112 section 3.2.
#[tokio::test]
async fn a_request_without_one_host_is_a_bad_one() {
    let site = limited().await;
    for (hosts, expected) in [("", "400"), ("Host: a\r\nHost: a\r\n", "400"), ("Host: a\r\n", "200")] {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(format!("GET /health HTTP/1.1\r\n{hosts}\r\n").as_bytes()).await.unwrap();
        let answer = answer(&mut stream, SOON).await.expect("no answer");
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{hosts:?}: {answer}");
    }
}

/// F20: what was revoked before the feed was first read is not in it; the link is validated again and cut.
#[tokio::test]
async fn a_revocation_before_the_feed_is_heard_is_not_missed() {
    let mut site = limited().await;
    site.stop().await;
    site.platform.feeds.store(false, Ordering::SeqCst);
    site.start().await;
    let mut daemon = site.daemon("org", "target").connect(site.address, site.key).await.unwrap();
    site.platform.refuses("machine_revoked");
    site.platform.revokes("target");
    site.platform.feeds.store(true, Ordering::SeqCst);
    let (_, reason) = daemon.hear_the_end().await;
    assert_eq!(reason, Some(Reason::MachineRevoked));
}

/// F5: a relay serves as many connections as the system allows, not as many as a shell's default does.
#[tokio::test]
async fn the_limit_of_open_files_is_raised() {
    let _site = limited().await;
    let limit = getrlimit(Resource::Nofile);
    assert_eq!(limit.current, limit.maximum);
}
