//! WebSockets over real sockets and over memory, both ends.

mod servers;

use std::time::Duration;

use axum::body::Bytes;
use io_tokio::{ClientSocket, Network, Socket, accept, connect, connect_over};
use proto_core::{
    Reason,
    effect::{Close, Closed, Connect, IoEvent, NetFault},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    net::{UnixListener, UnixStream},
    time::{Instant, timeout},
};

use servers::{LIMIT, app, echo, serve, to_the_end, websocket};

/// Sends `messages`, and gives what came back in their place and how many were reported as sent.
async fn exchange<S>(client: &mut ClientSocket<S>, messages: &[Bytes]) -> (Vec<Bytes>, usize)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    messages.iter().cloned().for_each(|message| client.send(message));
    let (mut back, mut sent) = (Vec::new(), 0);
    while back.len() < messages.len() || sent < messages.len() {
        match client.next().await {
            IoEvent::Received((), message) => back.push(message),
            IoEvent::Sent((), count) => sent += usize::try_from(count).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    (back, sent)
}

#[tokio::test]
async fn many_small_and_some_large_messages_come_back_in_order() {
    let (address, mut sockets) = serve().await;
    let (mut client, _) = connect(&websocket(format!("ws://{address}/ws")), &Network::default()).await.unwrap();
    let server = tokio::spawn(echo(sockets.recv().await.unwrap()));
    let small: Vec<Bytes> = (0..5000_u32).map(|at| Bytes::from(at.to_le_bytes().repeat(4))).collect();
    assert_eq!(exchange(&mut client, &small).await, (small.clone(), small.len()));
    let large: Vec<Bytes> = [0, 65_536, LIMIT, 1].map(|len| vec![7; len].into()).to_vec();
    assert_eq!(exchange(&mut client, &large).await, (large.clone(), large.len()));
    client.close(Close::Because(Reason::RelayClosed));
    assert_eq!(client.next().await, IoEvent::Closed((), Closed::ByUs));
    assert_eq!(server.await.unwrap(), IoEvent::Closed((), Closed::ByPeer(Some(Reason::RelayClosed))));
}

#[tokio::test]
async fn the_servers_reason_reaches_the_client() {
    let (address, mut sockets) = serve().await;
    let (mut client, _) = connect(&websocket(format!("ws://{address}/ws")), &Network::default()).await.unwrap();
    let mut server = sockets.recv().await.unwrap();
    assert!(matches!(server.next().await, IoEvent::Connected((), _)));
    server.send("before".into());
    server.close(Close::Because(Reason::RateLimited));
    let server = tokio::spawn(async move {
        assert_eq!(server.next().await, IoEvent::Sent((), 1));
        server.next().await
    });
    assert_eq!(client.next().await, IoEvent::Received((), "before".into()));
    assert_eq!(client.next().await, IoEvent::Closed((), Closed::ByPeer(Some(Reason::RateLimited))));
    assert_eq!(server.await.unwrap(), IoEvent::Closed((), Closed::ByUs));
}

#[tokio::test]
async fn an_upgrade_that_is_refused_says_by_which_status() {
    let (address, _sockets) = serve().await;
    for (path, expected) in [("forbidden", 403), ("nowhere", 404), ("hello", 200)] {
        let refused = connect(&websocket(format!("ws://{address}/{path}")), &Network::default()).await.unwrap_err();
        let Closed::Refused(refusal) = refused else { panic!("{path}: {refused:?}") };
        assert_eq!(refusal.status, expected, "{path}");
    }
    let closed_port = websocket("ws://127.0.0.1:1/ws".to_owned());
    assert_eq!(connect(&closed_port, &Network::default()).await.unwrap_err(), Closed::Fault(NetFault::Refused));
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_not_answered_times_out() {
    let (near, _far) = duplex(1024);
    let wanted = Connect { timeout: Duration::from_secs(15), ..websocket("ws://localhost/ws".to_owned()) };
    let start = Instant::now();
    assert_eq!(connect_over(near, &wanted).await.unwrap_err(), Closed::Fault(NetFault::TimedOut));
    assert_eq!(start.elapsed().as_secs(), 15);
}

/// A stream in memory with a WebSocket at both ends.
async fn in_memory(capacity: usize) -> (ClientSocket<DuplexStream>, Socket<DuplexStream>) {
    let (near, mut far) = duplex(capacity);
    let wanted = websocket("ws://localhost/ws".to_owned());
    let answer = async {
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            far.read_buf(&mut seen).await.unwrap();
        }
        let key = String::from_utf8(seen).unwrap().split_once("Sec-WebSocket-Key: ").unwrap().1[..24].to_owned();
        let request = hyper::Request::get("/ws")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", key)
            .header("sec-websocket-protocol", "viewport.v1");
        let answer: hyper::Response<()> = io_engine::answer_upgrade(&request.body(()).unwrap()).unwrap();
        let headers = answer.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let lines: Vec<String> = [String::from("HTTP/1.1 101 Switching Protocols")].into_iter().chain(headers).collect();
        far.write_all((lines.join("\r\n") + "\r\n\r\n").as_bytes()).await.unwrap();
        far
    };
    let (client, far) = tokio::join!(connect_over(near, &wanted), answer);
    let mut server = accept(far, Bytes::new(), LIMIT);
    assert!(matches!(server.next().await, IoEvent::Connected((), _)));
    (client.unwrap().0, server)
}

/// SES-3: a reader that does not keep up stops its sender; nothing is dropped, nothing piles up on the way.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_stops_the_sender() {
    let (mut client, mut server) = in_memory(64 * 1024).await;
    for at in 0..100_u8 {
        server.send(vec![at; 10_000].into());
    }
    let mut sent = 0;
    while let Ok(event) = timeout(Duration::from_mins(1), server.next()).await {
        let IoEvent::Sent((), count) = event else { panic!("{event:?}") };
        sent += count;
    }
    assert!(sent < 10, "{sent} messages of 10 kB went into a pipe of 64 KiB that is not read from");
    tokio::spawn(to_the_end(server));
    for at in 0..100_u8 {
        assert_eq!(client.next().await, IoEvent::Received((), vec![at; 10_000].into()));
    }
}

/// What is cancelled while it waits has lost nothing.
#[tokio::test(start_paused = true)]
async fn waiting_can_be_cancelled() {
    let (mut client, mut server) = in_memory(100).await;
    client.send(vec![1; 1000].into());
    let mut received = None;
    while received.is_none() {
        let _ = timeout(Duration::from_millis(1), client.next()).await;
        received = timeout(Duration::from_millis(1), server.next()).await.ok();
    }
    assert_eq!(received, Some(IoEvent::Received((), vec![1; 1000].into())));
}

/// A peer that does not answer the close frame is not waited for longer than `LINGER`.
#[tokio::test(start_paused = true)]
async fn closing_takes_no_longer_than_it_may() {
    let (client, mut server) = in_memory(64).await;
    let start = Instant::now();
    server.send(vec![0; 10_000].into());
    server.close(Close::Because(Reason::PingTimeout));
    assert_eq!(server.next().await, IoEvent::Closed((), Closed::ByUs));
    assert_eq!(start.elapsed(), io_engine::LINGER);
    assert!(timeout(Duration::from_secs(9), server.next()).await.is_err(), "nothing follows the end");
    drop(client);
}

#[tokio::test]
async fn a_peer_that_vanishes_is_a_broken_connection() {
    let (client, mut server) = in_memory(4096).await;
    drop(client);
    assert_eq!(server.next().await, IoEvent::Closed((), Closed::Fault(NetFault::Broken)));
    let (mut client, server) = in_memory(4096).await;
    drop(server);
    client.send("into the void".into());
    assert_eq!(client.next().await, IoEvent::Closed((), Closed::Fault(NetFault::Broken)));
}

/// The stream is dropped with the last event, even while the socket lives on.
#[tokio::test]
async fn the_end_hangs_up() {
    let (mut client, mut server) = in_memory(4096).await;
    client.close(Close::Normal);
    let (at_client, at_server) = tokio::join!(client.next(), server.next());
    assert_eq!(at_client, IoEvent::Closed((), Closed::ByUs));
    assert_eq!(at_server, IoEvent::Closed((), Closed::ByPeer(None)));
}

/// ADM-1: before a peer is known only little is taken from it.
#[tokio::test]
async fn a_message_beyond_the_limit_ends_the_connection() {
    let (mut client, mut server) = in_memory(4096).await;
    server.set_max_message(100);
    client.send(vec![1; 100].into());
    client.send(vec![2; 101].into());
    let client = tokio::spawn(async move {
        assert_eq!(client.next().await, IoEvent::Sent((), 2));
        assert_eq!(client.next().await, IoEvent::Closed((), Closed::ByPeer(Some(Reason::FrameTooLarge))));
    });
    assert_eq!(server.next().await, IoEvent::Received((), vec![1; 100].into()));
    assert_eq!(server.next().await, IoEvent::Closed((), Closed::Fault(NetFault::TooLarge)));
    client.await.unwrap();
}

#[tokio::test]
async fn a_websocket_runs_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vpd.sock");
    let wanted = websocket("ws://localhost/ws".to_owned());
    let listener = UnixListener::bind(&path).unwrap();
    let (app, mut sockets) = app();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let (mut client, _) = connect_over(UnixStream::connect(&path).await.unwrap(), &wanted).await.unwrap();
    tokio::spawn(echo(sockets.recv().await.unwrap()));
    let messages = [Bytes::from("keystroke")];
    assert_eq!(exchange(&mut client, &messages).await, (messages.to_vec(), 1));
}
