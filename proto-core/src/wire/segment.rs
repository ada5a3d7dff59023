//! A WebSocket message of the transport phase: segments, each one Noise transport message, then perhaps a tail.
//!
//! ```text
//! segment   length n, 2 bytes big-endian, 17 … 65,535   then n bytes of Noise ciphertext
//! tail      0x0000                                      then all the rest, not encrypted by Noise
//! ```
//!
//! The plaintexts of the segments, one after the other, are the frame. With a tail they are only its head, and the tail is
//! its body. Only a relay uses a tail, towards viewers, and only for bodies that are sealed end to end: so one sealed record
//! goes to many viewers as it came, and each of them only gets a small head of its own.

use super::Malformed;

/// The longest plaintext of one segment: 65,535 less the tag.
pub const MAX_SEGMENT: usize = 65_535 - 16;
/// What a segment adds to its plaintext: length and tag.
pub const SEGMENT_OVERHEAD: usize = 2 + 16;

/// The length of the message that carries a plaintext of `len` bytes without a tail.
pub const fn sealed_len(len: usize) -> usize {
    let segments = if len == 0 { 1 } else { len.div_ceil(MAX_SEGMENT) };
    len.saturating_add(segments.saturating_mul(SEGMENT_OVERHEAD))
}

/// Walks through the pieces of a message.
pub fn parts(message: &[u8]) -> Pieces<'_> {
    Pieces { rest: message, tail: None }
}

/// The iterator of [`parts`]: ciphertexts in order, then [`Pieces::tail`].
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    rest: &'a [u8],
    tail: Option<&'a [u8]>,
}

impl<'a> Pieces<'a> {
    /// Once the ciphertexts are through: the tail, where there is one.
    pub const fn tail(&self) -> Option<&'a [u8]> {
        self.tail
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let piece = take_piece(self.rest);
        let (rest, item) = match piece {
            Some((rest, Piece::Ciphertext(bytes))) => (rest, Some(Ok(bytes))),
            Some((rest, Piece::Tail(bytes))) => {
                self.tail = Some(bytes);
                (rest, None)
            }
            None => (&[][..], Some(Err(Malformed("segment")))),
        };
        self.rest = rest;
        item
    }
}

enum Piece<'a> {
    Ciphertext(&'a [u8]),
    Tail(&'a [u8]),
}

fn take_piece(bytes: &[u8]) -> Option<(&[u8], Piece<'_>)> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    match usize::from(u16::from_be_bytes(*length)) {
        0 => Some((&[], Piece::Tail(rest))),
        1..=16 => None,
        n => rest.split_at_checked(n).map(|(ciphertext, rest)| (rest, Piece::Ciphertext(ciphertext))),
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::*;

    #[test]
    fn pieces_come_in_order_and_a_tail_ends_them() {
        let mut message = vec![0, 17];
        message.extend([1; 17]);
        message.extend([0, 18]);
        message.extend([2; 18]);
        message.extend([0, 0, 9, 9]);
        let mut pieces = parts(&message);
        let lengths: Vec<_> = pieces.by_ref().map(|p| p.unwrap().len()).collect();
        assert_eq!(lengths, [17, 18]);
        assert_eq!(pieces.tail(), Some(&[9, 9][..]));
    }

    #[test]
    fn cut_and_short_segments_are_malformed() {
        for bad in [&[0_u8][..], &[0, 16, 1], &[0, 17, 1, 2], &[255, 255]] {
            assert!(parts(bad).any(|p| p.is_err()), "{bad:?}");
        }
    }

    #[test]
    fn lengths_are_known_in_advance() {
        assert_eq!(sealed_len(0), 18);
        assert_eq!(sealed_len(MAX_SEGMENT), MAX_SEGMENT + 18);
        assert_eq!(sealed_len(MAX_SEGMENT + 1), MAX_SEGMENT + 1 + 36);
    }
}
