//! Frames over a Noise session: what one WebSocket message holds after the handshake (WIRE section 5).
//!
//! ```text
//! Frame ── encode ──► head ‖ body ── cut every 65,519 bytes ──► segment segment … ──► one WebSocket message
//! Frame ── encode ──► head ── one segment ──► segment 0x0000 body                 ──► the same with a tail
//! ```

use alloc::vec::Vec;

use bytes::Bytes;

use super::{
    TAG_LEN,
    noise::{Noise, NoiseError},
};
use crate::{
    Reason,
    wire::{Frame, Head, SEGMENT_MAX, parts, sealed_len},
};

/// A sender rekeys after that many transport messages, and after an hour. WIRE section 6 allows 2^20; the distance is for
/// the segments of the frame that is being sealed when the number is reached.
pub const REKEY_AFTER: u64 = (1 << 20) - 1024;

/// Whether a message may have a tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tails {
    /// A viewer's link: its relay may send tails.
    Accepted,
    /// Every other one.
    Refused,
}

/// A Noise session in its transport phase that carries frames, and rekeys where frames say so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Channel<N> {
    noise: N,
    tails: Tails,
    sealed: u64,
    /// Where plaintext is put together; empty between calls.
    plaintext: Vec<u8>,
}

impl<N: Noise> Channel<N> {
    /// Frames over `noise`, whose handshake is through.
    pub const fn new(noise: N, tails: Tails) -> Self {
        Self { noise, tails, sealed: 0, plaintext: Vec::new() }
    }

    /// The responder's channel, and the frame in the message that confirmed the handshake
    /// ([`Output::Confirmed`](crate::handshake::responder::Output::Confirmed)).
    ///
    /// # Errors
    /// [`Reason::FrameMalformed`]: it was no frame.
    pub fn confirmed(noise: N, plaintext: &Bytes) -> Result<(Self, Frame), Reason> {
        let frame = Frame::decode(plaintext).map_err(|_| Reason::FrameMalformed)?;
        let mut channel = Self::new(noise, Tails::Refused);
        channel.follow(&frame);
        Ok((channel, frame))
    }

    /// Whether the next frame must be a [`Head::Rekey`]. The hour is for the caller to watch.
    pub const fn must_rekey(&self) -> bool {
        self.sealed >= REKEY_AFTER
    }

    /// The handshake hash of the session (Noise section 11.2).
    pub fn handshake_hash(&self) -> Option<[u8; 32]> {
        self.noise.handshake_hash()
    }

    /// Appends the WebSocket message of `frame` to `out`: [`sealed_len`] of its plaintext. After a [`Head::Rekey`] this side
    /// has rekeyed.
    ///
    /// # Errors
    /// [`NoiseError::OutOfTurn`], [`NoiseError::Exhausted`]: the link is at its end.
    pub fn seal(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), NoiseError> {
        out.reserve(sealed_len(Frame::HEAD_MAX.saturating_add(frame.body.len())));
        let rest = self.seal_first(frame, &frame.body, out)?;
        rest.chunks(SEGMENT_MAX).try_for_each(|chunk| seal_segment(&mut self.noise, &mut self.sealed, chunk, out))?;
        if frame.head == Head::Rekey {
            self.noise.rekey_sending();
            self.sealed = 0;
        }
        Ok(())
    }

    /// The same with the body of a `Data` or `Peer` in a tail, outside Noise: for a relay to a viewer.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn seal_with_tail(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), NoiseError> {
        if !matches!(frame.head, Head::Data { .. } | Head::Peer { .. }) {
            return self.seal(frame, out);
        }
        out.reserve(sealed_len(Frame::HEAD_MAX).saturating_add(frame.body.len()));
        self.seal_first(frame, &[], out)?;
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&frame.body);
        Ok(())
    }

    /// Opens a WebSocket message. After a [`Head::Rekey`] it expects that the other side has rekeyed.
    ///
    /// # Errors
    /// [`Reason::FrameMalformed`]: whatever was wrong with it. The link ends with that.
    pub fn open(&mut self, message: &Bytes) -> Result<Frame, Reason> {
        let frame = self.try_open(message).ok_or(Reason::FrameMalformed)?;
        self.follow(&frame);
        Ok(frame)
    }

    fn follow(&mut self, frame: &Frame) {
        if frame.head == Head::Rekey {
            self.noise.rekey_receiving();
        }
    }

    fn try_open(&mut self, message: &Bytes) -> Option<Frame> {
        let mut plaintext = Vec::with_capacity(message.len());
        let mut segments = parts(message);
        for segment in segments.by_ref() {
            self.noise.open(segment.ok()?, &mut plaintext).ok()?;
        }
        match (segments.tail(), self.tails) {
            (None, _) => Frame::decode(&Bytes::from(plaintext)).ok(),
            (Some(tail), Tails::Accepted) => Frame::decode_with_tail(&plaintext, message.slice_ref(tail)).ok(),
            (Some(_), Tails::Refused) => None,
        }
    }

    /// Seals the head and as much of the body as fits beside it; gives what is left.
    fn seal_first<'a>(&mut self, frame: &Frame, body: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], NoiseError> {
        frame.encode_head(&mut self.plaintext);
        let room = SEGMENT_MAX.saturating_sub(self.plaintext.len());
        let (beside, rest) = body.split_at_checked(room).unwrap_or((body, &[]));
        self.plaintext.extend_from_slice(beside);
        let sealed = seal_segment(&mut self.noise, &mut self.sealed, &self.plaintext, out);
        self.plaintext.clear();
        sealed.map(|()| rest)
    }
}

fn seal_segment<N: Noise>(noise: &mut N, sealed: &mut u64, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), NoiseError> {
    let start = out.len();
    let length = u16::try_from(plaintext.len().saturating_add(TAG_LEN)).map_err(|_| NoiseError::TooLong)?;
    out.extend_from_slice(&length.to_be_bytes());
    noise.seal(plaintext, out).inspect_err(|_| out.truncate(start))?;
    *sealed = sealed.saturating_add(1);
    Ok(())
}

#[cfg(test)]
mod tests;
