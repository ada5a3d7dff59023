//! The codecs of a link (WIRE sections 4 to 7).

use bytes::Bytes;
use proto_core::orgkey::{Envelope, Statement, Wrapped};
use proto_core::wire::{
    Answer, Frame, Hello, KeyAnswer, KeyRequest, MAX_FIRST_MESSAGE, Malformed, Preamble, Record, SEGMENT_OVERHEAD, parts,
    sealed_len,
};

/// A frame that is understood is written back to bytes that mean the same; so is one with a tail.
pub fn frame(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(frame) = Frame::decode(&bytes) {
        assert!(frame.body.len() < data.len() && data.ends_with(&frame.body));
        assert!(frame.head.carries_body() || frame.body.is_empty());
        assert_eq!(Frame::decode(&frame.encode().into()), Ok(frame));
    }
    let (head, tail) = data.split_at(data.len() / 2);
    if let Ok(frame) = Frame::decode_with_tail(head, Bytes::copy_from_slice(tail)) {
        assert_eq!(frame.body, tail);
        let again = Frame::from(frame.head.clone()).encode();
        assert_eq!(Frame::decode_with_tail(&again, frame.body.clone()), Ok(frame));
    }
}

/// Segments are views that follow one another without a gap, and with the tail they are the whole message (SES-4).
pub fn segments(data: &[u8]) {
    let mut pieces = parts(data);
    let read: Result<Vec<_>, Malformed> = pieces.by_ref().collect();
    let Ok(read) = read else {
        assert_eq!(pieces.tail(), None, "malformed, and a tail");
        return;
    };
    let mut again = Vec::new();
    for ciphertext in &read {
        assert!(ciphertext.len() + 2 >= SEGMENT_OVERHEAD, "too short for a tag");
        again.extend(u16::try_from(ciphertext.len()).expect("a length in two bytes").to_be_bytes());
        again.extend_from_slice(ciphertext);
    }
    let plaintext: usize = read.iter().map(|ciphertext| ciphertext.len() + 2 - SEGMENT_OVERHEAD).sum();
    assert!(read.is_empty() || sealed_len(plaintext) <= again.len(), "fewer segments than needed");
    if let Some(tail) = pieces.tail() {
        again.extend([0, 0]);
        again.extend_from_slice(tail);
    }
    assert_eq!(again, data);
}

/// The payloads of handshakes and of peers: what is understood is written back to what means the same.
pub fn hello(data: &[u8]) {
    round_trip(data, Hello::decode, Hello::encode);
    round_trip(data, Answer::decode, Answer::encode);
    round_trip(data, KeyRequest::decode, KeyRequest::encode);
    round_trip(data, KeyAnswer::decode, KeyAnswer::encode);
    if let Ok(hello) = Hello::decode(data) {
        assert!(hello.encode().len() <= MAX_FIRST_MESSAGE, "a hello that fits no first message");
    }
}

/// What is said about the organization's key: there is one way to write each of them, and a statement that was changed follows nothing.
pub fn key_objects(data: &[u8]) {
    if let Ok(statement) = Statement::decode(data) {
        assert_eq!(statement.encode(), data);
        let follows = statement.follows(&statement);
        assert!(!follows, "a statement follows itself");
    }
    if let Ok(envelope) = Envelope::decode(data) {
        assert_eq!(envelope.encode(), data);
    }
    if let Ok(wrapped) = Wrapped::decode(data) {
        assert_eq!(wrapped.encode(), data);
    }
}

fn round_trip<T, B>(data: &[u8], decode: impl Fn(&[u8]) -> Result<T, Malformed>, encode: impl Fn(&T) -> B)
where
    T: PartialEq + std::fmt::Debug,
    B: AsRef<[u8]>,
{
    if let Ok(value) = decode(data) {
        assert_eq!(decode(encode(&value).as_ref()), Ok(value));
    }
}

/// A record that is understood is written back to bytes that mean the same.
pub fn record(data: &[u8]) {
    if let Ok(record) = Record::decode(&Bytes::copy_from_slice(data)) {
        assert_eq!(Record::decode(&record.encode().into()), Ok(record));
    }
}

/// The preamble is those three bytes and no others.
pub fn first_message(data: &[u8]) {
    if let Ok((preamble, noise)) = Preamble::split(data) {
        assert_eq!([&preamble.to_bytes()[..], noise].concat(), data);
        assert!(preamble.prologue().ends_with(&preamble.to_bytes()));
    }
}
