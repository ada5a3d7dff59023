//! Children that others of their kind came before: a late answer to one of those is not for the one that lives now.

use alloc::boxed::Box;

use crate::{Deadline, Machine, machine::timed::Timed};

/// Tells a child from the one that it came after: a pairing from the one before it, a bridge or a viewer from the one that it took
/// over from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u32);

/// Counts the lives of one parent's children.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct IncarnationCounter(u32);

impl IncarnationCounter {
    /// One that none of the others has, of the latest four billion.
    pub(crate) const fn next(&mut self) -> Incarnation {
        self.0 = self.0.wrapping_add(1);
        Incarnation(self.0)
    }
}

/// A child and its life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Child<M> {
    pub(crate) life: Incarnation,
    /// In memory of its own: a map makes room for eleven of its values at a time, and most devices have one binding or two.
    pub(crate) machine: Box<M>,
}

impl<M: Machine> Child<M> {
    pub(crate) fn new(life: Incarnation, machine: M) -> Self {
        Self { life, machine: Box::new(machine) }
    }
}

impl<M: Machine> Timed for Child<M> {
    type Timer = M::Timer;

    fn deadline(&self) -> Option<Deadline<M::Timer>> {
        self.machine.poll_timeout()
    }
}
