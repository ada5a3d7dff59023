//! Frames over a Noise session: what one WebSocket message holds after the handshake (WIRE section 5).
//!
//! ```text
//! Frame ── encode ──► head ‖ body ── cut every 65,519 bytes ──► segment segment … ──► one WebSocket message
//! Frame ── encode ──► head ── one segment ──► segment 0x0000 body                 ──► the same with a tail
//! ```

use alloc::vec::Vec;
use core::{
    hash::{Hash, Hasher},
    mem,
};

use bytes::Bytes;

use super::{Noise, NoiseError};
use crate::{
    BufferPool, Reason,
    crypto::TAG_LEN,
    wire::{Frame, Head, MAX_SEGMENT, SEGMENT_OVERHEAD, parts, sealed_len},
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel<N> {
    noise: N,
    tails: Tails,
    sealed: u64,
    /// Messages that were handed out.
    messages: BufferPool,
    /// Plaintexts that were handed out.
    plaintexts: BufferPool,
}

/// Leaves out how many messages are left before the key must change, so that an explorer does not follow a link that idles.
impl<N: Hash> Hash for Channel<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { noise, tails, sealed, .. } = self;
        (noise, tails, *sealed >= REKEY_AFTER).hash(state);
    }
}

impl<N: Noise> Channel<N> {
    /// Frames over `noise`, whose handshake is through.
    pub fn new(noise: N, tails: Tails) -> Self {
        Self { noise, tails, sealed: 0, messages: BufferPool::default(), plaintexts: BufferPool::default() }
    }

    /// The responder's channel, and the frame in the message that confirmed the handshake
    /// ([`Output::Confirmed`](crate::noise::handshake::responder::Output::Confirmed)).
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

    /// The WebSocket message of `frame`: [`sealed_len`] of its plaintext. After a [`Head::Rekey`] this side has rekeyed.
    ///
    /// # Errors
    /// [`NoiseError::OutOfTurn`], [`NoiseError::Exhausted`]: the link is at its end.
    pub fn seal(&mut self, frame: &Frame) -> Result<Bytes, NoiseError> {
        let mut room = [0; _];
        let head = frame.encoded_head(&mut room);
        let mut message = self.messages.buffer(sealed_len(head.len().saturating_add(frame.body.len())));
        let (beside, rest) = frame.body.split_at_checked(MAX_SEGMENT.saturating_sub(head.len())).unwrap_or((&frame.body, &[]));
        let mut segments = message.chunks_mut(MAX_SEGMENT + SEGMENT_OVERHEAD);
        self.seal_segment(segments.next().unwrap_or_default(), [&head, beside])?;
        for (segment, chunk) in segments.zip(rest.chunks(MAX_SEGMENT)) {
            self.seal_segment(segment, [chunk, &[]])?;
        }
        if frame.head == Head::Rekey {
            self.noise.rekey_sending();
            self.sealed = 0;
        }
        Ok(self.messages.hand_out(message))
    }

    /// The same with the body of a `Data` or `Peer` in a tail, outside Noise: for a relay to a viewer. There are many viewers,
    /// and some of them read slowly: no such message is kept.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn seal_with_tail(&mut self, frame: &Frame) -> Result<Bytes, NoiseError> {
        if !matches!(frame.head, Head::Data { .. } | Head::Peer { .. }) {
            return self.seal(frame);
        }
        let mut room = [0; _];
        let head = frame.encoded_head(&mut room);
        let segment = sealed_len(head.len());
        let mut message = Vec::with_capacity(segment.saturating_add(2).saturating_add(frame.body.len()));
        message.resize(segment, 0);
        self.seal_segment(&mut message, [&head, &[]])?;
        message.extend_from_slice(&[0, 0]);
        message.extend_from_slice(&frame.body);
        Ok(message.into())
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
        let mut plaintext = self.plaintexts.buffer(plaintext_len(message));
        let mut rest = &mut plaintext[..];
        let mut segments = parts(message);
        for segment in segments.by_ref() {
            let segment = segment.ok()?;
            let (place, behind) = mem::take(&mut rest).split_at_mut_checked(segment.len().saturating_sub(TAG_LEN))?;
            self.noise.open_to(segment, place).ok()?;
            rest = behind;
        }
        match (segments.tail(), self.tails) {
            (None, _) => Frame::take(self.plaintexts.hand_out(plaintext)).ok(),
            (Some(tail), Tails::Accepted) => Frame::decode_with_tail(&plaintext, message.slice_ref(tail)).ok(),
            (Some(_), Tails::Refused) => None,
        }
    }

    /// Fills one segment with both parts of its plaintext.
    fn seal_segment(&mut self, segment: &mut [u8], plaintext: [&[u8]; 2]) -> Result<(), NoiseError> {
        let (length, message) = segment.split_first_chunk_mut().ok_or(NoiseError::TooLong)?;
        // A Noise message is at most 65,535 bytes long.
        *length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
        self.noise.seal_to(plaintext, message)?;
        self.sealed = self.sealed.saturating_add(1);
        Ok(())
    }
}

/// How long the plaintext of a message will be, if it opens: just so much is reserved for it.
fn plaintext_len(message: &[u8]) -> usize {
    parts(message).map_while(Result::ok).map(|segment| segment.len().saturating_sub(TAG_LEN)).sum()
}

#[cfg(test)]
mod tests;
