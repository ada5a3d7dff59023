//! Requests and WebSockets by way of a proxy: each goes the way that is set for it, and what the proxy says against it is told.

use std::time::Duration;

use io_engine::Network;
use proto_core::{
    device::files::ProxySettings,
    effect::{Close, Closed, Connect, Effect, HttpAnswer, HttpRequest, IoEvent, NetFault},
    secret::SecretText,
};

use crate::{
    PATIENCE, Subject,
    forward::ForwardProxy,
    http::{echo, get, outcome, pattern, post},
    next,
    peer::{Far, Peer, identity, identity_of},
};

const LIMIT: usize = 300_000;
/// A name that only the proxy knows.
const NAME: &str = "platform.test";

/// `proxy` (`host:port`) for everything but `except`.
fn by(network: Network, proxy: &str, except: &str) -> Network {
    let settings = ProxySettings {
        all: Some(SecretText::new(format!("http://ada:p%40ss@{proxy}"))),
        except: Some(except.to_owned()),
        ..ProxySettings::default()
    };
    network.with_proxies(&settings)
}

fn named(peer: &Peer, scheme: &str) -> String {
    format!("{scheme}://{NAME}:{}/path", peer.address().port())
}

fn connect(url: String) -> Connect {
    Connect { url, timeout: PATIENCE, max_message: LIMIT }
}

/// Both what a request and what a WebSocket come to, by the same way.
fn both<S: Subject>(network: &Network, urls: [String; 2], timeout: Duration) -> [NetFault; 2] {
    let [http, websocket] = urls;
    let mut subject = S::start(None, network.clone());
    let answer = outcome(&mut subject, HttpRequest { timeout, ..get(http) });
    subject.perform(Effect::Connect("relay", Connect { timeout, ..connect(websocket) }));
    let closed = next(&mut subject);
    let IoEvent::Closed("relay", Closed::Fault(fault)) = closed else { panic!("{closed:?}") };
    [answer.expect_err("there is no answer"), fault]
}

/// What comes of both where nothing has to stand behind the proxy.
fn both_anywhere<S: Subject>(network: &Network, timeout: Duration) -> [NetFault; 2] {
    both::<S>(network, [format!("https://{NAME}/"), format!("wss://{NAME}/ws")], timeout)
}

/// An `https` request goes through a tunnel, and only the proxy sees the credentials that are for it.
pub fn request_through_a_tunnel<S: Subject>() {
    let (key, network) = identity_of(NAME);
    let peer = Peer::secure(key, |mut far| {
        let (head, body) = far.request();
        assert!(head.starts_with("post /path http/1.1\r\n") && !head.contains("proxy-"), "{head}");
        far.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
        far.write(&body);
    });
    let proxy = ForwardProxy::open();
    let mut subject = S::start(None, by(network, &proxy.address().to_string(), ""));
    let answer = outcome(&mut subject, post(named(&peer, "https"), 70 * 1024)).unwrap();
    assert_eq!(answer.body.expose(), pattern(70 * 1024));
    peer.finish();
    let seen = proxy.seen();
    let [head] = &seen[..] else { panic!("{seen:?}") };
    assert!(head.starts_with(&format!("CONNECT {NAME}:")), "{head}");
    // ada:p@ss
    assert!(head.contains("\r\nProxy-Authorization: Basic YWRhOnBAc3M=\r\n"), "{head}");
}

/// WebSockets go through tunnels, with TLS inside or without.
pub fn websockets_through_a_tunnel<S: Subject>() {
    let (key, network) = identity_of(NAME);
    let proxy = ForwardProxy::open();
    let talk = |far: Far| assert_eq!(far.upgrade(LIMIT).echo(), IoEvent::Closed((), Closed::ByPeer(None)));
    for (peer, scheme) in [(Peer::secure(key, talk), "wss"), (Peer::plain(talk), "ws")] {
        let mut subject = S::start(None, by(network.clone(), &proxy.address().to_string(), ""));
        subject.perform(Effect::Connect("relay", connect(named(&peer, scheme))));
        assert!(matches!(next(&mut subject), IoEvent::Connected("relay", _)));
        subject.perform(Effect::Send("relay", pattern(LIMIT).into()));
        let (mut sent, mut back) = (false, false);
        while !(sent && back) {
            match next(&mut subject) {
                IoEvent::Sent("relay", 1) => sent = true,
                IoEvent::Received("relay", message) => back = message == pattern(LIMIT),
                other => panic!("{other:?}"),
            }
        }
        subject.perform(Effect::Close("relay", Close::Normal));
        assert_eq!(next(&mut subject), IoEvent::Closed("relay", Closed::ByUs));
        peer.finish();
    }
    assert!(proxy.seen().iter().all(|head| head.starts_with("CONNECT ")), "{:?}", proxy.seen());
}

/// A request for an `http` URL is the proxy's to make (RFC 9112 section 3.2.2); its answer is the answer.
pub fn plain_request<S: Subject>() {
    let peer = Peer::plain(echo);
    let proxy = ForwardProxy::open();
    let mut subject = S::start(None, by(Network::default(), &proxy.address().to_string(), ""));
    let url = named(&peer, "http");
    let answer = outcome(&mut subject, post(url.clone(), 10)).unwrap();
    assert_eq!(answer.body.expose(), pattern(10));
    peer.finish();
    let head = proxy.seen().concat();
    assert!(head.starts_with(&format!("POST {url} HTTP/1.1\r\nproxy-authorization: Basic YWRhOnBAc3M=\r\n")), "{head}");
    proxy.refuse_with(Some("407 Proxy Authentication Required"));
    let refused: HttpAnswer = outcome(&mut subject, get(url)).unwrap();
    assert_eq!(refused.status, 407);
}

/// A proxy that wants TLS itself, and one that nobody vouches for.
pub fn secure_proxy<S: Subject>() {
    let (key, network) = identity();
    let tunnel = |mut far: Far| {
        far.head();
        far.write(b"HTTP/1.1 200 OK\r\n\r\n");
        assert!(matches!(far.upgrade(LIMIT).echo(), IoEvent::Closed(..)));
    };
    let peer = Peer::secure(key.clone(), tunnel);
    let settings = |peer: &Peer| ProxySettings {
        all: Some(SecretText::new(format!("https://localhost:{}", peer.address().port()))),
        ..ProxySettings::default()
    };
    let mut subject = S::start(None, network.with_proxies(&settings(&peer)));
    subject.perform(Effect::Connect("relay", connect(format!("ws://{NAME}/path"))));
    assert!(matches!(next(&mut subject), IoEvent::Connected("relay", _)));
    subject.shutdown();
    peer.finish();
    let peer = Peer::secure(key, |mut far| far.read_to_end());
    let stranger = identity().1.with_proxies(&settings(&peer));
    assert_eq!(outcome(&mut S::start(None, stranger), get(format!("https://{NAME}/"))), Err(NetFault::ProxyTls));
    peer.finish();
}

/// The status of a proxy that opens no tunnel reaches the machine, and is told from a server's.
pub fn refusals<S: Subject>() {
    let proxy = ForwardProxy::open();
    let network = by(Network::default(), &proxy.address().to_string(), "");
    for (line, status) in
        [("407 Proxy Authentication Required", 407), ("403 Forbidden", 403), ("502 Bad Gateway", 502), ("302 StoredState", 302)]
    {
        proxy.refuse_with(Some(line));
        assert_eq!(both_anywhere::<S>(&network, PATIENCE), [NetFault::ProxyStatus(status); 2]);
    }
}

/// A proxy that is not there, has no address, or is no URL.
pub fn away<S: Subject>() {
    let nowhere = by(Network::default(), "127.0.0.1:1", "");
    assert_eq!(both_anywhere::<S>(&nowhere, PATIENCE), [NetFault::ProxyUnreachable; 2]);
    // Longer than a label may be (RFC 1035 section 2.3.4), so no resolver on the network is asked.
    let nameless = by(Network::default(), &format!("{}.example:1", "x".repeat(64)), "");
    assert_eq!(both_anywhere::<S>(&nameless, PATIENCE), [NetFault::ProxyDns; 2]);
    let socks = ProxySettings { all: Some(SecretText::new("socks5://127.0.0.1:1")), ..ProxySettings::default() };
    assert_eq!(both_anywhere::<S>(&Network::default().with_proxies(&socks), PATIENCE), [NetFault::ProxyInvalid; 2]);
}

/// This machine itself, and what `NO_PROXY` names, is reached directly.
pub fn past_the_proxy<S: Subject>() {
    let nowhere = "127.0.0.1:1";
    for url in [Peer::url, Peer::url_by_address] {
        let peer = Peer::plain(echo);
        let mut subject = S::start(None, by(Network::default(), nowhere, ""));
        assert_eq!(outcome(&mut subject, post(url(&peer, "http"), 10)).unwrap().body.expose(), pattern(10));
        peer.finish();
    }
    // Its name does not resolve: that is found out here, and not at the proxy.
    let name = "x".repeat(64);
    let network = by(Network::default(), nowhere, "other.example, .test:80");
    let urls = [format!("http://{name}.test/"), format!("ws://{name}.test/")];
    assert_eq!(both::<S>(&network, urls, PATIENCE), [NetFault::Dns; 2]);
    let urls = [format!("http://{name}.test:81/"), format!("ws://{name}.test:81/")];
    assert_eq!(both::<S>(&network, urls, PATIENCE), [NetFault::ProxyUnreachable; 2], "another port");
}

/// A proxy that answers nonsense, half an answer, an endless one, or none costs a fault each, and at most one timeout.
pub fn nonsense<S: Subject>() {
    let scripts: [(fn(Far), NetFault); 5] = [
        (|mut far| far.write(b"220 smtp.example ESMTP\r\n\r\n"), NetFault::ProxyBroken),
        (
            |mut far| {
                far.head();
                far.write(b"HTTP/1.1 200 OK\r\nVia: ");
            },
            NetFault::ProxyBroken,
        ),
        (
            |mut far| {
                far.pour(b"HTTP/1.1 100 Continue\r\n\r\n");
            },
            NetFault::ProxyBroken,
        ),
        (
            |mut far| {
                far.write(b"HTTP/1.1 200 OK\r\nVia: ");
                far.pour(&[b'x'; 1024]);
            },
            NetFault::ProxyBroken,
        ),
        (|mut far| far.read_to_end(), NetFault::TimedOut),
    ];
    for (script, fault) in scripts {
        let peer = Peer::in_turn(vec![Box::new(script), Box::new(script)]);
        let network = by(Network::default(), &peer.address().to_string(), "");
        let timeout = if fault == NetFault::TimedOut { Duration::from_millis(50) } else { PATIENCE };
        assert_eq!(both_anywhere::<S>(&network, timeout), [fault; 2]);
        peer.finish();
    }
}
