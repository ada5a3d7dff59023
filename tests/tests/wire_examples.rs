//! The worked examples of `docs/WIRE.md` section 11 are what the code does, byte for byte: each row of its tables is made
//! anew and compared, and no row may be missing.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use proto_core::{
    Entropy, Reason, SessionId, UnixTime,
    crypto::{
        Cipher, Identity, PureRust,
        seal::{EpochSecret, Scope, Sealer},
    },
    noise::{
        InitiatorKeys, Noise, Snow,
        channel::{Channel, Tails},
    },
    secret::{Secret, SecretText},
    wire::{
        Answer, Content, Frame, Head, Hello, KeyAnswer, KeyRequest, Listing, Outcome, Preamble, Record, Refused, Role, Standing,
        Suite, Title, Welcome,
    },
};

const SESSION: SessionId = SessionId([0x11; 16]);

#[test]
fn the_examples_of_the_wire_page_are_what_the_code_does() {
    let page = include_str!("../../docs/WIRE.md");
    let examples = page.split_once("## 11. Worked examples").expect("section 11").1;
    let mut missing = String::new();
    for (name, bytes) in frames().into_iter().chain(payloads()).chain(records()).chain(handshake()) {
        let row = format!("| {name} | `{}` |", hex(&bytes));
        if !examples.contains(&row) {
            writeln!(missing, "{row}").unwrap();
        }
    }
    assert!(missing.is_empty(), "docs/WIRE.md section 11 lacks:\n{missing}");
}

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let session = SESSION;
    let body = |head, body: &'static [u8]| Frame { head, body: Bytes::from_static(body) };
    let listing = Listing { standing: Standing::Live, began: UnixTime(300), active: UnixTime(301), bytes: 128, records: 2 };
    let rows: Vec<(_, Frame)> = vec![
        ("Ping, nonce 300", Head::Ping { nonce: 300 }.into()),
        ("Pong, nonce 300", Head::Pong { nonce: 300 }.into()),
        ("Open, cipher 1", Head::Open { session, cipher: 1 }.into()),
        (
            "Open, cipher 1, to a viewer: credential `abc`, Live, began 300, active 301, 128 bytes, 2 records",
            Frame { head: Head::Open { session, cipher: 1 }, body: listing.body(b"abc") },
        ),
        ("Data, epoch 0, sequence 128, body `aa bb`", body(Head::Data { session, epoch: 0, sequence: 128 }, &[0xaa, 0xbb])),
        ("Acknowledge, next 129", Head::Acknowledge { session, next: 129 }.into()),
        ("End, next 129, Cut", Head::End { session, next: 129, outcome: Outcome::Cut }.into()),
        ("Resume, next 5", Head::Resume { session, next: 5 }.into()),
        ("Peer, viewer 2, body `cc`", body(Head::Peer { session, viewer: 2 }, &[0xcc])),
        ("Rotate, token `abc`", Head::Rotate { token: SecretText::new("abc") }.into()),
        ("Rotated, generation 2", Head::Rotated { generation: 2 }.into()),
        ("Revoke, `machine_revoked`", Head::Revoke { reason: Reason::MachineRevoked }.into()),
        ("Rekey", Head::Rekey.into()),
        (
            "Error, `superseded`, retry after 0, no detail",
            Head::Error { reason: Reason::Superseded, retry_after: 0, detail: String::new() }.into(),
        ),
        ("Envelope, body `dd`", body(Head::Envelope { session }, &[0xdd])),
        ("Enveloped, kept", Head::Enveloped { session, is_durable: true }.into()),
        (
            "Decline, `session_limit`, retry after 60",
            Head::Decline { session, reason: Reason::SessionLimit, retry_after: 60 }.into(),
        ),
        ("Storing, not", Head::Storing { works: false }.into()),
    ];
    rows.into_iter().map(|(name, frame)| (name, frame.encode())).collect()
}

fn payloads() -> Vec<(&'static str, Vec<u8>)> {
    let software = || "vpd 0.1.0".to_owned();
    vec![
        ("Hello, token `abc`, software `vpd 0.1.0`", Hello { token: SecretText::new("abc"), software: software() }.encode()),
        (
            "Welcome, frame_max 1048576, time 1700000000, software `vpd 0.1.0`",
            Answer::Welcome(Welcome { frame_max: 1_048_576, time: 1_700_000_000, software: software() }).encode(),
        ),
        (
            "Refused, `token_expired`, retry after 30",
            Answer::Refused(Refused { reason: Reason::TokenExpired, retry_after: 30 }).encode(),
        ),
        ("KeyRequest", KeyRequest { session: SESSION }.encode()),
        ("KeyAnswer, epoch 300, secret 32 × `22`", KeyAnswer { epoch: 300, secret: Secret::new([0x22; 32]) }.encode()),
    ]
}

fn records() -> Vec<(&'static str, Vec<u8>)> {
    let title = Title { command: "bash".into(), directory: "~/api".into(), started: 1_700_000_000, columns: 80, rows: 24 };
    let record = |millis, content| Record { at: Duration::from_millis(millis), content }.encode();
    let output = record(1500, Content::Output(Bytes::from_static(b"hi")));
    vec![
        ("title at 0 ms: `bash` in `~/api`, started 1700000000, 80 × 24", record(0, Content::Title(title))),
        ("output at 1500 ms: `hi`", output.clone()),
        ("resize at 1500 ms: 100 × 40", record(1500, Content::Resize { columns: 100, rows: 40 })),
        ("exit at 1500 ms: -1", record(1500, Content::Exit { status: -1 })),
        ("that output as record 1, cipher 1, sealed", seal(Cipher::Aes256Gcm, &output)),
        ("that output as record 1, cipher 2, sealed", seal(Cipher::ChaCha20Poly1305, &output)),
    ]
}

fn seal(cipher: Cipher, plaintext: &[u8]) -> Vec<u8> {
    let scope = Scope { org: "acme".parse().unwrap(), session: SESSION, cipher };
    let mut sealed = Vec::new();
    let secret = EpochSecret::new(Secret::new([0x22; 32]));
    Sealer::new(&PureRust, scope, 0, secret, 1).seal(1, plaintext, &mut sealed).unwrap();
    sealed
}

/// A whole handshake under suite 02, up to the first transport message, from fixed keys.
fn handshake() -> Vec<(&'static str, Vec<u8>)> {
    let device = Identity::from_seed(Secret::new([0x33; 32]));
    let relay = Identity::from_seed(Secret::new([0x44; 32]));
    let (device_entropy, relay_entropy) = (|| Entropy::new([0x55; 32]), || Entropy::new([0x66; 32]));
    let ephemeral = |entropy: Entropy| entropy.derive("noise ephemeral").expose().to_vec();

    let preamble = Preamble { suite: Suite::IkChaChaPoly, role: Role::Daemon };
    let keys = InitiatorKeys { preamble, local: device.static_keys(), responder: relay.static_key(), psk: None };
    let hello = Hello { token: SecretText::new("abc"), software: "vpd 0.1.0".into() };
    let welcome = Answer::Welcome(Welcome { frame_max: 1_048_576, time: 1_700_000_000, software: "vpd 0.1.0".into() });

    let (mut initiator, message_1) = Snow::<PureRust>::initiate(keys, device_entropy(), &hello.encode()).unwrap();
    let (mut responder, first) = Snow::<PureRust>::respond(relay.static_keys(), relay_entropy(), &message_1).unwrap();
    assert_eq!(first.payload, hello.encode());
    let message_2 = responder.answer(None, &welcome.encode()).unwrap();
    assert_eq!(initiator.read_answer(&message_2).unwrap(), welcome.encode());
    let hash = initiator.handshake_hash().unwrap().to_vec();
    let mut channel = Channel::new(initiator, Tails::Refused);
    let ping = channel.seal(&Head::Ping { nonce: 0 }.into()).unwrap().to_vec();

    vec![
        ("device: identity key (public)", device.identity_key().0.to_vec()),
        ("device: static key (public)", device.static_key().0.to_vec()),
        ("device: signature over its static key", device.static_key_signature().0.to_vec()),
        ("relay: static key (public)", relay.static_key().0.to_vec()),
        ("device: ephemeral key (private)", ephemeral(device_entropy())),
        ("relay: ephemeral key (private)", ephemeral(relay_entropy())),
        ("message 1, with that Hello", message_1),
        ("message 2, with that Welcome", message_2),
        ("handshake hash", hash),
        ("first transport message: Ping, nonce 0", ping),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
