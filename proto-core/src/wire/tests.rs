//! Frames, records and hellos, out and in again.

use alloc::{vec, vec::Vec};
use core::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{Reason, SessionId, secret::SecretText};

const S: SessionId = SessionId([7; 16]);

fn heads() -> Vec<(Head, bool, bool)> {
    vec![
        (Head::Ping { nonce: 1 }, false, false),
        (Head::Pong { nonce: 1 }, false, false),
        (Head::Open { session: S, cipher: 1 }, true, true),
        (Head::Data { session: S, epoch: 2, sequence: 3 }, true, true),
        (Head::Acknowledge { session: S, next: 4 }, true, false),
        (Head::End { session: S, next: 5, outcome: Outcome::Cut }, true, false),
        (Head::Resume { session: S, next: 6 }, true, false),
        (Head::Peer { session: S, viewer: 7 }, true, true),
        (Head::Rotate { token: SecretText::new("token") }, false, false),
        (Head::Rotated { generation: 8 }, false, false),
        (Head::Revoke { reason: Reason::MachineRevoked }, false, false),
        (Head::Rekey, false, false),
        (Head::Error { reason: Reason::RelayFull, retry_after: 9, detail: "d".into() }, false, false),
        (Head::Envelope { session: S }, true, true),
        (Head::Enveloped { session: S, is_durable: true }, true, false),
        (Head::Decline { session: S, reason: Reason::SessionLimit, retry_after: 10 }, true, false),
        (Head::Storing { works: false }, false, false),
    ]
}

/// WIRE section 6: which frames are about a session, which carry a body, and that the others carry none.
#[test]
fn a_frame_has_the_session_and_the_body_of_its_kind() {
    for (number, (head, has_session, has_body)) in (0_u8..).zip(heads()) {
        assert_eq!((head.session(), head.carries_body()), (has_session.then_some(S), has_body), "{head:?}");
        let bare = Frame::from(head.clone());
        assert_eq!(bare.encode()[0], number, "the order of the heads is their number");
        assert_eq!(Frame::decode(&bare.encode().into()), Ok(bare));
        let full = Frame { head, body: Bytes::from_static(b"body") };
        let read = Frame::decode(&full.encode().into());
        assert_eq!(read, if has_body { Ok(full) } else { Err(Malformed("frame")) });
    }
}

/// WIRE section 7: every kind of content has its number and comes back as it was; its length is known in advance.
#[test]
fn a_record_comes_back_as_it_was() {
    let title = Title { command: "make".into(), directory: "~/x".into(), started: 5, columns: 80, rows: 24 };
    let contents = [
        Content::Title(title),
        Content::Output(Bytes::from_static(b"out")),
        Content::Input(Bytes::from_static(b"in")),
        Content::Resize { columns: 513, rows: 2 },
        Content::Event(Bytes::from_static(b"{}")),
        Content::Exit { status: -2 },
    ];
    for (kind, content) in (0_u8..).zip(contents) {
        let record = Record { at: Duration::from_millis(3), content };
        let plaintext = record.encode();
        assert_eq!(plaintext[..2], [3, kind]);
        assert_eq!(Record::decode(&plaintext.into()), Ok(record));
    }
}

#[test]
fn a_record_of_another_shape_is_malformed() {
    for bad in [&[3, 6][..], &[3], &[], &[3, 3, 0, 80, 0], &[3, 3, 0, 80, 0, 24, 0], &[3, 5, 0, 0, 0], &[3, 0]] {
        assert_eq!(Record::decode(&Bytes::from_static(bad)), Err(Malformed("record")), "{bad:?}");
    }
}

/// ADM-1: a hello has a longest token and a longest name, each for itself.
#[test]
fn a_hello_is_bounded() {
    let hello = |token, software| Hello { token: SecretText::new("t".repeat(token)), software: "s".repeat(software) };
    for (token, software, fits) in [
        (MAX_TOKEN_LEN, MAX_SOFTWARE_LEN, true),
        (0, 0, true),
        (MAX_TOKEN_LEN + 1, 0, false),
        (0, MAX_SOFTWARE_LEN + 1, false),
        (2 * MAX_TOKEN_LEN, 2 * MAX_SOFTWARE_LEN, false),
    ] {
        let said = hello(token, software);
        assert_eq!(Hello::decode(&said.encode()), if fits { Ok(said) } else { Err(Malformed("hello")) }, "{token} {software}");
    }
    let mut longer = hello(1, 1).encode();
    longer.push(0);
    assert_eq!(Hello::decode(&longer), Err(Malformed("hello")));
}

/// WIRE sections 5 and 10, S204: what both sides have to agree on.
#[test]
fn the_limits_are_those_of_the_protocol() {
    assert_eq!((MAX_FIRST_MESSAGE, MAX_FRAME_DEFAULT), (8_192, 1_048_576));
    assert_eq!((MAX_SEGMENT, SEGMENT_OVERHEAD, MAX_SEGMENT + SEGMENT_OVERHEAD), (65_519, 18, 2 + 65_535));
}

/// What does not fit into the room leaves nothing of a token there, and comes out whole.
#[test]
fn a_token_that_does_not_fit_is_wiped_from_the_buffer() {
    let rotate = Frame::from(Head::Rotate { token: SecretText::new("t".repeat(500)) });
    let mut room = [7; _];
    assert_eq!(Frame::decode(&Bytes::copy_from_slice(&rotate.encoded_head(&mut room))), Ok(rotate));
    assert_eq!(room, [0; 64]);
}
