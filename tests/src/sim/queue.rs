//! What is going to happen, in the order of its time.

use std::{cmp::Reverse, collections::BinaryHeap};

use proto_core::Instant;

/// A queue by time; what is due at the same moment comes in the order in which it was put in.
#[derive(Debug)]
pub(super) struct Queue<E> {
    heap: BinaryHeap<Reverse<Due>>,
    /// The events, each in its place: what is sorted is small.
    events: Vec<Option<E>>,
    /// Places that are empty.
    empty: Vec<usize>,
    number: u64,
}

/// When the event in a place is due; no two have the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Instant,
    number: u64,
    place: usize,
}

impl<E> Queue<E> {
    pub(super) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), events: Vec::new(), empty: Vec::new(), number: 0 }
    }

    pub(super) fn put(&mut self, at: Instant, event: E) {
        self.number += 1;
        let place = self.empty.pop().unwrap_or(self.events.len());
        if place == self.events.len() {
            self.events.push(Some(event));
        } else {
            self.events[place] = Some(event);
        }
        self.heap.push(Reverse(Due { at, number: self.number, place }));
    }

    /// When the next event is due.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(due)| due.at)
    }

    pub(super) fn pop(&mut self) -> Option<(Instant, E)> {
        let Reverse(Due { at, place, .. }) = self.heap.pop()?;
        self.empty.push(place);
        self.events[place].take().map(|event| (at, event))
    }
}
