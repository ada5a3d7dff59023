//! What every decoder takes.

use std::time::Duration;

use bytes::Bytes;
use proto_core::{
    Reason, SessionId, UnixTime,
    secret::{Secret, SecretText},
    wire::{
        Answer, Content, Frame, Head, Hello, KeyAnswer, KeyRequest, Listing, Outcome, Preamble, Record, Refused, Role, Standing,
        Suite, Title, Welcome,
    },
};

use super::{
    Kind, Vector,
    annotated::{Annotate, Message, Part},
};
use crate::file::{hex, unhex};

pub(super) const SESSION: SessionId = SessionId([0x11; 16]);

pub(super) fn all() -> Vec<Vector> {
    let mut all = preambles();
    all.extend(payloads());
    all.extend(heads().into_iter().map(|(name, frame)| vector(name, Kind::Frame, &frame, &frame.encode())));
    all.extend(reasons());
    all.extend(tails());
    all.extend(records());
    all.extend(messages());
    all.extend(odd());
    all
}

/// The product's bytes with the annotations; that they are the same is checked from the file.
fn vector(name: impl Into<String>, kind: Kind, value: &impl Annotate, bytes: &[u8]) -> Vector {
    vector_of(name, kind, value.annotated(), bytes)
}

fn vector_of(name: impl Into<String>, kind: Kind, says: Vec<Part>, bytes: &[u8]) -> Vector {
    Vector { name: name.into(), kind, bytes: hex(bytes), tail: None, says, written: None, refused: None }
}

fn preambles() -> Vec<Vector> {
    let roles = [Role::Daemon, Role::Viewer, Role::Peer];
    let all = Suite::ALL.into_iter().flat_map(|suite| roles.map(|role| Preamble { suite, role }));
    all.map(|preamble| {
        vector(
            format!("preamble: suite {}, {:?}", preamble.suite as u8, preamble.role),
            Kind::Preamble,
            &preamble,
            &preamble.to_bytes(),
        )
    })
    .collect()
}

fn payloads() -> Vec<Vector> {
    let hello = |token: &str, software: &str| Hello { token: SecretText::new(token), software: software.into() };
    let welcome = |frame_max, time, software: &str| Answer::Welcome(Welcome { frame_max, time, software: software.into() });
    let hellos = [
        ("a Hello", hello("abc", "vpd 0.1.0")),
        ("a Hello that says nothing", hello("", "")),
        ("a Hello with a token of 128 bytes: its length takes two bytes", hello(&"t".repeat(128), "vpd 0.1.0")),
        ("a Hello with the longest software, 64 bytes", hello("abc", &"s".repeat(64))),
        ("a Hello beyond ASCII", hello("abc", "vpd ünïcode")),
    ];
    let answers = [
        ("a Welcome", welcome(1_048_576, 1_700_000_000, "vpd 0.1.0")),
        ("a Welcome of zeros", welcome(0, 0, "")),
        ("a Welcome of the largest numbers", welcome(u32::MAX, u64::MAX, "vpd 0.1.0")),
    ];
    let requests = [("a KeyRequest", KeyRequest { session: SESSION })];
    let keys = [
        ("a KeyAnswer, epoch 300", KeyAnswer { epoch: 300, secret: Secret::new([0x22; 32]) }),
        ("a KeyAnswer, epoch 0", KeyAnswer { epoch: 0, secret: Secret::new([0; 32]) }),
        ("a KeyAnswer, the last epoch", KeyAnswer { epoch: u32::MAX, secret: Secret::new([0xff; 32]) }),
    ];
    let mut all: Vec<_> = hellos.iter().map(|(name, hello)| vector(*name, Kind::Hello, hello, &hello.encode())).collect();
    all.extend(answers.iter().map(|(name, answer)| vector(*name, Kind::Answer, answer, &answer.encode())));
    all.extend(requests.iter().map(|(name, request)| vector(*name, Kind::KeyRequest, request, &request.encode())));
    all.extend(keys.iter().map(|(name, answer)| vector(*name, Kind::KeyAnswer, answer, &answer.encode())));
    all
}

/// Every head, with small and with large numbers.
pub(super) fn heads() -> Vec<(String, Frame)> {
    let session = SESSION;
    let body = |head, body: &'static [u8]| Frame { head, body: Bytes::from_static(body) };
    let mut all: Vec<(String, Frame)> = Vec::new();
    for number in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
        all.push((format!("Ping, nonce {number}"), Head::Ping { nonce: number }.into()));
        all.push((format!("Acknowledge, next {number}"), Head::Acknowledge { session, next: number }.into()));
        all.push((format!("Resume, next {number}"), Head::Resume { session, next: number }.into()));
        all.push((
            format!("Data, epoch 0, sequence {number}"),
            body(Head::Data { session, epoch: 0, sequence: number }, &[0xaa, 0xbb]),
        ));
    }
    for (name, outcome) in [("Exited", Outcome::Exited), ("Cut", Outcome::Cut)] {
        for next in [0, 129, u64::MAX] {
            all.push((format!("End, next {next}, {name}"), Head::End { session, next, outcome }.into()));
        }
    }
    let listing = Listing {
        standing: Standing::Cut,
        began: UnixTime(1_700_000_000),
        active: UnixTime(1_700_000_300),
        bytes: 70_000,
        records: 12,
    };
    let listed = listing.body(b"a.credential.here");
    all.extend([
        ("Pong, nonce 300".into(), Head::Pong { nonce: 300 }.into()),
        ("Open, cipher 1".into(), Head::Open { session, cipher: 1 }.into()),
        (
            "Open, cipher 2, as a relay says it to a viewer".into(),
            Frame { head: Head::Open { session, cipher: 2 }, body: listed },
        ),
        ("Open, as a relay says it that lists nothing".into(), body(Head::Open { session, cipher: 2 }, b"a.credential.here")),
        ("Open, a cipher of a later version".into(), Head::Open { session, cipher: 255 }.into()),
        ("Data, the last epoch".into(), body(Head::Data { session, epoch: u32::MAX, sequence: 1 }, b"sealed")),
        ("Data, an empty body".into(), body(Head::Data { session, epoch: 1, sequence: 1 }, b"")),
        ("Peer, as a viewer sends it".into(), body(Head::Peer { session, viewer: 0 }, &[0xcc])),
        ("Peer, viewer 300".into(), body(Head::Peer { session, viewer: 300 }, &[0xcc])),
        ("Rotate".into(), Head::Rotate { token: SecretText::new("abc") }.into()),
        ("Rotated, generation 2".into(), Head::Rotated { generation: 2 }.into()),
        ("Rotated, generation 300".into(), Head::Rotated { generation: 300 }.into()),
        ("Rekey".into(), Head::Rekey.into()),
        ("Envelope".into(), body(Head::Envelope { session }, b"sealed")),
        ("Enveloped, kept".into(), Head::Enveloped { session, is_durable: true }.into()),
        ("Enveloped, of no session".into(), Head::Enveloped { session, is_durable: false }.into()),
        ("Storing, not".into(), Head::Storing { works: false }.into()),
        ("Storing, again".into(), Head::Storing { works: true }.into()),
        (
            "Error with a detail".into(),
            Head::Error { reason: Reason::FrameMalformed, retry_after: 300, detail: "a frame of a relay".into() }.into(),
        ),
        (
            "Error with the longest wait".into(),
            Head::Error { reason: Reason::Superseded, retry_after: u32::MAX, detail: String::new() }.into(),
        ),
        ("Decline".into(), Head::Decline { session, reason: Reason::SessionLimit, retry_after: 60 }.into()),
        (
            "Decline with the longest wait".into(),
            Head::Decline { session, reason: Reason::SessionLimit, retry_after: u32::MAX }.into(),
        ),
    ]);
    all
}

/// Each reason in each of the three places where one can stand.
fn reasons() -> Vec<Vector> {
    let in_each = |reason: Reason| {
        let refused = Answer::Refused(Refused { reason, retry_after: 30 });
        let revoke = Frame::from(Head::Revoke { reason });
        let error = Frame::from(Head::Error { reason, retry_after: 0, detail: String::new() });
        let code = reason.code();
        [
            vector(format!("Refused, {code}"), Kind::Answer, &refused, &refused.encode()),
            vector(format!("Revoke, {code}"), Kind::Frame, &revoke, &revoke.encode()),
            vector(format!("Error, {code}"), Kind::Frame, &error, &error.encode()),
        ]
    };
    Reason::ALL.iter().flat_map(|reason| in_each(*reason)).collect()
}

fn tails() -> Vec<Vector> {
    let heads = [Head::Data { session: SESSION, epoch: 2, sequence: 300 }, Head::Peer { session: SESSION, viewer: 0 }];
    let with_tail = |head: Head| {
        let bytes = Frame::from(head.clone()).encode();
        let name = format!("{}, its body in a tail", head.annotated()[0].value);
        Vector { tail: Some("aabb".into()), ..vector(name, Kind::FrameWithTail, &head, &bytes) }
    };
    heads.map(with_tail).into()
}

fn records() -> Vec<Vector> {
    let title = Title { command: "bash".into(), directory: "~/api".into(), started: 1_700_000_000, columns: 80, rows: 24 };
    let bytes = |text: &'static [u8]| Bytes::from_static(text);
    let all = [
        ("a title", 0, Content::Title(title)),
        ("output", 1_500, Content::Output(bytes(b"hi"))),
        ("output of nothing", 0, Content::Output(bytes(b""))),
        ("output that is no UTF-8", u64::MAX, Content::Output(bytes(&[0xff, 0xfe]))),
        ("input", 128, Content::Input(bytes(b"ls\r"))),
        ("a resize", 1_500, Content::Resize { columns: 100, rows: 40 }),
        ("a resize to the largest size", 0, Content::Resize { columns: u16::MAX, rows: u16::MAX }),
        ("an event", 1_500, Content::Event(bytes(br#"{"a":1}"#))),
        ("an exit, status 0", 1_500, Content::Exit { status: 0 }),
        ("an exit, status -1", 1_500, Content::Exit { status: -1 }),
        ("an exit by signal 9", 1_500, Content::Exit { status: 137 }),
    ];
    let record = |(name, millis, content)| {
        let record = Record { at: Duration::from_millis(millis), content };
        vector(format!("a record: {name}"), Kind::Record, &record, &record.encode())
    };
    all.map(record).into()
}

fn messages() -> Vec<Vector> {
    let (short, long) = ([0x01; 17], [0x02; 300]);
    let all = [
        ("one segment, the shortest", Message { ciphertexts: vec![&short], tail: None }),
        ("two segments", Message { ciphertexts: vec![&long, &short], tail: None }),
        ("a segment and a tail", Message { ciphertexts: vec![&short], tail: Some(&[9, 9]) }),
        ("a segment and an empty tail", Message { ciphertexts: vec![&short], tail: Some(&[]) }),
        ("no segment at all, which is no frame either", Message { ciphertexts: vec![], tail: None }),
    ];
    let bytes = |message: &Message<'_>| message.annotated().iter().flat_map(|part| unhex(&part.bytes)).collect::<Vec<_>>();
    all.iter().map(|(name, message)| vector(*name, Kind::Segments, message, &bytes(message))).collect()
}

/// Bytes that no encoder writes and every decoder takes all the same: numbers with groups of zeros, and what a later version says.
fn odd() -> Vec<Vector> {
    let part = |bytes: &str, field: &str, value: &str| Part { bytes: bytes.into(), field: field.into(), value: value.into() };
    let mut all = Vec::new();
    for (name, kind, says, written) in [
        (
            "Ping, its nonce in more groups than needed",
            Kind::Frame,
            vec![part("00", "head", "Ping"), part("ac8200", "nonce", "300")],
            "00ac02",
        ),
        (
            "Ping, zero in ten groups",
            Kind::Frame,
            vec![part("00", "head", "Ping"), part("80808080808080808000", "nonce", "0")],
            "0000",
        ),
        ("Ping, its number in two groups", Kind::Frame, vec![part("8000", "head", "Ping"), part("01", "nonce", "1")], "0001"),
        (
            "Revoke, for a reason of a later version",
            Kind::Frame,
            vec![part("0a", "head", "Revoke"), part("0966726f6d5f32303939", "reason", "peer_error")],
            "0a0a706565725f6572726f72",
        ),
        (
            "Refused, for a reason of a later version",
            Kind::Answer,
            vec![
                part("01", "answer", "Refused"),
                part("0966726f6d5f32303939", "reason", "peer_error"),
                part("00", "retry_after", "0"),
            ],
            "010a706565725f6572726f7200",
        ),
    ] {
        let bytes: Vec<u8> = says.iter().flat_map(|part| unhex(&part.bytes)).collect();
        all.push(Vector { written: Some(written.into()), ..vector_of(name, kind, says, &bytes) });
    }
    all
}
