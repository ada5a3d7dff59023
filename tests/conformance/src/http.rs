//! [`Effect::Http`]: answered exactly once, by an answer or by the right fault.

use std::time::Duration;

use proto_core::{
    UnixTime,
    effect::{Effect, HttpAnswer, HttpRequest, IoEvent, Method, NetFault},
    secret::{SecretBytes, SecretText},
};

use crate::{
    Subject, next,
    peer::{Far, Peer, identity},
    subject,
};

const LIMIT: usize = 200_000;

pub(crate) fn get(url: String) -> HttpRequest {
    HttpRequest { method: Method::Get, url, headers: Vec::new(), body: None, timeout: crate::PATIENCE, max_answer: LIMIT }
}

pub(crate) fn post(url: String, len: usize) -> HttpRequest {
    HttpRequest { method: Method::Post, body: Some(SecretBytes::new(pattern(len))), ..get(url) }
}

pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| at.to_le_bytes()[0]).collect()
}

pub(crate) fn outcome<S: Subject>(subject: &mut S, request: HttpRequest) -> Result<HttpAnswer, NetFault> {
    subject.perform(Effect::Http("request", request));
    match next(subject) {
        IoEvent::Answered("request", answer) => Ok(answer),
        IoEvent::Unanswered("request", fault) => Err(fault),
        other => panic!("{other:?}"),
    }
}

/// What comes of a request that is answered with exactly `pieces`, each written by itself.
pub(crate) fn answered<S: Subject>(pieces: Vec<Vec<u8>>) -> Result<HttpAnswer, NetFault> {
    let peer = Peer::plain(move |mut far| {
        far.request();
        for piece in &pieces {
            far.write(piece);
        }
    });
    let outcome = outcome(&mut subject::<S>(), get(peer.url("http")));
    peer.finish();
    outcome
}

fn body_of<S: Subject>(answer: &[u8]) -> Vec<u8> {
    answered::<S>(vec![answer.to_vec()]).unwrap().body.expose().to_vec()
}

pub(crate) fn echo(mut far: Far) {
    let (_, body) = far.request();
    far.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
    far.write(&body);
}

/// What is asked reaches the server, and status, `Retry-After`, `Date` and body come back.
pub fn plain<S: Subject>() {
    let peer = Peer::plain(|mut far| {
        let (head, body) = far.request();
        assert!(head.starts_with("post /path http/1.1\r\n") && head.contains("authorization: bearer x"), "{head}");
        assert_eq!(body, pattern(10));
        far.write(
            b"HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nno",
        );
    });
    let mut request = post(peer.url("http"), 10);
    request.headers.push(("Authorization", SecretText::new("Bearer x")));
    let answer = outcome(&mut subject::<S>(), request).unwrap();
    assert_eq!((answer.status, answer.retry_after, answer.body.expose()), (429, Some(7), &b"no"[..]));
    assert_eq!(answer.date, Some(UnixTime(784_111_777)));
    peer.finish();
}

/// More than rustls takes before its handshake has ended, in both directions.
pub fn body_of_70_kib<S: Subject>() {
    let (key, network) = identity();
    let peer = Peer::secure(key, echo);
    let answer = outcome(&mut S::start(None, network), post(peer.url("https"), 70 * 1024)).unwrap();
    assert_eq!(answer.body.expose(), pattern(70 * 1024));
    peer.finish();
}

/// Both ways of not knowing the length beforehand (RFC 9112 section 6.3).
pub fn chunked_and_closed<S: Subject>() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n";
    assert_eq!(body_of::<S>(chunked), b"Wikipedia");
    assert_eq!(body_of::<S>(b"HTTP/1.1 200 OK\r\n\r\nWikipedia"), b"Wikipedia");
}

/// A body beyond the limit, announced or not.
pub fn oversized<S: Subject>() {
    let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 200001\r\n\r\n".to_vec();
    assert_eq!(answered::<S>(vec![announced]), Err(NetFault::TooLarge));
    let endless = vec![b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![0; LIMIT + 1]];
    assert_eq!(answered::<S>(endless), Err(NetFault::TooLarge));
}

/// An end before the end.
pub fn truncated<S: Subject>() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel".to_vec();
    assert_eq!(answered::<S>(vec![half]), Err(NetFault::Broken));
    assert_eq!(answered::<S>(vec![]), Err(NetFault::Broken));
}

/// An answer that comes byte by byte is whole in the end.
pub fn slow<S: Subject>() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let bytes = answer.iter().map(|byte| vec![*byte]).collect();
    assert_eq!(answered::<S>(bytes).unwrap().body.expose(), b"hello");
}

/// A server that says nothing, or stops in the middle, costs one timeout, and its connection is closed.
pub fn silent<S: Subject>() {
    for said in ["", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"] {
        let peer = Peer::plain(move |mut far| {
            far.write(said.as_bytes());
            far.read_to_end();
        });
        let request = HttpRequest { timeout: Duration::from_millis(50), ..get(peer.url("http")) };
        let mut subject = subject::<S>();
        assert_eq!(outcome(&mut subject, request), Err(NetFault::TimedOut));
        peer.finish();
    }
}

/// A server of another protocol.
pub fn not_http<S: Subject>() {
    assert_eq!(answered::<S>(vec![b"220 smtp.example ESMTP\r\n".to_vec()]), Err(NetFault::NotUnderstood));
}

/// Nothing listens, the URL is none, or its name cannot be one.
pub fn no_listener<S: Subject>() {
    let mut subject = subject::<S>();
    assert_eq!(outcome(&mut subject, get("http://127.0.0.1:1/".to_owned())), Err(NetFault::Refused));
    assert_eq!(outcome(&mut subject, get("nonsense".to_owned())), Err(NetFault::BadUrl));
    // Longer than a label may be (RFC 1035 section 2.3.4), so no resolver on the network is asked.
    assert_eq!(outcome(&mut subject, get(format!("http://{}.example/", "x".repeat(64)))), Err(NetFault::Dns));
}

/// A server that the network vouch for.
pub fn tls_good<S: Subject>() {
    let (key, network) = identity();
    let peer = Peer::secure(key, echo);
    assert_eq!(outcome(&mut S::start(None, network), post(peer.url("https"), 3)).unwrap().body.expose(), pattern(3));
    peer.finish();
}

/// A server whose certificate another root signed gets nothing.
pub fn tls_unknown_root<S: Subject>() {
    let ((key, _), (_, others)) = (identity(), identity());
    let peer = Peer::secure(key, |mut far| far.read_to_end());
    let url = peer.url("https");
    assert_eq!(outcome(&mut S::start(None, others), post(url, 3)), Err(NetFault::CertificateUntrusted));
    peer.finish();
}

/// A server with a certificate for another name gets nothing.
pub fn tls_wrong_name<S: Subject>() {
    let (key, network) = identity();
    let peer = Peer::secure(key, |mut far| far.read_to_end());
    assert_eq!(outcome(&mut S::start(None, network), post(peer.url_by_address("https"), 3)), Err(NetFault::CertificateName));
    peer.finish();
}
