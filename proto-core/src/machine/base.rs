//! What every machine has at its edge: the time as it knows it, its outputs that wait, and what it ignored.
//!
//! A machine's `handle_input` begins with [`MachineBase::enter`] and its `handle_timeout` with [`MachineBase::advance`]; so the
//! rules about room (L6, L8) and about a clock that goes back are kept in one place. A parent hands an input to a child with
//! [`MachineBase::feed`], and no refusal of a child is lost.

use super::{Machine, Misuse, outbox::Outbox, time::Instant, unhashed::Unhashed};

/// The edge of a machine with outputs of the type `O`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MachineBase<O> {
    latest: Instant,
    outbox: Outbox<O>,
    ignored: Unhashed<u64>,
}

impl<O> MachineBase<O> {
    /// The port of a machine that is made at `now`.
    pub const fn new(now: Instant) -> Self {
        Self { latest: now, outbox: Outbox::new(), ignored: Unhashed(0) }
    }

    /// An input comes in at `now`: the moment that counts, which is never earlier than the one before.
    ///
    /// # Errors
    /// [`Misuse::Full`] when the outputs were not drained ([`Outbox::LIMIT`]). Nothing has changed then.
    pub fn enter(&mut self, now: Instant) -> Result<Instant, Misuse> {
        if !self.outbox.has_room() {
            return Err(Misuse::Full("outputs"));
        }
        Ok(self.advance(now))
    }

    /// Time has passed: the moment that counts. A `now` that goes back counts as the latest one.
    pub fn advance(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// The moment of the latest call.
    pub const fn now(&self) -> Instant {
        self.latest
    }

    /// Queues one output.
    pub fn push(&mut self, output: O) {
        self.outbox.push(output);
    }

    /// Takes the oldest output: [`Machine::poll_output`].
    pub fn pop(&mut self) -> Option<O> {
        self.outbox.pop()
    }

    /// Counts an input that has no effect.
    pub const fn ignore(&mut self) {
        self.ignored.count();
    }

    /// How many inputs had no effect, here or in a child: [`Machine::ignored`].
    pub const fn ignored(&self) -> u64 {
        self.ignored.0
    }

    /// Hands an input to a child, at the latest moment. What the child ignores counts as ignored here too, so that nothing is
    /// forgotten with a child that ends.
    ///
    /// A parent drains its children before it returns and gives them only what they take, so a refusal is a mistake of the
    /// parent: it counts as an ignored input, and stops a build with debug assertions.
    pub fn feed<M: Machine>(&mut self, child: &mut M, input: M::Input) {
        let before = child.ignored();
        let taken = child.handle_input(self.latest, input);
        debug_assert!(taken.is_ok(), "a child refused an input: {taken:?}");
        let ignored = child.ignored().saturating_sub(before).saturating_add(u64::from(taken.is_err()));
        self.ignored = Unhashed(self.ignored.0.saturating_add(ignored));
    }
}

/// The port of a machine that is made without a clock.
impl<O> Default for MachineBase<O> {
    fn default() -> Self {
        Self::new(Instant::ZERO)
    }
}

impl<O> Extend<O> for MachineBase<O> {
    fn extend<I: IntoIterator<Item = O>>(&mut self, outputs: I) {
        self.outbox.extend(outputs);
    }
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;

    use super::*;
    use crate::{Deadline, Status};

    const fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    /// L6, L8: an input is refused while the outputs are not drained, and time stands still for it.
    #[test]
    fn a_full_port_refuses_inputs_and_keeps_its_time() {
        let mut port = MachineBase::new(at(5));
        port.extend(0..Outbox::<usize>::LIMIT);
        assert_eq!((port.enter(at(9)), port.now()), (Err(Misuse::Full("outputs")), at(5)));
        assert_eq!(port.advance(at(9)), at(9));
        assert_eq!(port.pop(), Some(0));
        assert_eq!(port.enter(at(10)), Ok(at(10)));
    }

    #[test]
    fn a_clock_that_goes_back_stands_still() {
        let mut port = MachineBase::<()>::new(at(5));
        assert_eq!((port.enter(at(3)), port.advance(at(4)), port.now()), (Ok(at(5)), at(5), at(5)));
    }

    /// Takes 1, ignores 0, refuses everything else.
    struct Child(MachineBase<()>);

    impl Machine for Child {
        type Input = u8;
        type Output = ();
        type Failure = Infallible;
        type Timer = Infallible;

        fn handle_input(&mut self, now: Instant, input: u8) -> Result<(), Misuse> {
            if input > 1 {
                return Err(Misuse::OutOfRange("more than 1"));
            }
            self.0.enter(now)?;
            if input == 0 {
                self.0.ignore();
            }
            Ok(())
        }

        fn handle_timeout(&mut self, _now: Instant) {}

        fn poll_output(&mut self) -> Option<()> {
            self.0.pop()
        }

        fn poll_timeout(&self) -> Option<Deadline<Infallible>> {
            None
        }

        fn status(&self) -> Status<'_, Infallible> {
            Status::Running { waiting_for: "a number" }
        }

        fn ignored(&self) -> u64 {
            self.0.ignored()
        }
    }

    #[test]
    fn what_a_child_ignores_counts_for_its_parent_and_time_is_the_parents() {
        let (mut parent, mut child) = (MachineBase::<()>::new(at(7)), Child(MachineBase::new(at(0))));
        for (input, ignored) in [(1, 0), (0, 1), (1, 1), (0, 2)] {
            parent.feed(&mut child, input);
            assert_eq!((parent.ignored(), child.0.now()), (ignored, at(7)));
        }
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "a child refused an input"))]
    fn a_refusal_of_a_child_is_not_lost() {
        let (mut parent, mut child) = (MachineBase::<()>::new(at(7)), Child(MachineBase::new(at(0))));
        parent.feed(&mut child, 2);
        assert_eq!(parent.ignored(), 1);
    }
}
