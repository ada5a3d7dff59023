//! Sealed records that are not durable at the relay yet.

use alloc::collections::VecDeque;

use bytes::Bytes;

use crate::BufferPool;

/// A row of sealed records without gaps: the first is the oldest that the relay has not acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Retained {
    first: u64,
    records: VecDeque<Sealed>,
    bytes: usize,
    /// Bytes of all records ever pushed before the one at the front.
    forgotten: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sealed {
    epoch: u32,
    body: Bytes,
    /// Bytes of all records before this one, so that a window is one subtraction.
    offset: u64,
}

impl Retained {
    /// The number that the next record gets.
    pub(super) fn next(&self) -> u64 {
        self.first.saturating_add(self.records.len() as u64)
    }

    /// The number of the oldest record that is kept, or of the next one.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn push(&mut self, epoch: u32, body: Bytes) {
        let offset = self.forgotten.saturating_add(self.bytes as u64);
        self.bytes = self.bytes.saturating_add(body.len());
        self.records.push_back(Sealed { epoch, body, offset });
    }

    /// The record number `sequence`, unless it lies `window` bytes or more behind the oldest one.
    pub(super) fn get(&self, sequence: u64, window: usize) -> Option<(u32, &Bytes)> {
        let index = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        let record = self.records.get(index)?;
        let ahead = record.offset.saturating_sub(self.forgotten);
        (ahead < window as u64).then_some((record.epoch, &record.body))
    }

    /// Whether one can go on at `next`: it is among what is kept, or just behind it.
    pub(super) fn reaches(&self, next: u64) -> bool {
        (self.first..=self.next()).contains(&next)
    }

    /// Forgets every record below `next`: `buffers` has their memory. False, and nothing happens, when `next` is not among what is
    /// kept.
    pub(super) fn acknowledge(&mut self, next: u64, buffers: &mut BufferPool) -> bool {
        if !self.reaches(next) {
            return false;
        }
        while self.first < next {
            if let Some(record) = self.records.pop_front() {
                self.bytes = self.bytes.saturating_sub(record.body.len());
                self.forgotten = self.forgotten.saturating_add(record.body.len() as u64);
                buffers.take_back(record.body);
            }
            self.first = self.first.saturating_add(1);
        }
        true
    }
}
