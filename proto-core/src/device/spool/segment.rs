//! One file of a spool: sealed records as frames of the wire, each behind its length.
//!
//! ```text
//! length   4 bytes big-endian
//! frame    that many bytes: `Data`, or `End` behind the last record (WIRE section 5)
//! ```
//!
//! Records have been sealed by the process that made them: without the session's secret the file tells a reader nothing.

use alloc::vec::Vec;

use bytes::{Buf as _, Bytes};

use crate::{
    SessionId,
    wire::{Frame, Head},
};

/// The number of a record, or of the end, which counts as one more.
pub(super) const fn number(frame: &Frame) -> Option<u64> {
    match frame.head {
        Head::Data { sequence, .. } => Some(sequence),
        Head::End { next, .. } => Some(next),
        _ => None,
    }
}

/// How many bytes a frame takes in a segment, at most.
pub(super) fn len(frame: &Frame) -> usize {
    4_usize.saturating_add(Frame::MAX_HEAD).saturating_add(frame.body.len())
}

/// Appends a frame.
pub(super) fn append(segment: &mut Vec<u8>, frame: &Frame) {
    let encoded = frame.encode();
    // A frame is no longer than the longest message, far below 4 GiB.
    segment.extend_from_slice(&u32::try_from(encoded.len()).unwrap_or(u32::MAX).to_be_bytes());
    segment.extend_from_slice(&encoded);
}

/// The frames of a segment of `session` that begins with number `first`, up to the first one that is not whole or does not
/// continue: what a crash tore off ends there.
pub(super) fn read(session: SessionId, first: u64, contents: &Bytes) -> Vec<Frame> {
    let mut rest = contents.clone();
    let mut next = first;
    core::iter::from_fn(|| {
        let length = rest.try_get_u32().ok().and_then(|length| usize::try_from(length).ok())?;
        let whole = (length <= rest.len()).then(|| rest.split_to(length))?;
        let frame = Frame::take(whole).ok()?;
        let continues = frame.head.session() == Some(session) && number(&frame) == Some(next);
        next = next.saturating_add(1);
        continues.then_some(frame)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::wire::Outcome;

    const ID: SessionId = SessionId([7; 16]);

    fn frames() -> [Frame; 3] {
        let data = |sequence| Frame { head: Head::Data { session: ID, epoch: 0, sequence }, body: Bytes::from(vec![1; 30]) };
        [data(5), data(6), Head::End { session: ID, next: 7, outcome: Outcome::Exited }.into()]
    }

    fn written() -> Vec<u8> {
        let mut segment = Vec::new();
        for frame in &frames() {
            append(&mut segment, frame);
        }
        segment
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(ID, 5, &written().into()), frames());
        assert!(written().len() <= frames().iter().map(len).sum());
    }

    /// SPOOL-2: wherever a crash tears a segment, what is whole before that is read, and nothing else.
    #[test]
    fn a_torn_segment_is_read_up_to_the_tear() {
        let whole = written();
        let mut lens = Vec::new();
        for len in 0..whole.len() {
            let torn = read(ID, 5, &Bytes::copy_from_slice(&whole[..len]));
            assert_eq!(torn, frames()[..torn.len()]);
            lens.push(torn.len());
        }
        assert!(lens.is_sorted() && lens.last() == Some(&2));
    }

    #[test]
    fn what_does_not_continue_is_not_read() {
        assert_eq!(read(ID, 4, &written().into()), []);
        assert_eq!(read(SessionId([8; 16]), 5, &written().into()), []);
        let gap: Vec<u8> = [&written()[..], &written()[..]].concat();
        assert_eq!(read(ID, 5, &gap.into()).len(), 3);
    }
}
