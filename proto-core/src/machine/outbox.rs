//! The bounded queue of outputs that every machine has.

use alloc::collections::VecDeque;

/// A machine's outputs, waiting for the driver. Bounded (L8): see [`Outbox::has_room`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outbox<T> {
    queue: VecDeque<T>,
}

impl<T> Outbox<T> {
    /// The most that one `handle_*` call may leave behind undrained; a driver that drains never meets it.
    pub const LIMIT: usize = 65_536;

    /// An empty queue.
    pub const fn new() -> Self {
        Self { queue: VecDeque::new() }
    }

    /// Queues one output.
    pub fn push(&mut self, output: T) {
        self.queue.push_back(output);
    }

    /// Takes the oldest output.
    pub fn pop(&mut self) -> Option<T> {
        self.queue.pop_front()
    }

    /// Whether the driver has been draining: a machine answers `Misuse::Full` when not.
    pub fn has_room(&self) -> bool {
        self.queue.len() < Self::LIMIT
    }
}

impl<T> Extend<T> for Outbox<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, outputs: I) {
        self.queue.extend(outputs);
    }
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L8: a queue has room below its limit, and again once something was taken.
    #[test]
    fn a_queue_has_room_below_its_limit() {
        let mut queue = Outbox::new();
        queue.extend(1..Outbox::<usize>::LIMIT);
        assert!(queue.has_room());
        queue.push(Outbox::<usize>::LIMIT);
        assert!(!queue.has_room());
        assert_eq!(queue.pop(), Some(1));
        assert!(queue.has_room());
    }
}
