//! The loop around a machine without a runtime: the turns are those of `io_engine::drive`, and the adapter does the waiting.

use io_engine::{DriverLoop, Next, Perform, wall_clock};
use proto_core::{Deadline, Machine, Status};

use super::adapter::SuperLoop;

/// What surrounds a machine: where its facts come from and its outputs go.
pub(crate) trait MachineIo<M: Machine, I>: Perform<M> {
    /// Waits for facts, until the deadline at most, and puts all that are there into `inputs`.
    fn inputs(&mut self, adapter: &mut SuperLoop<I>, deadline: Option<Deadline>, inputs: &mut Vec<M::Input>) -> Next;

    /// The machine was drained after a turn: what it wants is begun.
    fn flush(&mut self, adapter: &mut SuperLoop<I>);
}

/// Runs `machine` until it has ended and its last output was performed, or until the host wants no more of it.
pub(crate) fn drive<M: Machine, I: Clone + PartialEq>(
    machine: &mut M,
    turns: &mut DriverLoop,
    adapter: &mut SuperLoop<I>,
    host: &mut impl MachineIo<M, I>,
) {
    let mut inputs = Vec::new();
    turns.begin(machine, host);
    host.flush(adapter);
    while matches!(machine.status(), Status::Running { .. }) {
        let next = host.inputs(adapter, machine.poll_timeout().map(Deadline::in_words), &mut inputs);
        turns.turn(machine, wall_clock(adapter.now()), inputs.drain(..), host);
        host.flush(adapter);
        if next == Next::Stop {
            return;
        }
    }
}
