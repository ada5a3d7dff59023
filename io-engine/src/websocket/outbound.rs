//! From messages to bytes: a queue of frames that the network takes from in slices, without copying a server's messages.

use std::{collections::VecDeque, io::IoSlice};

use bytes::Bytes;
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use super::{
    close::CloseFrame,
    mask::{self, Masking},
};

/// The longest header of a frame (RFC 6455 section 5.2): 2 bytes, 8 of length, and the key of a mask.
const MAX_HEADER: usize = 14;

/// A queue that was longer than this gives its memory back once it is empty.
const KEPT_CAPACITY: usize = 32;

#[derive(Debug)]
pub(super) struct Outbound {
    masking: Masking,
    frames: VecDeque<Frame>,
    /// How much of the first frame was transmitted.
    done: usize,
    /// How many messages were transmitted and not yet reported.
    sent: u32,
}

#[derive(Debug)]
struct Frame {
    kind: Kind,
    /// Empty where it stands in `payload`, which is a masked copy anyway.
    header: [u8; MAX_HEADER],
    header_len: u8,
    payload: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Pong,
    Close,
}

impl Frame {
    fn header(&self) -> &[u8] {
        &self.header[..usize::from(self.header_len)]
    }

    fn len(&self) -> usize {
        self.header().len() + self.payload.len()
    }
}

impl Outbound {
    pub(super) const fn new(masking: Masking) -> Self {
        Self { masking, frames: VecDeque::new(), done: 0, sent: 0 }
    }

    pub(super) fn message(&mut self, message: Bytes) {
        self.push(Kind::Message, message);
    }

    /// Answers a ping. The answer to the latest one is enough (RFC 6455 section 5.5.3), so a peer that pings and never reads
    /// fills no queue.
    pub(super) fn pong(&mut self, payload: &[u8]) {
        let started = self.frames.len() == 1 && self.done > 0;
        if !started && self.frames.back().is_some_and(|last| last.kind == Kind::Pong) {
            self.frames.pop_back();
        }
        self.push(Kind::Pong, Bytes::copy_from_slice(payload));
    }

    pub(super) fn close(&mut self, frame: Option<&CloseFrame>) {
        self.push(Kind::Close, frame.map(CloseFrame::encode).unwrap_or_default());
    }

    /// Drops what was not begun: the other side does not want it any more.
    pub(super) fn drop_unsent(&mut self) {
        self.frames.truncate(usize::from(self.done > 0));
    }

    pub(super) fn clear(&mut self) {
        self.frames = VecDeque::new();
        self.done = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Frames that there is memory for, beyond what is kept.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.frames.capacity().saturating_sub(KEPT_CAPACITY)
    }

    pub(super) const fn take_sent(&mut self) -> Option<u32> {
        match self.sent {
            0 => None,
            sent => {
                self.sent = 0;
                Some(sent)
            }
        }
    }

    pub(super) fn transmit<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.done;
        let parts = self.frames.iter().flat_map(|frame| [frame.header(), &frame.payload]);
        let waiting = parts.filter_map(|part| {
            let skipped = skip.min(part.len());
            skip -= skipped;
            Some(&part[skipped..]).filter(|rest| !rest.is_empty())
        });
        let mut used = 0;
        for (slice, part) in slices.iter_mut().zip(waiting) {
            *slice = IoSlice::new(part);
            used += 1;
        }
        used
    }

    pub(super) fn transmitted(&mut self, count: usize) {
        self.done += count;
        while let Some(len) = self.frames.front().map(Frame::len).filter(|len| *len <= self.done) {
            self.done -= len;
            let message = self.frames.pop_front().is_some_and(|frame| frame.kind == Kind::Message);
            self.sent = self.sent.saturating_add(u32::from(message));
        }
        if self.frames.is_empty() && self.frames.capacity() > KEPT_CAPACITY {
            self.frames = VecDeque::new();
        }
    }

    fn push(&mut self, kind: Kind, payload: Bytes) {
        let opcode = match kind {
            Kind::Message => OpCode::Data(Data::Binary),
            Kind::Pong => OpCode::Control(Control::Pong),
            Kind::Close => OpCode::Control(Control::Close),
        };
        let header = FrameHeader { opcode, mask: self.masking.next_key(), ..FrameHeader::default() };
        self.frames.push_back(match header.mask {
            None | Some(mask::ZERO) => unchanged(kind, &header, payload),
            Some(key) => masked(kind, &header, &payload, key),
        });
    }
}

fn unchanged(kind: Kind, header: &FrameHeader, payload: Bytes) -> Frame {
    let mut bytes = [0; MAX_HEADER];
    let mut rest = &mut bytes[..];
    // There is room for every header, and writing to memory does not fail.
    let _ = header.format(payload.len() as u64, &mut rest);
    let header_len = u8::try_from(MAX_HEADER - rest.len()).unwrap_or(0);
    Frame { kind, header: bytes, header_len, payload }
}

fn masked(kind: Kind, header: &FrameHeader, payload: &[u8], key: [u8; 4]) -> Frame {
    let mut bytes = vec![0; header.len(payload.len() as u64) + payload.len()];
    let mut rest = &mut bytes[..];
    // Writing to memory does not fail.
    let _ = header.format(payload.len() as u64, &mut rest);
    rest.copy_from_slice(payload);
    mask::apply(rest, key);
    Frame { kind, header: [0; MAX_HEADER], header_len: 0, payload: bytes.into() }
}
