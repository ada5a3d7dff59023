//! From bytes to messages: frames taken apart, unmasked, and put together again where a message came in pieces.

use std::io::Cursor;

use bytes::{Buf, Bytes, BytesMut};
use proto_core::{
    Reason,
    effect::{Close, NetFault},
};
use tungstenite::protocol::{
    Role,
    frame::{
        FrameHeader,
        coding::{CloseCode, Control, Data, OpCode},
    },
};

use super::{close::CloseFrame, mask};

/// What the other side sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Message(Bytes),
    Ping(Bytes),
    Pong,
    Close(Option<CloseFrame>),
}

/// How the other side broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    Malformed,
    NotBinary,
    TooLarge,
}

impl Violation {
    pub(super) fn close_frame(self) -> CloseFrame {
        match self {
            Self::Malformed => CloseFrame::bare(CloseCode::Protocol),
            Self::NotBinary => CloseFrame::bare(CloseCode::Unsupported),
            // The one of these that a person can do something about has a name (S202).
            Self::TooLarge => CloseFrame::of(Close::Because(Reason::FrameTooLarge)),
        }
    }

    pub(super) const fn fault(self) -> NetFault {
        match self {
            Self::Malformed | Self::NotBinary => NetFault::NotUnderstood,
            Self::TooLarge => NetFault::TooLarge,
        }
    }
}

#[derive(Debug)]
pub(super) struct Inbound {
    role: Role,
    max_message: usize,
    /// Received and not yet taken apart. Empty means without memory of its own.
    bytes: BytesMut,
    /// The pieces so far of a message that comes in several frames.
    fragments: Option<BytesMut>,
}

impl Inbound {
    pub(super) fn new(role: Role, max_message: usize) -> Self {
        Self { role, max_message, bytes: BytesMut::new(), fragments: None }
    }

    pub(super) const fn set_max_message(&mut self, max_message: usize) {
        self.max_message = max_message;
    }

    #[cfg(test)]
    pub(super) const fn role(&self) -> Role {
        self.role
    }

    /// Bytes of memory held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity() + self.fragments.as_ref().map_or(0, BytesMut::capacity)
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn clear(&mut self) {
        self.bytes = BytesMut::new();
        self.fragments = None;
    }

    /// The next frame that means something by itself; `None` until more bytes have come.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, Violation> {
        while let Some((header, payload)) = self.next_frame()? {
            let incoming = match header.opcode {
                OpCode::Control(Control::Ping) => Some(Incoming::Ping(payload.freeze())),
                OpCode::Control(Control::Pong) => Some(Incoming::Pong),
                OpCode::Control(Control::Close) => {
                    Some(Incoming::Close(CloseFrame::decode(&payload).ok_or(Violation::Malformed)?))
                }
                OpCode::Data(_) => self.put_together(header.is_final, payload).map(Incoming::Message),
                OpCode::Control(Control::Reserved(_)) => return Err(Violation::Malformed),
            };
            if incoming.is_some() {
                return Ok(incoming);
            }
        }
        Ok(None)
    }

    fn put_together(&mut self, is_final: bool, payload: BytesMut) -> Option<Bytes> {
        let so_far = match self.fragments.take() {
            None => payload,
            Some(mut fragments) => {
                fragments.extend_from_slice(&payload);
                fragments
            }
        };
        if is_final {
            return Some(so_far.freeze());
        }
        self.fragments = Some(so_far);
        None
    }

    fn next_frame(&mut self) -> Result<Option<(FrameHeader, BytesMut)>, Violation> {
        let mut cursor = Cursor::new(&self.bytes);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|_| Violation::Malformed)? else {
            return Ok(None);
        };
        let header_len = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        let length = self.checked(&header, length)?;
        if self.bytes.len() - header_len < length {
            return Ok(None);
        }
        self.bytes.advance(header_len);
        let mut payload = self.bytes.split_to(length);
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
        if let Some(key) = header.mask {
            mask::apply(&mut payload, key);
        }
        Ok(Some((header, payload)))
    }

    /// The frame's length, when it may come at all (RFC 6455 sections 5.1, 5.4 and 5.5). Nothing is reserved for a length that
    /// was only announced.
    fn checked(&self, header: &FrameHeader, length: u64) -> Result<usize, Violation> {
        let reserved = header.rsv1 || header.rsv2 || header.rsv3;
        let masked_as_expected = header.mask.is_some() == (self.role == Role::Server);
        if reserved || !masked_as_expected {
            return Err(Violation::Malformed);
        }
        let limit = match (header.opcode, &self.fragments) {
            (OpCode::Control(_), _) if header.is_final && length <= 125 => return Ok(usize::try_from(length).unwrap_or(0)),
            (OpCode::Data(Data::Binary), None) => self.max_message,
            (OpCode::Data(Data::Continue), Some(fragments)) => self.max_message.saturating_sub(fragments.len()),
            (OpCode::Data(Data::Text), None) => return Err(Violation::NotBinary),
            (OpCode::Control(_) | OpCode::Data(_), _) => return Err(Violation::Malformed),
        };
        usize::try_from(length).ok().filter(|length| *length <= limit).ok_or(Violation::TooLarge)
    }
}
