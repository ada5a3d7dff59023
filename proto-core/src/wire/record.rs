//! What a sealed record says once opened.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use bytes::{Buf, Bytes};
use serde::{Deserialize, Serialize};

use super::{Encoded, Malformed, Room};

/// One record of a session's stream.
///
/// ```text
/// at        varint   milliseconds since the session's start
/// kind      1 byte   0 title, 1 output, 2 input, 3 resize, 4 event, 5 exit
/// payload   the rest
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Since the session's start, to the millisecond.
    pub at: Duration,
    /// What happened.
    pub content: Content,
}

/// What happened in a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Kind 0, always and only record 0: what runs where. Payload: postcard of [`Title`].
    Title(Title),
    /// Kind 1: bytes that the command wrote to its terminal.
    Output(Bytes),
    /// Kind 2: bytes that were typed.
    Input(Bytes),
    /// Kind 3: the terminal's size changed. Payload: columns and rows, 2 bytes big-endian each.
    Resize {
        /// Width in characters.
        columns: u16,
        /// Height in characters.
        rows: u16,
    },
    /// Kind 4: something an agent reports about itself: JSON, UTF-8.
    Event(Bytes),
    /// Kind 5: the command ended. Payload: exit status, 4 bytes big-endian, two's complement; 128 and the signal's number
    /// when a signal ended it.
    Exit {
        /// The exit status.
        status: i32,
    },
}

/// What runs where.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Title {
    /// The command line.
    pub command: String,
    /// The bound directory's name as its owner sees it, the home shortened to `~`.
    pub directory: String,
    /// Unix seconds at its start.
    pub started: u64,
    /// Width in characters.
    pub columns: u16,
    /// Height in characters.
    pub rows: u16,
}

impl Record {
    /// The record's plaintext.
    pub fn encode(&self) -> Vec<u8> {
        let mut room = [0; _];
        let (start, content) = self.parts(&mut room);
        [&start, content].concat()
    }

    /// The two parts of the record's plaintext: bytes of content, which are where they were, and what stands before them. The
    /// second part is empty when the content is something else.
    pub fn parts<'a>(&'a self, room: &'a mut Room) -> (Encoded<'a>, &'a [u8]) {
        let head = self.head();
        match &self.content {
            Content::Output(bytes) | Content::Input(bytes) | Content::Event(bytes) => (Encoded::new(&head, room), bytes),
            Content::Title(title) => (Encoded::new(&(head, title), room), &[]),
            Content::Resize { columns, rows } => (Encoded::new(&(head, columns.to_be_bytes(), rows.to_be_bytes()), room), &[]),
            Content::Exit { status } => (Encoded::new(&(head, status.to_be_bytes()), room), &[]),
        }
    }

    /// Milliseconds and kind.
    fn head(&self) -> (u64, u8) {
        let millis = u64::try_from(self.at.as_millis()).unwrap_or(u64::MAX);
        (millis, self.content.kind())
    }

    /// Reads a record; bytes of content are views into `plaintext`.
    pub fn decode(plaintext: &Bytes) -> Result<Self, Malformed> {
        Self::take(plaintext.clone())
    }

    /// Reads a record; bytes of content are what is left of `plaintext`, and take no memory of their own.
    pub fn take(plaintext: Bytes) -> Result<Self, Malformed> {
        let malformed = Malformed("record");
        let ((millis, kind), rest) = postcard::take_from_bytes::<(u64, u8)>(&plaintext).map_err(|_| malformed)?;
        let head = plaintext.len().saturating_sub(rest.len());
        let mut payload = plaintext;
        payload.advance(head);
        let content = match kind {
            0 => match postcard::take_from_bytes(&payload) {
                Ok((title, [])) => Content::Title(title),
                _ => return Err(malformed),
            },
            1 => Content::Output(payload),
            2 => Content::Input(payload),
            3 => match *payload {
                [c1, c0, r1, r0] => Content::Resize { columns: u16::from_be_bytes([c1, c0]), rows: u16::from_be_bytes([r1, r0]) },
                _ => return Err(malformed),
            },
            4 => Content::Event(payload),
            5 => Content::Exit { status: i32::from_be_bytes(payload.as_ref().try_into().map_err(|_| malformed)?) },
            _ => return Err(malformed),
        };
        Ok(Self { at: Duration::from_millis(millis), content })
    }
}

impl Content {
    const fn kind(&self) -> u8 {
        match self {
            Self::Title(_) => 0,
            Self::Output(_) => 1,
            Self::Input(_) => 2,
            Self::Resize { .. } => 3,
            Self::Event(_) => 4,
            Self::Exit { .. } => 5,
        }
    }
}
