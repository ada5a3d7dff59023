use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    time::Duration,
};

use proptest::prelude::*;
use proto_core::{
    Reason,
    effect::{Connect, UpgradeRefusal},
};
use tungstenite::{
    Message,
    protocol::{
        CloseFrame as TheirClose, WebSocket as Theirs,
        frame::{
            Frame,
            coding::{CloseCode, Control, Data, OpCode},
        },
    },
};

use super::{mask::MaskKeys, *};

const MAX: usize = 1_000_000;

/// Moves everything that `from` has to `to`, in pieces of `size`.
fn carry(from: &mut impl Transducer, to: &mut impl Transducer, size: usize) -> bool {
    let bytes = taken_from(from);
    bytes.chunks(size).for_each(|piece| to.receive(piece));
    !bytes.is_empty()
}

fn taken_from(from: &mut impl Transducer) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut slices = [IoSlice::new(&[]); 3];
        let used = from.transmit(&mut slices);
        let bytes: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.iter().copied()).collect();
        if bytes.is_empty() {
            return all;
        }
        from.transmitted(bytes.len());
        all.extend(bytes);
    }
}

fn events(of: &mut impl Transducer<Event = IoEvent<()>>) -> Vec<IoEvent<()>> {
    std::iter::from_fn(|| of.poll_event()).collect()
}

fn received(of: &mut impl Transducer<Event = IoEvent<()>>) -> Vec<Bytes> {
    events(of)
        .into_iter()
        .filter_map(|event| if let IoEvent::Received((), message) = event { Some(message) } else { None })
        .collect()
}

fn entropy() -> Entropy {
    Entropy::new([7; 32])
}

fn open(role: Role) -> WebSocket {
    let mut socket = match role {
        Role::Server => WebSocket::server(MAX, entropy()),
        Role::Client => WebSocket::client(Masking::Fresh(Box::new(MaskKeys::new(&entropy()))), MAX, entropy()),
    };
    assert!(matches!(socket.poll_event(), Some(IoEvent::Connected((), _))));
    socket
}

fn pair() -> (WebSocket, WebSocket) {
    (open(Role::Client), open(Role::Server))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is sent arrives as it was, in order, however the bytes are cut, in both directions; and every message is
    /// reported as sent exactly once.
    #[test]
    fn messages_arrive_however_the_bytes_are_cut(lens in prop::collection::vec(0..300_usize, 0..20), long in 65_000..70_000_usize, size in 1..5000_usize) {
        let (mut client, mut server) = pair();
        let messages: Vec<Bytes> = lens.iter().chain([&long]).map(|len| Bytes::from(vec![len.to_le_bytes()[0]; *len])).collect();
        let all_sent = u32::try_from(messages.len()).unwrap();
        for to_server in [true, false] {
            let (from, to) = if to_server { (&mut client, &mut server) } else { (&mut server, &mut client) };
            for message in &messages { from.send(message.clone()); }
            carry(from, to, size);
            prop_assert_eq!(received(to), messages.clone());
            prop_assert_eq!(events(from), vec![IoEvent::Sent((), all_sent)]);
        }
    }

    /// No bytes from the network panic, whatever they are; the end is told once, also when they happen to be a close frame.
    #[test]
    fn noise_is_survived(
        begins_with_close in any::<bool>(),
        noise in prop::collection::vec(any::<u8>(), 0..2000),
        size in 1..100_usize,
        server in any::<bool>(),
    ) {
        let mut socket = open(if server { Role::Server } else { Role::Client });
        let close: &[u8] = if begins_with_close { &[0x88, 0x80] } else { &[] };
        let mut all = Vec::new();
        for piece in [close, noise.as_slice()].concat().chunks(size) {
            socket.receive(piece);
            all.extend(events(&mut socket));
            taken_from(&mut socket);
        }
        socket.receive_end();
        all.extend(events(&mut socket));
        prop_assert!(matches!(all.last(), Some(IoEvent::Closed((), _))));
        prop_assert_eq!(all.iter().filter(|event| matches!(event, IoEvent::Closed(..))).count(), 1);
    }
}

/// A stream in memory for tungstenite, the other implementation that ours is compared with.
#[derive(Default)]
struct Pipe {
    input: VecDeque<u8>,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { self.input.read(buf) }
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.output.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Peer(Theirs<Pipe>);

impl Peer {
    fn of(ours: &WebSocket) -> Self {
        let role = if ours.inbound.role() == Role::Server { Role::Client } else { Role::Server };
        Self(Theirs::from_raw_socket(Pipe::default(), role, None))
    }

    fn send(&mut self, message: Message, to: &mut WebSocket) {
        self.0.send(message).unwrap();
        self.flush(to);
    }

    fn flush(&mut self, to: &mut WebSocket) {
        let _ = self.0.flush();
        to.receive(&std::mem::take(&mut self.0.get_mut().output));
    }

    fn read(&mut self, from: &mut WebSocket) -> Vec<Message> {
        self.0.get_mut().input.extend(taken_from(from));
        std::iter::from_fn(|| self.0.read().ok()).collect()
    }
}

fn frame(opcode: Data, is_final: bool, payload: &'static [u8]) -> Message {
    Message::Frame(Frame::message(payload, OpCode::Data(opcode), is_final))
}

/// RFC 6455 section 5.4: messages in pieces, with control frames between the pieces, and pings answered.
#[test]
fn tungstenite_and_ours_understand_each_other() {
    for role in [Role::Client, Role::Server] {
        let mut ours = open(role);
        let mut peer = Peer::of(&ours);
        peer.send(Message::binary("whole"), &mut ours);
        peer.send(frame(Data::Binary, false, b"in "), &mut ours);
        peer.send(Message::Ping("are you there".into()), &mut ours);
        peer.send(frame(Data::Continue, false, b"three "), &mut ours);
        peer.send(Message::Pong("unasked".into()), &mut ours);
        peer.send(frame(Data::Continue, true, b"pieces"), &mut ours);
        assert_eq!(received(&mut ours), ["whole", "in three pieces"]);
        for len in [0, 125, 126, 65_535, 65_536] {
            ours.send(vec![7; len].into());
        }
        let read = peer.read(&mut ours);
        assert_eq!(read[0], Message::Pong("are you there".into()));
        let lens: Vec<_> = read[1..].iter().map(Message::len).collect();
        assert_eq!(lens, [0, 125, 126, 65_535, 65_536]);
    }
}

/// D12: the reason arrives with the close frame, in both directions, and both ends learn that it is over.
#[test]
fn a_close_frame_carries_its_reason() {
    for (close, seen) in [(Close::Normal, None), (Close::Because(Reason::MachineRevoked), Some(Reason::MachineRevoked))] {
        let (mut client, mut server) = pair();
        server.send("last words".into());
        server.close(close);
        server.send("too late".into());
        assert!(server.is_closing());
        carry(&mut server, &mut client, 3);
        assert_eq!(events(&mut client), [IoEvent::Received((), "last words".into())]);
        carry(&mut client, &mut server, 3);
        assert_eq!(events(&mut client), [IoEvent::Closed((), Closed::ByPeer(seen))]);
        assert_eq!(events(&mut server), [IoEvent::Sent((), 1), IoEvent::Closed((), Closed::ByUs)]);
    }
}

#[test]
fn tungstenite_closes_and_is_closed() {
    let mut ours = open(Role::Server);
    let mut peer = Peer::of(&ours);
    let why = TheirClose { code: CloseCode::from(Reason::TokenExpired.close_code()), reason: "token_expired".into() };
    peer.send(Message::Close(Some(why)), &mut ours);
    assert_eq!(events(&mut ours), []);
    assert!(matches!(&peer.read(&mut ours)[..], [Message::Close(_)]));
    assert_eq!(events(&mut ours), [IoEvent::Closed((), Closed::ByPeer(Some(Reason::TokenExpired)))]);

    let mut ours = open(Role::Server);
    let mut peer = Peer::of(&ours);
    ours.close(Close::Because(Reason::RelayFull));
    let read = peer.read(&mut ours);
    let [Message::Close(Some(frame))] = &read[..] else { panic!("{read:?}") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (Reason::RelayFull.close_code(), "relay_full"));
    peer.flush(&mut ours);
    assert_eq!(events(&mut ours), [IoEvent::Closed((), Closed::ByUs)]);
}

/// The first thing that breaks the protocol ends the connection, with the code of RFC 6455 section 7.4.1.
#[test]
fn violations_are_answered_with_their_code() {
    let cases: [(&[u8], u16, NetFault); 10] = [
        (&[0x81, 0x00], 1003, NetFault::NotUnderstood),             // text
        (&[0x80, 0x00], 1002, NetFault::NotUnderstood),             // a continuation of nothing
        (&[0xc2, 0x00], 1002, NetFault::NotUnderstood),             // a reserved bit
        (&[0x83, 0x00], 1002, NetFault::NotUnderstood),             // a reserved opcode
        (&[0x09, 0x00], 1002, NetFault::NotUnderstood),             // a ping in pieces
        (&[0x89, 0x7e, 0x00, 0x7e], 1002, NetFault::NotUnderstood), // a long ping
        (&[0x88, 0x01, 0x03], 1002, NetFault::NotUnderstood),       // half a close code
        (&[0x82, 0x80, 0, 0, 0, 0], 1002, NetFault::NotUnderstood), // masked by a server
        (&[0x02, 0x00, 0x02, 0x00], 1002, NetFault::NotUnderstood), // a message within a message
        (&[0x82, 0x7f, 0, 0, 0, 1, 0, 0, 0, 0], Reason::FrameTooLarge.close_code(), NetFault::TooLarge),
    ];
    for (bytes, code, fault) in cases {
        let mut client = open(Role::Client);
        client.receive(bytes);
        assert_eq!(events(&mut client), []);
        let mut server = Peer::of(&client);
        let read = server.read(&mut client);
        assert!(matches!(&read[..], [Message::Close(Some(frame))] if u16::from(frame.code) == code), "{bytes:?}: {read:?}");
        client.receive(b"more, which is not looked at");
        client.receive_end();
        assert_eq!(events(&mut client), [IoEvent::Closed((), Closed::Fault(fault))]);
    }
}

/// ADM-1: the limit counts all pieces of a message, holds at once, and can be raised when the peer is known.
#[test]
fn messages_are_limited_before_they_are_read() {
    let mut server = WebSocket::server(10, entropy());
    let mut client = open(Role::Client);
    events(&mut server);
    client.send(vec![1; 10].into());
    carry(&mut client, &mut server, 99);
    assert_eq!(received(&mut server), [&[1; 10][..]]);
    server.set_max_message(11);
    client.send(vec![2; 11].into());
    carry(&mut client, &mut server, 99);
    assert_eq!(received(&mut server), [&[2; 11][..]]);
    let mut peer = Peer::of(&server);
    peer.send(frame(Data::Binary, false, b"123456"), &mut server);
    assert!(!server.is_closing());
    peer.send(frame(Data::Continue, false, b"789012"), &mut server);
    assert_eq!(events(&mut server), []);
    server.fail(NetFault::TimedOut);
    assert_eq!(events(&mut server), [IoEvent::Closed((), Closed::Fault(NetFault::TooLarge))]);
}

/// ADM-1: a peer that pings and does not read the answers makes nothing grow.
#[test]
fn unread_pongs_do_not_pile_up() {
    let mut server = open(Role::Server);
    let mut peer = Peer::of(&server);
    for _ in 0..1000 {
        peer.send(Message::Ping("x".into()), &mut server);
        assert_eq!(events(&mut server), []);
    }
    assert_eq!(peer.read(&mut server), [Message::Pong("x".into())]);
    let half: Vec<u8> = {
        peer.0.get_mut().input.clear();
        server.outbound.pong(b"started");
        let mut slices = [IoSlice::new(&[]); 1];
        server.transmit(&mut slices);
        slices[0][..1].to_vec()
    };
    server.transmitted(1);
    server.outbound.pong(b"second");
    server.outbound.pong(b"third");
    peer.0.get_mut().input.extend(half);
    assert_eq!(peer.read(&mut server), [Message::Pong("started".into()), Message::Pong("third".into())]);
}

/// On this machine nothing is masked, so nothing is copied; a server reads it like any other frame (RFC 6455 section 5.3).
#[test]
fn a_local_client_masks_with_zeros_and_sends_the_very_bytes() {
    let mut client = WebSocket::client(Masking::Zero, MAX, entropy());
    assert!(matches!(client.poll_event(), Some(IoEvent::Connected(..))));
    let message = Bytes::from(vec![7; 70_000]);
    client.send(message.clone());
    let mut slices = [IoSlice::new(&[]); 2];
    assert_eq!(client.transmit(&mut slices), 2);
    assert_eq!(slices[1].as_ptr(), message.as_ptr());
    let mut server = open(Role::Server);
    carry(&mut client, &mut server, 16_384);
    assert_eq!(received(&mut server), [message]);
}

/// An idle connection holds no buffers, whatever went through it before (PERFORMANCE: at most 4 KiB for one).
#[test]
fn an_idle_connection_holds_no_memory() {
    let (mut client, mut server) = pair();
    for _ in 0..100 {
        client.send(vec![0; 10_000].into());
        server.send(vec![0; 10_000].into());
    }
    carry(&mut client, &mut server, 16_384);
    carry(&mut server, &mut client, 16_384);
    assert_eq!((received(&mut client).len(), received(&mut server).len()), (100, 100));
    for socket in [&client, &server] {
        assert_eq!((socket.inbound.held(), socket.outbound.held()), (0, 0));
    }
    assert!(size_of::<WebSocket>() <= 256, "{}", size_of::<WebSocket>());
}

/// What the other side sent before it hung up is delivered; a close frame among it counts.
#[test]
fn the_last_messages_of_a_lost_connection_arrive() {
    let (mut client, mut server) = pair();
    client.send("one".into());
    client.send("two".into());
    carry(&mut client, &mut server, 99);
    server.receive_end();
    assert_eq!(
        events(&mut server),
        [
            IoEvent::Received((), "one".into()),
            IoEvent::Received((), "two".into()),
            IoEvent::Closed((), Closed::Fault(NetFault::Broken)),
        ]
    );
    let (mut client, mut server) = pair();
    client.close(Close::Because(Reason::Superseded));
    carry(&mut client, &mut server, 99);
    server.receive_end();
    server.fail(NetFault::Broken);
    assert_eq!(events(&mut server), [IoEvent::Closed((), Closed::Fault(NetFault::Broken))]);
    let (mut client, mut server) = pair();
    client.close(Close::Because(Reason::Superseded));
    carry(&mut client, &mut server, 99);
    server.receive_end();
    assert_eq!(events(&mut server), []);
    taken_from(&mut server);
    assert_eq!(events(&mut server), [IoEvent::Closed((), Closed::ByPeer(Some(Reason::Superseded)))]);
    assert_eq!(events(&mut server), []);
}

fn connect(url: &str) -> Connect {
    Connect { url: url.to_owned(), timeout: Duration::from_secs(1), max_message: MAX }
}

/// Reads the client's request and gives the answer that `edit` makes of the right one.
fn upgraded(edit: impl Fn(String) -> String, tail: &[u8], size: usize) -> (WebSocketClient, Vec<IoEvent<()>>) {
    let (target, mut client) = WebSocketClient::new(&connect("wss://relay.example/ws?a=b"), &entropy()).unwrap();
    assert_eq!((target.host.as_str(), target.port, target.tls), ("relay.example", 443, true));
    let request = String::from_utf8(taken_from(&mut client)).unwrap();
    assert!(request.starts_with("GET /ws?a=b HTTP/1.1\r\nHost: relay.example\r\n"), "{request}");
    let headers = request.lines().skip(1).filter_map(|line| line.split_once(": "));
    let request = headers.fold(http::Request::get("/ws"), |request, (name, value)| request.header(name, value)).body(()).unwrap();
    let answer: http::Response<()> = answer_upgrade(&request).unwrap();
    let lines = answer.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
    let lines: Vec<String> = [String::from("HTTP/1.1 101 Switching Protocols")].into_iter().chain(lines).collect();
    let answer = edit(lines.join("\r\n") + "\r\n\r\n");
    let bytes: Vec<u8> = answer.bytes().chain(tail.iter().copied()).collect();
    bytes.chunks(size).for_each(|piece| client.receive(piece));
    let events = events(&mut client);
    (client, events)
}

#[test]
fn a_client_checks_the_answer_to_its_upgrade() {
    for size in [1, 5, 999] {
        let (mut client, events) = upgraded(|answer| answer, &[0x82, 0x01, 0x07], size);
        assert!(
            matches!(&events[..], [IoEvent::Connected((), _), IoEvent::Received((), message)] if message[..] == [7]),
            "{events:?}"
        );
        client.close(Close::Normal);
        assert!(!taken_from(&mut client).is_empty());
    }
    let refused = [IoEvent::Closed((), Closed::Fault(NetFault::NotUnderstood))];
    assert_eq!(upgraded(|answer| answer.replace("viewport.v1", "viewport.v2"), b"", 9).1, refused);
    assert_eq!(upgraded(|answer| answer.replace("accept: ", "accept: x"), b"", 9).1, refused);
    assert_eq!(upgraded(|answer| answer.replace("upgrade: websocket", "upgrade: h2c"), b"", 9).1, refused);
    assert_eq!(upgraded(|_| "<html>\r\n\r\n".to_owned(), b"", 9).1, refused);
    let endless = |answer: String| answer.replace("\r\n\r\n", &format!("\r\nx: {}", "y".repeat(17_000)));
    assert_eq!(upgraded(endless, b"", 999).1, [IoEvent::Closed((), Closed::Fault(NetFault::TooLarge))]);
}

/// F43: what was answered instead of 101 reaches the machine, with the seconds to wait.
#[test]
fn a_refusal_of_the_upgrade_says_which() {
    let refused = |answer: &str| {
        let answer = answer.to_owned();
        match &upgraded(|_| answer.clone(), b"", 9).1[..] {
            [IoEvent::Closed((), Closed::Refused(refusal))] => *refusal,
            events => panic!("{events:?}"),
        }
    };
    let plain = |status| UpgradeRefusal { status, retry_after: None, is_problem: false };
    assert_eq!(refused("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), plain(403));
    assert_eq!(refused("HTTP/1.1 200 OK\r\n\r\n"), plain(200));
    assert_eq!(refused("HTTP/1.1 301 Moved\r\nLocation: http://x/\r\n\r\n"), plain(301));
    let full = refused("HTTP/1.1 503 x\r\nRetry-After: 30\r\nContent-Type: application/problem+json\r\n\r\n{}");
    assert_eq!(full, UpgradeRefusal { status: 503, retry_after: Some(30), is_problem: true });
}

#[test]
fn a_client_that_is_closed_or_fails_before_the_answer_says_so_once() {
    let fresh = || WebSocketClient::new(&connect("ws://127.0.0.1/ws"), &entropy()).unwrap().1;
    let mut client = fresh();
    client.send("dropped".into());
    client.close(Close::Normal);
    assert_eq!(events(&mut client), [IoEvent::Closed((), Closed::ByUs)]);
    let mut client = fresh();
    client.receive_end();
    client.fail(NetFault::TimedOut);
    assert_eq!(events(&mut client), [IoEvent::Closed((), Closed::Fault(NetFault::Broken))]);
    assert_eq!(WebSocketClient::new(&connect("http://127.0.0.1/ws"), &entropy()).unwrap_err(), NetFault::BadUrl);
}

/// Control frames that tungstenite sends by itself have the opcode that ours answers to.
#[test]
fn a_pong_has_the_opcode_of_a_pong() {
    let mut ours = open(Role::Server);
    ours.outbound.pong(b"");
    let expected: u8 = OpCode::Control(Control::Pong).into();
    assert_eq!(taken_from(&mut ours), [0x80 | expected, 0]);
}
