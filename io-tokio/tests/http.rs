//! HTTP requests over real sockets: TCP, TLS.

mod servers;

use std::time::Duration;

use io_tokio::{Network, request};
use proto_core::effect::{HttpRequest, NetFault};
use tokio::net::TcpListener;

use servers::{canned, http, serve, tls_echo};

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| at.to_le_bytes()[0]).collect()
}

#[tokio::test]
async fn a_post_of_70_kilobytes_comes_back() {
    let (address, _) = serve().await;
    let answer = request(&http(format!("http://{address}/echo"), Some(pattern(70_000))), &Network::default()).await.unwrap();
    assert_eq!((answer.status, answer.body.expose()), (200, &pattern(70_000)[..]));
    let answer = request(&http(format!("http://{address}/nowhere"), None), &Network::default()).await.unwrap();
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn chunked_and_closed_answers_arrive_whole() {
    let chunked = canned(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n").await;
    let closed = canned(b"HTTP/1.1 200 OK\r\n\r\nWikipedia").await;
    for address in [chunked, closed] {
        let answer = request(&http(format!("http://{address}/"), None), &Network::default()).await.unwrap();
        assert_eq!(answer.body.expose(), b"Wikipedia");
    }
}

#[tokio::test]
async fn answers_that_are_none_are_faults() {
    let cases = [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"[..], NetFault::Broken),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\nhel", NetFault::TooLarge),
        (b"220 smtp.example ESMTP\r\n", NetFault::NotUnderstood),
        (b"", NetFault::Broken),
    ];
    for (answer, fault) in cases {
        let address = canned(answer).await;
        assert_eq!(request(&http(format!("http://{address}/"), None), &Network::default()).await, Err(fault));
    }
}

#[tokio::test]
async fn a_port_without_a_listener_is_refused() {
    let refused = request(&http("http://127.0.0.1:1/".to_owned(), None), &Network::default()).await;
    assert_eq!(refused, Err(NetFault::Refused));
    assert_eq!(request(&http("no url".to_owned(), None), &Network::default()).await, Err(NetFault::BadUrl));
}

/// PAIR-3: a server that accepts and says nothing costs one request deadline, no more.
#[tokio::test(start_paused = true)]
async fn a_silent_server_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent =
        HttpRequest { timeout: Duration::from_secs(10), ..http(format!("http://{}/", listener.local_addr().unwrap()), None) };
    let start = tokio::time::Instant::now();
    assert_eq!(request(&silent, &Network::default()).await, Err(NetFault::TimedOut));
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_post_of_70_kilobytes_comes_back_over_tls() {
    let (address, network) = tls_echo();
    let url = format!("https://localhost:{}/", address.port());
    for len in [0, 70_000, 1_000_000] {
        let answer = request(&http(url.clone(), Some(pattern(len))), &network).await.unwrap();
        assert_eq!((answer.status, answer.body.expose() == pattern(len)), (200, true));
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_nothing() {
    let (address, network) = tls_echo();
    let (_, others) = tls_echo();
    let unknown_root = http(format!("https://localhost:{}/", address.port()), None);
    assert_eq!(request(&unknown_root, &others).await, Err(NetFault::CertificateUntrusted));
    assert_eq!(request(&unknown_root, &Network::default()).await, Err(NetFault::CertificateUntrusted));
    let wrong_name = http(format!("https://{address}/"), None);
    assert_eq!(request(&wrong_name, &network).await, Err(NetFault::CertificateName));
}
