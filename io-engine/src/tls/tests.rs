use std::time::Duration;

use proto_core::{
    effect::{Connect, HttpAnswer, HttpRequest, IoEvent, Method, NetFault},
    secret::SecretBytes,
};

use super::*;
use crate::{Connection, HttpCall, MessageSocket, WebSocketClient, fresh_entropy};

/// Echoes what it gets, for the server's end.
#[derive(Default)]
struct Echo {
    bytes: Vec<u8>,
    done: usize,
    ended: Option<NetFault>,
}

impl Transducer for Echo {
    type Event = NetFault;
    fn receive(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
    fn receive_end(&mut self) {}
    fn fail(&mut self, fault: NetFault) {
        self.ended = Some(fault);
    }
    fn transmit<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        if self.done == self.bytes.len() {
            return 0;
        }
        slices[0] = IoSlice::new(&self.bytes[self.done..]);
        1
    }
    fn transmitted(&mut self, count: usize) {
        self.done += count;
    }
    fn poll_event(&mut self) -> Option<NetFault> {
        self.ended.take()
    }
}

struct Identity {
    root: String,
    key: ServerKey,
}

fn identity(name: &str) -> Identity {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = ServerKey::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    Identity { root: made.cert.pem(), key }
}

/// Carries bytes both ways, `size` at a time, until nothing moves any more.
fn settle(a: &mut impl Transducer, b: &mut impl Transducer, size: usize) {
    while carry(a, b, size) | carry(b, a, size) {}
}

fn carry(from: &mut impl Transducer, to: &mut impl Transducer, size: usize) -> bool {
    let mut slices = [IoSlice::new(&[]); 8];
    let used = from.transmit(&mut slices);
    let bytes: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.iter().copied()).take(size).collect();
    from.transmitted(bytes.len());
    to.receive(&bytes);
    !bytes.is_empty()
}

fn post(url: &str, len: usize) -> HttpRequest {
    HttpRequest {
        method: Method::Post,
        url: url.to_owned(),
        headers: Vec::new(),
        body: Some(SecretBytes::new(vec![b'x'; len])),
        timeout: Duration::from_secs(1),
        max_answer: 1_000_000,
    }
}

fn client(trust: &Trust, request: &HttpRequest) -> Connection<HttpCall> {
    let (target, call) = HttpCall::new(request).unwrap();
    Connection::secure(call, Tls::client(trust, &target.host).unwrap())
}

/// More than the 64 KiB that rustls holds before its handshake has ended get through, and come back.
#[test]
fn a_body_of_a_megabyte_passes_in_both_directions() {
    let identity = identity("localhost");
    let trust = Trust::only(&[&identity.root]).unwrap();
    for size in [100, 4096, usize::MAX] {
        let mut client = client(&trust, &post("https://localhost/", 700_000));
        let mut server = Connection::secure(Echo::default(), Tls::server(&identity.key).unwrap());
        server.protocol().bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 700000\r\n\r\n");
        settle(&mut client, &mut server, size);
        let answer: HttpAnswer = client.poll_event().unwrap().unwrap();
        let (_, body) = String::from_utf8(server.protocol().bytes.clone())
            .unwrap()
            .rsplit_once("\r\n\r\n")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        assert_eq!((answer.status, body.len()), (200, 700_000));
    }
}

/// PIN and TLS are two things: TLS alone refuses an unknown root, and a name that the certificate does not carry.
#[test]
fn unknown_roots_and_wrong_names_are_refused() {
    let (ours, theirs) = (identity("localhost"), identity("localhost"));
    let outcome = |root: &str, url: &str| {
        let mut client = client(&Trust::only(&[root]).unwrap(), &post(url, 10));
        let mut server = Connection::secure(Echo::default(), Tls::server(&ours.key).unwrap());
        settle(&mut client, &mut server, usize::MAX);
        assert_eq!(server.protocol().bytes, b"", "nothing is sent to a server that is not trusted");
        client.poll_event()
    };
    assert_eq!(outcome(&theirs.root, "https://localhost/"), Some(Err(NetFault::CertificateUntrusted)));
    assert_eq!(outcome(&ours.root, "https://other.example/"), Some(Err(NetFault::CertificateName)));
    assert_eq!(outcome(&ours.root, "https://127.0.0.1/"), Some(Err(NetFault::CertificateName)));
}

#[test]
fn a_server_without_tls_is_refused() {
    let identity = identity("localhost");
    let mut client = client(&Trust::only(&[&identity.root]).unwrap(), &post("https://localhost/", 10));
    client.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(client.poll_event(), Some(Err(NetFault::Tls)));
}

/// RFC 8446 section 6.1: an attacker who cuts the connection cannot pass off half an answer as a whole one.
#[test]
fn an_answer_cut_off_without_a_goodbye_is_broken() {
    let identity = identity("localhost");
    let trust = Trust::only(&[&identity.root]).unwrap();
    for goodbye in [false, true] {
        let mut client = client(&trust, &post("https://localhost/", 10));
        let mut server = Connection::secure(Echo::default(), Tls::server(&identity.key).unwrap());
        server.protocol().bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
        settle(&mut client, &mut server, usize::MAX);
        if goodbye {
            server.tls.as_mut().unwrap().session.send_close_notify();
            settle(&mut client, &mut server, usize::MAX);
            assert_eq!(client.poll_event().unwrap().unwrap().status, 200);
        } else {
            client.receive_end();
            assert_eq!(client.poll_event(), Some(Err(NetFault::Broken)));
        }
    }
}

#[test]
fn a_websocket_runs_inside_of_tls() {
    let identity = identity("localhost");
    let trust = Trust::only(&[&identity.root]).unwrap();
    let connect = Connect { url: "wss://localhost/ws".to_owned(), timeout: Duration::from_secs(1), max_message: 9 };
    let (target, socket) = WebSocketClient::new(&connect, &fresh_entropy()).unwrap();
    let mut client = Connection::secure(socket, Tls::client(&trust, &target.host).unwrap());
    let mut server = Connection::secure(Echo::default(), Tls::server(&identity.key).unwrap());
    settle(&mut client, &mut server, usize::MAX);
    assert!(server.protocol().bytes.starts_with(b"GET /ws HTTP/1.1\r\n"));
    assert!(matches!(client.poll_event(), Some(IoEvent::Closed((), _))), "an echo is no answer to an upgrade");
    client.send("nothing".into());
    assert!(!client.is_closing());
}
