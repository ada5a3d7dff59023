//! What no decoder may take.

use std::collections::BTreeSet;

use proto_core::wire::Frame;

use super::{
    Kind, Vector,
    annotated::leb128,
    good::{SESSION, heads},
};
use crate::file::hex;

pub(super) fn all() -> Vec<Vector> {
    let mut all = cut_and_longer();
    all.extend(frames());
    all.extend(payloads());
    all.extend(records());
    all.extend(messages());
    all
}

fn refused(name: impl Into<String>, kind: Kind, bytes: impl AsRef<[u8]>) -> Vector {
    let why = if kind == Kind::Record { "record_malformed" } else { "frame_malformed" };
    Vector { name: name.into(), kind, bytes: hex(bytes), tail: None, says: Vec::new(), written: None, refused: Some(why.into()) }
}

/// Every good frame cut in the middle of its head, and, unless a body may follow, a byte longer.
fn cut_and_longer() -> Vec<Vector> {
    let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
    let mut add = |name: String, bytes: Vec<u8>| {
        // Heads that differ only in their last bytes are the same once these are gone.
        if seen.insert(bytes.clone()) {
            all.push(refused(name, Kind::Frame, bytes));
        }
    };
    for (name, frame) in heads() {
        let head = Frame::from(frame.head.clone()).encode();
        if head.len() > 1 {
            add(format!("{name}, its head cut by a byte"), head[..head.len() - 1].to_vec());
        }
        if !frame.head.carries_body() {
            add(format!("{name}, with a byte behind it"), [&head[..], &[0]].concat());
        }
    }
    all
}

fn frames() -> Vec<Vector> {
    let text = |text: &[u8]| [leb128(text.len() as u64), text.to_vec()].concat();
    let about = |number: u8, rest: &[u8]| [&[number], &SESSION.0[..], rest].concat();
    let mut all = vec![
        refused("no bytes", Kind::Frame, []),
        refused("a head of a later version", Kind::Frame, [17]),
        refused("a head with the number 128", Kind::Frame, [0x80, 0x01]),
        refused("Ping, a nonce of eleven groups", Kind::Frame, [&[0][..], &[0x80; 10], &[0]].concat()),
        refused("Ping, a nonce beyond 64 bits", Kind::Frame, [&[0][..], &[0xff; 9], &[2]].concat()),
        refused("Data, an epoch beyond 32 bits", Kind::Frame, about(3, &[0xff, 0xff, 0xff, 0xff, 0x1f, 0])),
        refused("Data, an epoch of six groups", Kind::Frame, about(3, &[0x80, 0x80, 0x80, 0x80, 0x80, 0, 0])),
        refused("End, an outcome of a later version", Kind::Frame, about(5, &[0, 2])),
        refused("Open, a session of 15 bytes", Kind::Frame, [&[2], &SESSION.0[..15]].concat()),
        refused("Rotate, a token longer than what follows", Kind::Frame, [8, 4, b'a', b'b', b'c']),
        refused("Rotate, a token that is no UTF-8", Kind::Frame, [8, 2, 0xc3, 0x28]),
        refused("Rotate, a token as long as memory", Kind::Frame, [&[8][..], &leb128(u64::MAX)].concat()),
        refused("Revoke, a reason of 65 bytes", Kind::Frame, [&[10][..], &text(&[b'r'; 65])].concat()),
        refused(
            "Error, a detail that is no UTF-8",
            Kind::Frame,
            [&[12][..], &text(b"superseded"), &[0], &text(&[0xff])].concat(),
        ),
    ];
    let with_tail = |name: &str, bytes: Vec<u8>| Vector { tail: Some("aa".into()), ..refused(name, Kind::FrameWithTail, bytes) };
    all.extend([
        with_tail("Ping with a tail", vec![0, 0]),
        with_tail("Open with a tail", about(2, &[1])),
        with_tail("Data with a tail, and a body beside its head", about(3, &[0, 0, 0xaa])),
        with_tail("Rekey with a tail", vec![11]),
        with_tail("a tail without a head", Vec::new()),
    ]);
    all
}

fn payloads() -> Vec<Vector> {
    let text = |text: &[u8]| [leb128(text.len() as u64), text.to_vec()].concat();
    let hello = |token: &[u8], software: &[u8]| [text(token), text(software)].concat();
    vec![
        refused("a Hello of no bytes", Kind::Hello, []),
        refused("a Hello with a byte behind it", Kind::Hello, [hello(b"abc", b"vpd"), vec![0]].concat()),
        refused("a Hello without software", Kind::Hello, text(b"abc")),
        refused("a Hello whose software is 65 bytes long", Kind::Hello, hello(b"abc", &[b's'; 65])),
        refused("a Hello whose token is 4,097 bytes long", Kind::Hello, hello(&[b't'; 4_097], b"vpd")),
        refused("a Hello whose software is no UTF-8", Kind::Hello, hello(b"abc", &[0xff])),
        refused("an Answer of no bytes", Kind::Answer, []),
        refused("an Answer of a later version", Kind::Answer, [2]),
        refused("a Welcome with a byte behind it", Kind::Answer, [0, 1, 1, 0, 0]),
        refused("a Welcome whose frame_max is beyond 32 bits", Kind::Answer, [0, 0xff, 0xff, 0xff, 0xff, 0x1f, 0, 0]),
        refused("a Refused without retry_after", Kind::Answer, [vec![1], text(b"internal")].concat()),
        refused("a Refused with a reason of 65 bytes", Kind::Answer, [vec![1], text(&[b'r'; 65]), vec![0]].concat()),
        refused("a KeyRequest of 15 bytes", Kind::KeyRequest, &SESSION.0[..15]),
        refused("a KeyRequest of 17 bytes", Kind::KeyRequest, [&SESSION.0[..], &[0]].concat()),
        refused("a KeyAnswer with a secret of 31 bytes", Kind::KeyAnswer, [&[0][..], &[0x22; 31]].concat()),
        refused("a KeyAnswer with a secret of 33 bytes", Kind::KeyAnswer, [&[0][..], &[0x22; 33]].concat()),
        refused(
            "a KeyAnswer with an epoch beyond 32 bits",
            Kind::KeyAnswer,
            [&[0xff, 0xff, 0xff, 0xff, 0x1f][..], &[0x22; 32]].concat(),
        ),
        refused("a preamble of two bytes", Kind::Preamble, [1, 1]),
        refused("a preamble of version 2", Kind::Preamble, [2, 1, 1]),
        refused("a preamble with suite 5", Kind::Preamble, [1, 5, 1]),
        refused("a preamble with role 4", Kind::Preamble, [1, 1, 4]),
    ]
}

fn records() -> Vec<Vector> {
    vec![
        refused("a record of no bytes", Kind::Record, []),
        refused("a record without a kind", Kind::Record, [0]),
        refused("a record of a later kind", Kind::Record, [0, 6]),
        refused("a title with a byte behind it", Kind::Record, [0, 0, 1, b'a', 1, b'b', 0, 80, 24, 0]),
        refused("a title cut by a byte", Kind::Record, [0, 0, 1, b'a', 1, b'b', 0, 80]),
        refused("a title wider than 16 bits", Kind::Record, [0, 0, 1, b'a', 1, b'b', 0, 0xff, 0xff, 0x07, 24]),
        refused("a resize of three bytes", Kind::Record, [0, 3, 0, 80, 0]),
        refused("a resize of five bytes", Kind::Record, [0, 3, 0, 80, 0, 24, 0]),
        refused("an exit of three bytes", Kind::Record, [0, 5, 0, 0, 0]),
        refused("an exit of five bytes", Kind::Record, [0, 5, 0, 0, 0, 0, 0]),
        refused("a record whose time is beyond 64 bits", Kind::Record, [&[0xff; 9][..], &[2, 1]].concat()),
    ]
}

fn messages() -> Vec<Vector> {
    let segment = |length: u16, bytes: usize| [&length.to_be_bytes()[..], &vec![7; bytes]].concat();
    vec![
        refused("half a length", Kind::Segments, [0]),
        refused("a segment of 16 bytes, which is a tag and nothing else", Kind::Segments, segment(16, 16)),
        refused("a segment of one byte", Kind::Segments, segment(1, 1)),
        refused("a segment cut by a byte", Kind::Segments, segment(17, 16)),
        refused("a segment with a byte behind it", Kind::Segments, segment(17, 18)),
        refused("a length and nothing else", Kind::Segments, [0xff, 0xff]),
        refused("a good segment, then one cut short", Kind::Segments, [segment(17, 17), segment(18, 17)].concat()),
    ]
}
