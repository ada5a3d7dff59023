//! `wire.json`: what goes over a link, byte by byte with what each byte says, and bytes that no decoder may take (WIRE sections 4
//! to 8).
//!
//! The annotations are written by an encoder of their own, [`annotated::Writer`], from the page; the product's bytes must be the same.

mod annotated;
mod good;
mod refused;

use bytes::Bytes;
use proto_core::wire::{Answer, Frame, Hello, KeyAnswer, KeyRequest, Malformed, Preamble, Record, parts};
use serde::{Deserialize, Serialize};

use self::annotated::{Annotate, Part};
use crate::{
    counted_distinct,
    file::{committed, hex, unhex},
};

#[derive(Serialize, Deserialize)]
struct Document {
    about: String,
    vectors: Vec<Vector>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Vector {
    name: String,
    kind: Kind,
    bytes: String,
    /// The body of a frame whose head alone was sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    tail: Option<String>,
    /// What it says, in order; the bytes of all parts are the bytes of the whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    says: Vec<Part>,
    /// How it is written again, where that is not as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<String>,
    /// Why it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

/// What the bytes are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Preamble,
    Hello,
    Answer,
    Segments,
    Frame,
    FrameWithTail,
    Record,
    KeyRequest,
    KeyAnswer,
}

/// What bytes were read as.
struct Understood {
    says: Vec<Part>,
    written: Vec<u8>,
}

impl Understood {
    fn new(value: &impl Annotate, written: Vec<u8>) -> Self {
        Self { says: value.annotated(), written }
    }
}

#[test]
fn encodings_are_as_in_the_file() {
    let mut vectors = good::all();
    vectors.extend(refused::all());
    let about = "Bytes of the wire with what each of them says, and bytes that must be refused: docs/WIRE.md sections 4 to 8. See README.md.";
    let file = committed("wire.json", &Document { about: about.into(), vectors });
    file.vectors.iter().for_each(check);
    counted_distinct("wire.json", file.vectors.iter().map(|vector| (vector.kind, &vector.bytes, &vector.tail)));
}

fn check(vector: &Vector) {
    let (name, bytes) = (&vector.name, unhex(&vector.bytes));
    let understood = read(vector.kind, &bytes, vector.tail.as_deref().map(unhex));
    let Ok(understood) = understood else {
        return assert!(vector.refused.is_some(), "{name}: refused");
    };
    assert_eq!(vector.refused, None, "{name}: understood");
    let facts = |parts: &[Part]| parts.iter().map(|part| (part.field.clone(), part.value.clone())).collect::<Vec<_>>();
    assert_eq!(facts(&understood.says), facts(&vector.says), "{name}");
    let whole: String = vector.says.iter().map(|part| part.bytes.as_str()).collect();
    assert_eq!(whole, vector.bytes, "{name}: the parts are not the whole");
    assert_eq!(hex(understood.written), *vector.written.as_ref().unwrap_or(&vector.bytes), "{name}: written anew");
}

fn read(kind: Kind, bytes: &[u8], tail: Option<Vec<u8>>) -> Result<Understood, Malformed> {
    let shared = Bytes::copy_from_slice(bytes);
    Ok(match kind {
        Kind::Preamble => {
            let (preamble, rest) = Preamble::split(bytes).map_err(|_| Malformed("preamble"))?;
            Understood::new(&preamble, [&preamble.to_bytes()[..], rest].concat())
        }
        Kind::Hello => Hello::decode(bytes).map(|hello| Understood::new(&hello, hello.encode()))?,
        Kind::Answer => Answer::decode(bytes).map(|answer| Understood::new(&answer, answer.encode()))?,
        Kind::Segments => segments(bytes)?,
        Kind::Frame => Frame::decode(&shared).map(|frame| Understood::new(&frame, frame.encode()))?,
        Kind::FrameWithTail => {
            let frame = Frame::decode_with_tail(bytes, tail.unwrap_or_default().into())?;
            Understood::new(&frame.head, Frame::from(frame.head.clone()).encode())
        }
        Kind::Record => Record::decode(&shared).map(|record| Understood::new(&record, record.encode()))?,
        Kind::KeyRequest => KeyRequest::decode(bytes).map(|request| Understood::new(&request, request.encode()))?,
        Kind::KeyAnswer => KeyAnswer::decode(bytes).map(|answer| Understood::new(&answer, answer.encode()))?,
    })
}

fn segments(bytes: &[u8]) -> Result<Understood, Malformed> {
    let mut pieces = parts(bytes);
    let ciphertexts: Vec<_> = pieces.by_ref().collect::<Result<_, _>>()?;
    let message = annotated::Message { ciphertexts, tail: pieces.tail() };
    let written = message.annotated().iter().flat_map(|part| unhex(&part.bytes)).collect();
    Ok(Understood::new(&message, written))
}
