//! Buffers that were handed out and come back.
//!
//! What a machine seals or opens goes into a buffer of its own, which it hands out and which its receiver drops. To make one costs
//! two blocks of memory and zeros all over, which with AES in hardware takes half as long as sealing. One that comes back costs
//! nothing, and so a steady stream of long frames asks for no memory at all.

use alloc::collections::VecDeque;
use core::{
    fmt,
    hash::{Hash, Hasher},
    ops::RangeInclusive,
};

use bytes::{Bytes, BytesMut};

/// Buffers that were handed out, the oldest first: one is used again once it has no other owner.
///
/// They are no part of a machine's state: nothing that it does depends on them, so all are equal, and a clone has none. At most
/// [`BufferPool::MAX`] of at most 64 KiB each are held, and each short frame gives one up: a link at rest, which pings, soon holds
/// none.
#[derive(Default)]
pub struct BufferPool(VecDeque<Bytes>);

impl BufferPool {
    /// The most buffers that are held.
    pub const MAX: usize = 4;

    /// What is shorter is made and dropped as quickly; what is longer is too much to hold, and rare.
    const LENGTHS: RangeInclusive<usize> = 4 << 10..=64 << 10;

    /// A buffer of `len` bytes, with something in them: the caller overwrites all of them before it hands any out.
    pub fn buffer(&mut self, len: usize) -> BytesMut {
        if !Self::LENGTHS.contains(&len) {
            self.0.pop_front();
            return BytesMut::zeroed(len);
        }
        for _ in 0..self.0.len() {
            match self.0.pop_front().map(Bytes::try_into_mut) {
                Some(Ok(mut spare)) if fits(&spare, len) => {
                    spare.resize(len, 0);
                    return spare;
                }
                Some(Ok(other)) => self.0.push_back(other.freeze()),
                Some(Err(busy)) => self.0.push_back(busy),
                None => break,
            }
        }
        fresh(len)
    }

    /// Hands a buffer out that is full, and has it back when it was dropped.
    #[inline]
    pub fn hand_out(&mut self, buffer: BytesMut) -> Bytes {
        let bytes = buffer.freeze();
        if Self::LENGTHS.contains(&bytes.len()) {
            self.take_back(bytes.clone());
        }
        bytes
    }

    /// Reuses `bytes`, which came from [`buffer`](Self::buffer), once they have no other owner.
    #[inline]
    pub fn take_back(&mut self, bytes: Bytes) {
        if !Self::LENGTHS.contains(&bytes.len()) {
            return;
        }
        if self.0.len() == Self::MAX && self.0.front().is_some_and(Bytes::is_unique) {
            // It has been back for long, and of another length than what is wanted now.
            self.0.pop_front();
        }
        if self.0.len() < Self::MAX {
            self.0.push_back(bytes);
        }
    }
}

/// Whether there is room enough, and no more than twice as much: what is kept for long takes about as much memory as it is long.
fn fits(spare: &BytesMut, len: usize) -> bool {
    (len..=len.saturating_mul(2)).contains(&spare.capacity())
}

/// Whole pages, so that a few bytes more fit the next time.
fn fresh(len: usize) -> BytesMut {
    let mut buffer = BytesMut::zeroed(len.next_multiple_of(4 << 10));
    // Allocates the reference count now, and for good: `freeze` alone allocates one whenever the buffer is shared.
    drop(buffer.split_off(buffer.len()));
    buffer.truncate(len);
    buffer
}

impl Clone for BufferPool {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for BufferPool {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for BufferPool {}

impl Hash for BufferPool {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BufferPool")
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec::Vec};

    use super::*;
    use crate::testing::fingerprint;

    const LONG: usize = 20_000;

    fn hand_out(buffers: &mut BufferPool, len: usize) -> Bytes {
        let mut buffer = buffers.buffer(len);
        buffer.fill(7);
        buffers.hand_out(buffer)
    }

    /// L8: a buffer without another owner is used again, and one that is still read is not touched.
    #[test]
    fn a_buffer_is_used_again_once_it_has_no_other_owner() {
        let mut buffers = BufferPool::default();
        let first = hand_out(&mut buffers, LONG);
        let place = first.as_ptr();
        let view = first.slice(LONG - 1..);
        drop(first);
        let mut second = buffers.buffer(LONG + 5);
        assert_ne!(second.as_ptr(), place);
        second.fill(9);
        assert_eq!(view[..], [7]);
        drop((view, second));
        let again = hand_out(&mut buffers, LONG + 5);
        assert_eq!((again.as_ptr(), again.len()), (place, LONG + 5));
    }

    /// Lengths that take turns do not drive each other out; and what is short takes no memory that is long.
    #[test]
    fn a_buffer_is_at_most_twice_as_long_as_what_is_in_it() {
        let mut buffers = BufferPool::default();
        let places: Vec<_> = [LONG, 3 * LONG].map(|len| hand_out(&mut buffers, len).as_ptr()).into();
        assert_eq!(buffers.0.len(), 2);
        for _ in 0..3 {
            assert_eq!([LONG, 3 * LONG].map(|len| hand_out(&mut buffers, len).as_ptr()), places[..]);
        }
        assert_ne!(hand_out(&mut buffers, 25_000).as_ptr(), places[1], "room, but too much of it");
    }

    /// Bounded memory: four at most, none that is too long to hold, and none for long on a link that only pings.
    #[test]
    fn few_buffers_are_held_and_none_on_a_quiet_link() {
        let mut buffers = BufferPool::default();
        let held: Vec<_> = (0..2 * BufferPool::MAX).map(|_| hand_out(&mut buffers, LONG)).collect();
        assert_eq!(buffers.0.len(), BufferPool::MAX);
        drop(held);
        hand_out(&mut buffers, 64 * 1024 + 1);
        assert_eq!(buffers.0.len(), BufferPool::MAX - 1);
        for left in (0..BufferPool::MAX - 1).rev() {
            assert_eq!(hand_out(&mut buffers, 20).len(), 20);
            assert_eq!(buffers.0.len(), left);
        }
    }

    /// A stream whose frames have another length than those before is served too.
    #[test]
    fn spares_of_another_length_make_room() {
        let mut buffers = BufferPool::default();
        drop((0..BufferPool::MAX).map(|_| hand_out(&mut buffers, 3 * LONG)).collect::<Vec<_>>());
        let place = hand_out(&mut buffers, LONG).as_ptr();
        assert_eq!(hand_out(&mut buffers, LONG).as_ptr(), place);
        assert_eq!(buffers.0.len(), BufferPool::MAX);
    }

    /// L5: two machines in the same state are equal, whatever they hold in reserve.
    #[test]
    fn spares_are_no_part_of_a_state() {
        let mut some = BufferPool::default();
        hand_out(&mut some, LONG);
        let none = some.clone();
        assert_eq!((some.0.len(), none.0.len()), (1, 0));
        assert_eq!(some, none);
        assert_eq!(fingerprint(&some), fingerprint(&none));
        assert_eq!([format!("{some:?}"), format!("{none:?}")], ["BufferPool"; 2]);
    }
}
