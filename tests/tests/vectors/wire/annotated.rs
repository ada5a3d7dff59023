//! The encodings of WIRE section 1 a second time, written from the page, with what each part says.

use proto_core::wire::{Answer, Content, Frame, Head, Hello, KeyAnswer, KeyRequest, Outcome, Preamble, Record};
use serde::{Deserialize, Serialize};

use crate::file::hex;

/// One field: its bytes, its name, what they say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) bytes: String,
    pub(crate) field: String,
    /// Numbers in decimal, texts as they are, bytes as hexadecimal.
    pub(crate) value: String,
}

/// What can be written with annotations.
pub(crate) trait Annotate {
    fn annotated(&self) -> Vec<Part>;
}

/// Writes one field after the other.
#[derive(Default)]
pub(crate) struct Writer(Vec<Part>);

impl Writer {
    fn part(mut self, field: &str, bytes: impl AsRef<[u8]>, value: &impl ToString) -> Self {
        self.0.push(Part { bytes: hex(bytes), field: field.into(), value: value.to_string() });
        self
    }

    fn varint(self, field: &str, value: impl Into<u64>) -> Self {
        let value = value.into();
        self.part(field, leb128(value), &value)
    }

    fn text(self, field: &str, text: &str) -> Self {
        let bytes = [leb128(text.len() as u64), text.into()].concat();
        self.part(field, bytes, &text)
    }

    fn bytes(self, field: &str, bytes: &[u8]) -> Self {
        self.part(field, bytes, &hex(bytes))
    }

    fn number(self, field: &str, number: u8, name: &str) -> Self {
        self.part(field, [number], &name)
    }
}

/// Unsigned LEB128.
pub(crate) fn leb128(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let group = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            bytes.push(group);
            return bytes;
        }
        bytes.push(group | 0x80);
    }
}

impl Annotate for Preamble {
    fn annotated(&self) -> Vec<Part> {
        let role = format!("{:?}", self.role);
        Writer::default()
            .number("version", 1, "1")
            .number("suite", self.suite as u8, self.suite.noise_name())
            .number("role", self.role as u8, &role)
            .0
    }
}

impl Annotate for Hello {
    fn annotated(&self) -> Vec<Part> {
        Writer::default().text("token", self.token.expose()).text("software", &self.software).0
    }
}

impl Annotate for Answer {
    fn annotated(&self) -> Vec<Part> {
        let writer = Writer::default();
        match self {
            Self::Welcome(welcome) => {
                let writer = writer.number("answer", 0, "Welcome").varint("frame_max", welcome.frame_max);
                writer.varint("time", welcome.time).text("software", &welcome.software).0
            }
            Self::Refused(refused) => {
                let writer = writer.number("answer", 1, "Refused").text("reason", refused.reason.code());
                writer.varint("retry_after", refused.retry_after).0
            }
        }
    }
}

impl Annotate for Head {
    fn annotated(&self) -> Vec<Part> {
        let new = Writer::default();
        match self {
            Self::Ping { nonce } => new.number("head", 0, "Ping").varint("nonce", *nonce),
            Self::Pong { nonce } => new.number("head", 1, "Pong").varint("nonce", *nonce),
            Self::Open { session, cipher } => {
                new.number("head", 2, "Open").bytes("session", &session.0).part("cipher", [*cipher], cipher)
            }
            Self::Data { session, epoch, sequence } => {
                let new = new.number("head", 3, "Data").bytes("session", &session.0);
                new.varint("epoch", *epoch).varint("sequence", *sequence)
            }
            Self::Acknowledge { session, next } => {
                new.number("head", 4, "Acknowledge").bytes("session", &session.0).varint("next", *next)
            }
            Self::End { session, next, outcome } => {
                let new = new.number("head", 5, "End").bytes("session", &session.0).varint("next", *next);
                match outcome {
                    Outcome::Exited => new.number("outcome", 0, "Exited"),
                    Outcome::Cut => new.number("outcome", 1, "Cut"),
                }
            }
            Self::Resume { session, next } => new.number("head", 6, "Resume").bytes("session", &session.0).varint("next", *next),
            Self::Peer { session, viewer } => {
                new.number("head", 7, "Peer").bytes("session", &session.0).varint("viewer", *viewer)
            }
            Self::Rotate { token } => new.number("head", 8, "Rotate").text("token", token.expose()),
            Self::Rotated { generation } => new.number("head", 9, "Rotated").varint("generation", *generation),
            Self::Revoke { reason } => new.number("head", 10, "Revoke").text("reason", reason.code()),
            Self::Rekey => new.number("head", 11, "Rekey"),
            Self::Error { reason, retry_after, detail } => {
                let new = new.number("head", 12, "Error").text("reason", reason.code());
                new.varint("retry_after", *retry_after).text("detail", detail)
            }
            Self::Envelope { session } => new.number("head", 13, "Envelope").bytes("session", &session.0),
            Self::Enveloped { session, is_durable } => new.number("head", 14, "Enveloped").bytes("session", &session.0).part(
                "is_durable",
                [u8::from(*is_durable)],
                is_durable,
            ),
            Self::Decline { session, reason, retry_after } => {
                let new = new.number("head", 15, "Decline").bytes("session", &session.0);
                new.text("reason", reason.code()).varint("retry_after", *retry_after)
            }
            Self::Storing { works } => new.number("head", 16, "Storing").part("works", [u8::from(*works)], works),
        }
        .0
    }
}

impl Annotate for Frame {
    fn annotated(&self) -> Vec<Part> {
        let head = Writer(self.head.annotated());
        if self.head.carries_body() { head.bytes("body", &self.body).0 } else { head.0 }
    }
}

impl Annotate for Record {
    fn annotated(&self) -> Vec<Part> {
        let new = Writer::default().varint("at", u64::try_from(self.at.as_millis()).unwrap());
        match &self.content {
            Content::Title(title) => new
                .number("kind", 0, "title")
                .text("command", &title.command)
                .text("directory", &title.directory)
                .varint("started", title.started)
                .varint("columns", title.columns)
                .varint("rows", title.rows),
            Content::Output(bytes) => new.number("kind", 1, "output").bytes("payload", bytes),
            Content::Input(bytes) => new.number("kind", 2, "input").bytes("payload", bytes),
            Content::Resize { columns, rows } => {
                let new = new.number("kind", 3, "resize").part("columns", columns.to_be_bytes(), columns);
                new.part("rows", rows.to_be_bytes(), rows)
            }
            Content::Event(bytes) => new.number("kind", 4, "event").bytes("payload", bytes),
            Content::Exit { status } => new.number("kind", 5, "exit").part("status", status.to_be_bytes(), status),
        }
        .0
    }
}

impl Annotate for KeyRequest {
    fn annotated(&self) -> Vec<Part> {
        Writer::default().bytes("session", &self.session.0).0
    }
}

impl Annotate for KeyAnswer {
    fn annotated(&self) -> Vec<Part> {
        Writer::default().varint("epoch", self.epoch).bytes("secret", self.secret.expose()).0
    }
}

/// A message of the transport phase, taken into its pieces.
pub(crate) struct Message<'a> {
    pub(crate) ciphertexts: Vec<&'a [u8]>,
    pub(crate) tail: Option<&'a [u8]>,
}

impl Annotate for Message<'_> {
    fn annotated(&self) -> Vec<Part> {
        let segments = self.ciphertexts.iter().fold(Writer::default(), |writer, ciphertext| {
            let length = u16::try_from(ciphertext.len()).unwrap();
            writer.part("length", length.to_be_bytes(), &length).bytes("ciphertext", ciphertext)
        });
        match self.tail {
            Some(tail) => segments.part("length", [0, 0], &0).bytes("tail", tail).0,
            None => segments.0,
        }
    }
}
