//! The adapter: effects in, events out.

mod servers;

use std::time::Duration;

use axum::body::Bytes;
use io_engine::Home;
use io_tokio::{Adapter, Network};
use proto_core::{
    Reason,
    effect::{Close, Closed, Effect, IoEvent, NetFault, StateFile},
    secret::SecretBytes,
};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};

use servers::{Accepted, echo, http, serve, to_the_end, websocket};

type Id = &'static str;

fn adapter() -> Adapter<Id> {
    Adapter::new(None, Network::default())
}

async fn connected(adapter: &mut Adapter<Id>, id: Id) -> (Accepted, mpsc::UnboundedReceiver<Accepted>) {
    let (address, mut sockets) = serve().await;
    adapter.perform(Effect::Connect(id, websocket(format!("ws://{address}/ws"))));
    assert!(matches!(adapter.next().await, IoEvent::Connected(name, _) if name == id));
    (sockets.recv().await.unwrap(), sockets)
}

#[tokio::test]
async fn each_request_is_answered_under_its_name_exactly_once() {
    let (address, _sockets) = serve().await;
    let mut adapter = adapter();
    adapter.perform(Effect::Http("hello", http(format!("http://{address}/hello"), None)));
    adapter.perform(Effect::Http("bad", http("nonsense".to_owned(), None)));
    adapter.perform(Effect::Http("missing", http(format!("http://{address}/missing"), None)));
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(match adapter.next().await {
            IoEvent::Answered(id, answer) => (id, Ok(answer.status)),
            IoEvent::Unanswered(id, fault) => (id, Err(fault)),
            other => panic!("{other:?}"),
        });
    }
    outcomes.sort_by_key(|(id, _)| *id);
    assert_eq!(outcomes, [("bad", Err(NetFault::BadUrl)), ("hello", Ok(200)), ("missing", Ok(404))]);
}

#[tokio::test]
async fn a_websocket_carries_messages_and_its_end() {
    let mut adapter = adapter();
    let (server, _sockets) = connected(&mut adapter, "relay").await;
    let server = tokio::spawn(echo(server));
    let messages: Vec<Bytes> = (0..1000_u32).map(|at| Bytes::from(at.to_be_bytes().to_vec())).collect();
    for message in &messages {
        adapter.perform(Effect::Send("relay", message.clone()));
    }
    let (mut back, mut sent) = (Vec::new(), 0);
    while back.len() < 1000 || sent < 1000 {
        match adapter.next().await {
            IoEvent::Received("relay", message) => back.push(message),
            IoEvent::Sent("relay", count) => sent += count,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((back, sent), (messages, 1000));
    adapter.perform(Effect::Close("relay", Close::Because(Reason::PingTimeout)));
    assert_eq!(adapter.next().await, IoEvent::Closed("relay", Closed::ByUs));
    assert_eq!(server.await.unwrap(), IoEvent::Closed((), Closed::ByPeer(Some(Reason::PingTimeout))));
    adapter.perform(Effect::Send("relay", "too late".into()));
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_closed() {
    let mut adapter = adapter();
    adapter.perform(Effect::Connect("relay", websocket("ws://127.0.0.1:1/ws".to_owned())));
    assert_eq!(adapter.next().await, IoEvent::Closed("relay", Closed::Fault(NetFault::Refused)));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    adapter.perform(Effect::Connect("relay", websocket(format!("ws://{}/ws", silent.local_addr().unwrap()))));
    adapter.perform(Effect::Close("relay", Close::Normal));
    assert_eq!(adapter.next().await, IoEvent::Closed("relay", Closed::ByUs));
}

/// Nothing of an older connection appears under a name that was given away again.
#[tokio::test]
async fn a_name_belongs_to_its_latest_connection() {
    let mut adapter = adapter();
    let (mut old, mut sockets) = connected(&mut adapter, "relay").await;
    old.send("from the old one".into());
    let old = tokio::spawn(to_the_end(old));
    let (address, mut newer) = serve().await;
    adapter.perform(Effect::Connect("relay", websocket(format!("ws://{address}/ws"))));
    assert!(matches!(adapter.next().await, IoEvent::Connected("relay", _)));
    let mut new = newer.recv().await.unwrap();
    new.send("from the new one".into());
    tokio::spawn(to_the_end(new));
    assert_eq!(adapter.next().await, IoEvent::Received("relay", "from the new one".into()));
    old.await.unwrap();
    assert!(sockets.try_recv().is_err());
}

/// SES-3: while the machine does not ask for more, reading stops; and afterwards everything is there, in order.
#[tokio::test(start_paused = true)]
async fn a_machine_that_does_not_keep_up_stops_the_reading() {
    const MESSAGES: u32 = 600;
    let mut adapter = adapter();
    let (mut server, _sockets) = connected(&mut adapter, "relay").await;
    for at in 0..MESSAGES {
        server.send(at.to_be_bytes().repeat(16_384).into());
    }
    let mut sent = 0;
    while let Ok(event) = timeout(Duration::from_mins(1), server.next()).await {
        if let IoEvent::Sent((), count) = event {
            sent += count;
        }
    }
    assert!(sent < MESSAGES, "38 MB went to a machine that does not listen");
    tokio::spawn(to_the_end(server));
    for at in 0..MESSAGES {
        let IoEvent::Received("relay", message) = adapter.next().await else { panic!("no message {at}") };
        assert!(message[..] == at.to_be_bytes().repeat(16_384), "message {at}");
    }
}

/// Effects on one file happen in the order they were asked for, and are durable when they are reported.
#[tokio::test]
async fn files_are_stored_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("home"));
    let mut adapter = Adapter::new(Some(home.clone()), Network::default());
    adapter.perform(Effect::Store("first", StateFile::Config, SecretBytes::new(*b"one")));
    adapter.perform(Effect::Remove("second", StateFile::Config));
    adapter.perform(Effect::Store("third", StateFile::Config, SecretBytes::new(*b"three")));
    for id in ["first", "second", "third"] {
        assert_eq!(adapter.next().await, IoEvent::Stored(id));
    }
    assert_eq!(home.read(&StateFile::Config).unwrap(), Some(SecretBytes::new(*b"three")));
    std::fs::create_dir(home.path_of(&StateFile::Grants)).unwrap();
    adapter.perform(Effect::Store("fourth", StateFile::Grants, SecretBytes::default()));
    assert_eq!(adapter.next().await, IoEvent::NotStored("fourth"));
}

#[tokio::test]
async fn without_a_home_nothing_is_stored() {
    let mut adapter = adapter();
    adapter.perform(Effect::Store("id", StateFile::Config, SecretBytes::default()));
    assert_eq!(adapter.next().await, IoEvent::NotStored("id"));
}

/// Dropping the adapter leaves no socket behind: the other side sees the connection end.
#[tokio::test]
async fn dropping_the_adapter_closes_its_sockets() {
    let mut adapter = adapter();
    let (server, _sockets) = connected(&mut adapter, "relay").await;
    drop(adapter);
    assert_eq!(echo(server).await, IoEvent::Closed((), Closed::Fault(NetFault::Broken)));
}

#[tokio::test]
async fn a_shutdown_stores_the_rest_and_closes_normally() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("home"));
    let mut adapter = Adapter::new(Some(home.clone()), Network::default());
    let (server, _sockets) = connected(&mut adapter, "relay").await;
    let server = tokio::spawn(echo(server));
    for at in 0..20_u8 {
        adapter.perform(Effect::Store("id", StateFile::Config, SecretBytes::new([at])));
    }
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    adapter.perform(Effect::Http("never answered", http(format!("http://{}/", silent.local_addr().unwrap()), None)));
    adapter.shutdown().await;
    assert_eq!(home.read(&StateFile::Config).unwrap(), Some(SecretBytes::new([19])));
    assert_eq!(server.await.unwrap(), IoEvent::Closed((), Closed::ByPeer(None)));
}
