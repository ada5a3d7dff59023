//! Frames over a Noise session: what one WebSocket message holds after the handshake (WIRE section 5).
//!
//! ```text
//! Frame ── encode ──► head ‖ body ── cut every 65,519 bytes ──► segment segment … ──► one WebSocket message
//! Frame ── encode ──► head ── one segment ──► segment 0x0000 body                 ──► the same with a tail
//! ```

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel<N> {
    noise: N,
    tails: Tails,
    sealed: u64,
}

/// Leaves out how many messages are left before the key must change, so that an explorer does not follow a link that idles.
impl<N: Hash> Hash for Channel<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { noise, tails, sealed } = self;
        (noise, tails, *sealed >= REKEY_AFTER).hash(state);
    }
}

impl<N: Noise> Channel<N> {
    /// Frames over `noise`, whose handshake is through.
    pub const fn new(noise: N, tails: Tails) -> Self {
        Self { noise, tails, sealed: 0 }
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

    /// Appends the WebSocket message of `frame` to `out`: [`sealed_len`] of its plaintext. After a [`Head::Rekey`] this side
    /// has rekeyed.
    ///
    /// # Errors
    /// [`NoiseError::OutOfTurn`], [`NoiseError::Exhausted`]: the link is at its end.
    pub fn seal(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), NoiseError> {
        let head = frame.head_len();
        out.reserve_exact(sealed_len(head.saturating_add(frame.body.len())));
        let room = SEGMENT_MAX.saturating_sub(head);
        let (beside, rest) = frame.body.split_at_checked(room).unwrap_or((&frame.body, &[]));
        self.seal_segment(out, Some(frame), beside)?;
        rest.chunks(SEGMENT_MAX).try_for_each(|chunk| self.seal_segment(out, None, chunk))?;
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
        let tail = frame.body.len().saturating_add(2);
        out.reserve_exact(sealed_len(frame.head_len()).saturating_add(tail));
        self.seal_segment(out, Some(frame), &[])?;
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
        let mut plaintext = Vec::with_capacity(plaintext_len(message));
        let mut segments = parts(message);
        for segment in segments.by_ref() {
            self.noise.open(segment.ok()?, &mut plaintext).ok()?;
        }
        match (segments.tail(), self.tails) {
            (None, _) => Frame::take(Bytes::from(plaintext)).ok(),
            (Some(tail), Tails::Accepted) => Frame::decode_with_tail(&plaintext, message.slice_ref(tail)).ok(),
            (Some(_), Tails::Refused) => None,
        }
    }

    /// Appends one segment: the head of `frame`, where there is one, and `body`.
    fn seal_segment(&mut self, out: &mut Vec<u8>, head: Option<&Frame>, body: &[u8]) -> Result<(), NoiseError> {
        let start = out.len();
        out.extend_from_slice(&[0, 0]);
        let plaintext = out.len();
        if let Some(frame) = head {
            frame.encode_head(out);
        }
        out.extend_from_slice(body);
        self.noise.seal_in_place(out, plaintext).inspect_err(|_| out.truncate(start))?;
        // A Noise message is at most 65,535 bytes long.
        let length = u16::try_from(out.len().saturating_sub(plaintext)).unwrap_or(u16::MAX);
        if let Some(place) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
            *place = length.to_be_bytes();
        }
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
