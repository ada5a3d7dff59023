//! What `io-engine` makes of bytes from the network: HTTP answers, WebSocket upgrades and frames, proxies' tunnels.
//!
//! A stream has no borders, so the oracle for each is that the cuts do not matter: the same bytes all at once, one by one, and
//! cut as the fuzzer likes lead to the same events. What the events say is compared with what was put on the wire.

use std::io::IoSlice;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use io_engine::{HttpCall, MessageSocket, Network, Transducer, WebSocket, WebSocketClient, answer_upgrade};
use proto_core::{
    Entropy,
    device::files::ProxySettings,
    effect::{Closed, Connect, HttpRequest, IoEvent, Method, NetFault},
    secret::{SecretBytes, SecretText},
};

/// The longest message of a WebSocket in here.
const MAX_MESSAGE: usize = 512;
/// The longest answer body in here.
const MAX_ANSWER: usize = 1024;
/// No stream of a target is longer.
const MAX_STREAM: usize = 16_384;

/// How the stream ends.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum End {
    HungUp,
    TimedOut,
}

/// Runs a stream through a transducer, cut into reads of these sizes, then whatever is left; zero stands for one byte.
fn run<T: Transducer>(mut transducer: T, stream: &[u8], cuts: &[u8], end: End) -> Vec<T::Event> {
    let mut events = Vec::new();
    pump(&mut transducer, &mut events);
    let mut rest = stream;
    for cut in cuts {
        let (read, later) = rest.split_at(usize::from(*cut).clamp(1, rest.len().max(1)).min(rest.len()));
        transducer.receive(read);
        pump(&mut transducer, &mut events);
        rest = later;
    }
    transducer.receive(rest);
    pump(&mut transducer, &mut events);
    match end {
        End::HungUp => transducer.receive_end(),
        End::TimedOut => transducer.fail(NetFault::TimedOut),
    }
    pump(&mut transducer, &mut events);
    events
}

/// Takes what comes out, and lets everything that waits to be written be written.
fn pump<T: Transducer>(transducer: &mut T, events: &mut Vec<T::Event>) {
    loop {
        events.extend(core::iter::from_fn(|| transducer.poll_event()));
        let mut slices = [IoSlice::new(&[]); 4];
        let used = transducer.transmit(&mut slices);
        let count = slices[..used].iter().map(|slice| slice.len()).sum();
        if count == 0 {
            return;
        }
        transducer.transmitted(count);
    }
}

/// The events of one stream, which must not depend on its cuts.
fn whatever_the_cuts<T: Transducer<Event: PartialEq + std::fmt::Debug>>(
    make: impl Fn() -> T,
    stream: impl Fn(&mut T) -> Vec<u8>,
    cuts: &[u8],
    end: End,
) -> Vec<T::Event> {
    let run_with = |cuts: &[u8]| {
        let mut transducer = make();
        let stream = stream(&mut transducer);
        run(transducer, &stream, cuts, end)
    };
    let whole = run_with(&[]);
    assert_eq!(run_with(cuts), whole, "cut as {cuts:?}, and at once");
    assert_eq!(run_with(&[1; MAX_STREAM]), whole, "byte by byte, and at once");
    whole
}

/// An answer to a request: its events do not depend on the cuts, there is one of them, and no body is longer than asked for.
pub fn http(data: &[u8]) {
    let Ok((is_post, end, cuts, stream)) = <(bool, End, Vec<u8>, &[u8])>::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let request = HttpRequest {
        method: if is_post { Method::Post } else { Method::Get },
        url: "http://api.example/path".into(),
        headers: Vec::new(),
        body: is_post.then(|| SecretBytes::new("{}")),
        timeout: core::time::Duration::from_secs(1),
        max_answer: MAX_ANSWER,
    };
    let stream = &stream[..stream.len().min(MAX_STREAM)];
    let make = || HttpCall::new(&request).expect("a good request").1;
    let events = whatever_the_cuts(make, |_| stream.to_vec(), &cuts, end);
    let [outcome] = &events[..] else { panic!("one request, and {} events", events.len()) };
    if let Ok(answer) = outcome {
        assert!(answer.body.expose().len() <= MAX_ANSWER, "more than was asked for");
        assert!(stream.starts_with(b"HTTP/1."), "an answer that was not sent");
        assert!((100..1000).contains(&answer.status) && answer.status != 101);
    }
}

/// A frame on the wire, right or wrong in every place where it can be wrong.
#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Frame {
        head: u8,
        is_masked: bool,
        key: [u8; 4],
        /// Use a longer length field than needed.
        is_long: bool,
        payload: &'a [u8],
    },
    /// A message that is as it should be, in so many frames, with pings between them.
    Message {
        frames: u8,
        pings: bool,
        key: [u8; 4],
        payload: &'a [u8],
    },
    Raw(&'a [u8]),
}

/// Which end reads.
#[derive(Clone, Copy, PartialEq)]
enum Reader {
    Server,
    Client,
}

fn frame(out: &mut Vec<u8>, head: u8, key: Option<[u8; 4]>, is_long: bool, payload: &[u8]) {
    out.push(head);
    let mask = if key.is_some() { 0x80 } else { 0 };
    match u8::try_from(payload.len()) {
        Ok(short @ ..=125) if !is_long => out.push(mask | short),
        _ => {
            out.push(mask | 0x7e);
            out.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend(key.iter().flatten());
    let key = key.unwrap_or_default();
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// The stream, and the messages that must come out if nothing else is in it.
fn stream_of(pieces: &[Piece<'_>], reader: Reader) -> (Vec<u8>, Option<Vec<Bytes>>) {
    let (mut stream, mut messages) = (Vec::new(), Some(Vec::new()));
    for piece in pieces {
        match piece {
            Piece::Frame { head, is_masked, key, is_long, payload } => {
                frame(&mut stream, *head, is_masked.then_some(*key), *is_long, payload);
                messages = None;
            }
            Piece::Message { frames, pings, key, payload } => {
                let payload = &payload[..payload.len().min(MAX_MESSAGE)];
                let key = (reader == Reader::Server).then_some(*key);
                let parts: Vec<_> = payload.chunks(payload.len().div_ceil(usize::from(frames % 4) + 1).max(1)).collect();
                let parts = if parts.is_empty() { vec![&[][..]] } else { parts };
                for (at, part) in parts.iter().enumerate() {
                    let opcode = if at == 0 { 2 } else { 0 };
                    let fin = if at + 1 == parts.len() { 0x80 } else { 0 };
                    frame(&mut stream, fin | opcode, key, false, part);
                    if *pings {
                        frame(&mut stream, 0x89, key, false, b"ping");
                    }
                }
                if let Some(messages) = &mut messages {
                    messages.push(Bytes::copy_from_slice(payload));
                }
            }
            Piece::Raw(bytes) => {
                stream.extend_from_slice(bytes);
                messages = None;
            }
        }
        if stream.len() > MAX_STREAM {
            break;
        }
    }
    (stream, messages)
}

/// What of an event can be compared: entropy cannot be predicted.
#[derive(Debug, PartialEq)]
enum Seen {
    Connected,
    Received(Bytes),
    Closed(Closed),
}

/// A WebSocket whose events can be compared.
struct Comparable<T>(T);

impl<T: MessageSocket> Transducer for Comparable<T> {
    type Event = Seen;

    fn receive(&mut self, bytes: &[u8]) {
        self.0.receive(bytes);
    }

    fn receive_end(&mut self) {
        self.0.receive_end();
    }

    fn fail(&mut self, fault: NetFault) {
        self.0.fail(fault);
    }

    fn transmit<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        self.0.transmit(slices)
    }

    fn transmitted(&mut self, count: usize) {
        self.0.transmitted(count);
    }

    fn poll_event(&mut self) -> Option<Seen> {
        self.0.poll_event().map(|event| match event {
            IoEvent::Connected((), _) => Seen::Connected,
            IoEvent::Received((), message) => Seen::Received(message),
            IoEvent::Closed((), closed) => Seen::Closed(closed),
            other => panic!("unexpected: {other:?}"),
        })
    }
}

/// The rules of `MessageSocket`, and the messages that were sent.
fn check_events(events: &[Seen], sent: Option<Vec<Bytes>>) {
    let Some(([Seen::Connected, between @ ..], Seen::Closed(_))) = events.split_last().map(|(last, rest)| (rest, last)) else {
        panic!("not opened once and closed once: {events:?}");
    };
    let received: Vec<_> = between
        .iter()
        .map(|event| match event {
            Seen::Received(message) => message.clone(),
            other => panic!("{other:?} in the middle"),
        })
        .collect();
    assert!(received.iter().all(|message| message.len() <= MAX_MESSAGE), "longer than agreed");
    if let Some(sent) = sent {
        assert_eq!(received, sent, "other messages than were sent");
    }
}

/// What a relay reads after the upgrade.
pub fn websocket_server(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok((end, cuts, pieces)) = data.arbitrary::<(End, Vec<u8>, Vec<Piece<'_>>)>() else { return };
    let (stream, sent) = stream_of(&pieces, Reader::Server);
    let make = || Comparable(WebSocket::server(MAX_MESSAGE, Entropy::new([1; 32])));
    let events = whatever_the_cuts(make, |_| stream.clone(), &cuts, end);
    check_events(&events, sent);
}

/// What may be wrong with the answer to an upgrade.
#[derive(Arbitrary, Clone, Debug)]
enum Upgrade<'a> {
    Good,
    Without { line: u8 },
    Changed { at: u16, mask: u8 },
    AnotherKey,
    Raw(&'a [u8]),
}

/// What a device reads from its first byte on: the answer to its upgrade, and what follows it. It is connected by an answer to
/// the very key that it sent and by no other.
pub fn websocket_client(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok((end, cuts, upgrade, pieces)) = data.arbitrary::<(End, Vec<u8>, Upgrade<'_>, Vec<Piece<'_>>)>() else { return };
    let (frames, sent) = stream_of(&pieces, Reader::Client);
    let connect =
        Connect { url: "ws://relay.example/ws".into(), timeout: core::time::Duration::from_secs(1), max_message: MAX_MESSAGE };
    let drawn = |seed| Comparable(WebSocketClient::new(&connect, &Entropy::new([seed; 32])).expect("a good URL").1);
    let make = || drawn(1);
    let stream = |socket: &mut Comparable<WebSocketClient>| {
        let good = good_answer(&request_of(&mut socket.0));
        let answer = match &upgrade {
            Upgrade::Good => good,
            Upgrade::Without { line } => without(&good, (*line).into()),
            Upgrade::Changed { at, mask } => changed(&good, *at, *mask),
            Upgrade::AnotherKey => good_answer(&request_of(&mut drawn(2).0)),
            Upgrade::Raw(bytes) => bytes.to_vec(),
        };
        [answer, frames.clone()].concat()
    };
    let events = whatever_the_cuts(make, stream, &cuts, end);
    match (&upgrade, &events[..]) {
        (Upgrade::Good, events) => check_events(events, sent),
        (Upgrade::AnotherKey | Upgrade::Raw(_), [Seen::Connected, ..]) => panic!("connected by an answer to another key"),
        (_, [Seen::Closed(_)]) => {}
        (_, events) => check_events(events, None),
    }
}

/// What a device reads from the first byte of a proxy's answer on. An answer that is none that opens a tunnel ends it at once;
/// through an open one it is as if there were no proxy.
pub fn tunnel(data: &[u8]) {
    let Ok((opens, end, cuts, stream)) = <(bool, End, Vec<u8>, &[u8])>::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let stream = &stream[..stream.len().min(MAX_STREAM)];
    let connect =
        Connect { url: "ws://relay.example/ws".into(), timeout: core::time::Duration::from_secs(1), max_message: MAX_MESSAGE };
    let (entropy, proxy) = (Entropy::new([1; 32]), SecretText::new("http://proxy.example:3128"));
    let network = Network::default().with_proxies(&ProxySettings { all: Some(proxy), ..ProxySettings::default() });
    let direct = || Comparable(WebSocketClient::new(&connect, &entropy).expect("a good URL").1);
    let by_proxy = || Comparable(network.websocket(&connect, &entropy).expect("a good URL").1);
    if opens {
        let server = [good_answer(&request_of(&mut direct().0)), stream.to_vec()].concat();
        let through = [&b"HTTP/1.1 200 Connection established\r\n\r\n"[..], &server].concat();
        let events = whatever_the_cuts(by_proxy, |_| through.clone(), &cuts, end);
        assert_eq!(events, whatever_the_cuts(direct, |_| server.clone(), &cuts, end), "by a tunnel, and without one");
    } else {
        let events = whatever_the_cuts(by_proxy, |_| stream.to_vec(), &cuts, end);
        assert!(matches!(events[..], [Seen::Closed(_)]), "{events:?}");
    }
}

/// The request that waits to be sent, as text.
fn request_of(client: &mut WebSocketClient) -> String {
    let mut slices = [IoSlice::new(&[]); 1];
    assert_eq!(client.transmit(&mut slices), 1, "a request for the upgrade");
    let request = String::from_utf8(slices[0].to_vec()).expect("text");
    client.transmitted(request.len());
    request
}

/// What a server of ours answers.
fn good_answer(request: &str) -> Vec<u8> {
    let mut parsed = http::Request::get("/ws");
    for (name, value) in request.lines().filter_map(|line| line.split_once(": ")) {
        parsed = parsed.header(name, value);
    }
    let answer: http::Response<()> = answer_upgrade(&parsed.body(()).expect("a request")).expect("it asks for an upgrade");
    let mut text = String::from("HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in answer.headers() {
        text.extend([name.as_str(), ": ", value.to_str().expect("text"), "\r\n"]);
    }
    (text + "\r\n").into_bytes()
}

fn without(answer: &[u8], line: usize) -> Vec<u8> {
    let lines: Vec<_> = answer.split_inclusive(|byte| *byte == b'\n').collect();
    let left_out = line % lines.len();
    lines.iter().enumerate().filter(|(at, _)| *at != left_out).flat_map(|(_, line)| line.iter().copied()).collect()
}

fn changed(answer: &[u8], at: u16, mask: u8) -> Vec<u8> {
    let mut answer = answer.to_vec();
    let at = usize::from(at) % answer.len();
    answer[at] ^= mask;
    answer
}
