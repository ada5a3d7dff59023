//! The loop around a machine, as `proto_core::machine` describes it: the only one in the product.
//!
//! ```text
//!   Host::facts ──all that are there──►┌───────┐  1. Timer::wall      both clocks, read once
//!   Timer::sleep_until ──deadline────► │ drive │  2. handle_clock     where the wall clock was set, or the machine slept
//!                                      │       │  3. handle_timeout   where something is due
//!   Host::perform ◄──every output───── │       │  4. handle_input     for each fact, in order
//!   Host::flush ◄──once a turn──────── └───────┘     after each of 2, 3 and 4: a complete drain
//! ```
//!
//! [`DriverLoop`] is the loop without the waiting, for drivers without futures; [`drive`] waits, and takes the same turns.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use proto_core::{Deadline, Machine, Misuse, Status, WallClock};

use crate::{ClockStepDetector, runtime::before};

/// After how many turns the loop lets others run, however many inputs wait.
const TURNS: u32 = 64;

/// Room for this many inputs is kept from turn to turn, so that a loop that waits for long holds little.
const KEPT: usize = 8;

/// A clock of some runtime that also wakes up.
pub trait Timer {
    /// Both clocks, read at once. The loop does so once a turn.
    fn wall(&self) -> WallClock;

    /// Waits until the deadline is reached, however early the runtime wakes up; for ever without one. Has to be safe to cancel,
    /// and cheap to call again with the same deadline.
    fn sleep_until(&mut self, deadline: Option<Deadline>) -> impl Future<Output = ()> + Send;
}

/// Where a machine's outputs go.
pub trait Perform<M: Machine> {
    /// Performs, or reports, one output.
    fn perform(&mut self, output: M::Output);

    /// The machine did not take the latest fact; nothing has changed.
    fn refused(&mut self, misuse: Misuse);
}

/// What surrounds a machine: where its inputs come from and where its outputs go.
pub trait MachineIo<M: Machine>: Perform<M> {
    /// Waits for inputs, and puts all that are there into `inputs`, which is empty: they are handed over with one reading of the
    /// clocks, in order. How many that are at most, the host decides. Has to be safe to cancel: inputs are only put there when
    /// nothing is waited for afterwards.
    fn inputs(&mut self, machine: &M, inputs: &mut Vec<M::Input>) -> impl Future<Output = Next> + Send;

    /// The machine was drained after a turn: hands on what [`perform`](Perform::perform) has collected. The loop waits for that,
    /// and takes no inputs meanwhile. Nothing, where nothing is collected.
    fn flush(&mut self, _machine: &M) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// What is wanted of the loop after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another turn, as long as the machine runs.
    GoOn,
    /// The end, once the inputs that came with this were taken.
    Stop,
}

/// The turns of the loop around one machine.
#[derive(Clone, Copy, Debug)]
pub struct DriverLoop {
    steps: ClockStepDetector,
}

impl DriverLoop {
    /// Before the first turn. `wall` is the reading with which the machine was made.
    pub const fn new(wall: WallClock) -> Self {
        Self { steps: ClockStepDetector::new(wall) }
    }

    /// Before the first turn: takes what a machine wants that has just been made.
    pub fn begin<M: Machine>(&self, machine: &mut M, host: &mut impl Perform<M>) {
        drain(machine, host);
    }

    /// Whether a turn with this reading would tell the machine of a step of the wall clock.
    pub const fn notices(&self, wall: WallClock) -> bool {
        self.steps.notices(wall.at(), wall)
    }

    /// One turn at the moment of `wall`: tells the machine how the clocks moved, fires what is due, hands over the inputs, and
    /// drains the machine completely after each of these. What was due comes before what arrived, so that the outcome does not
    /// depend on how late the driver wakes up (L10).
    pub fn turn<M: Machine>(
        &mut self,
        machine: &mut M,
        wall: WallClock,
        inputs: impl IntoIterator<Item = M::Input>,
        host: &mut impl Perform<M>,
    ) {
        let now = wall.at();
        if let Some(wall) = self.steps.stepped(now, wall) {
            machine.handle_clock(now, wall);
            drain(machine, host);
        }
        if machine.poll_timeout().is_some_and(|deadline| deadline.at <= now) {
            machine.handle_timeout(now);
            drain(machine, host);
        }
        for fact in inputs {
            if let Err(misuse) = machine.handle_input(now, fact) {
                host.refused(misuse);
            }
            drain(machine, host);
        }
    }
}

fn drain<M: Machine>(machine: &mut M, host: &mut impl Perform<M>) {
    while let Some(output) = machine.poll_output() {
        host.perform(output);
    }
}

/// Runs `machine` until it has ended and its last output was performed, or until the host wants no more of it. Safe to cancel,
/// except while the host flushes: the machine stays as it is, and can be driven on with the same `turns`.
pub async fn drive<M: Machine>(machine: &mut M, turns: &mut DriverLoop, timer: &mut impl Timer, host: &mut impl MachineIo<M>) {
    let mut inputs = Vec::new();
    turns.begin(machine, host);
    host.flush(machine).await;
    for turn in (1..=TURNS).cycle() {
        if !matches!(machine.status(), Status::Running { .. }) {
            return;
        }
        if turn == TURNS {
            let_others_run().await;
        }
        let next =
            before(timer.sleep_until(machine.poll_timeout().map(Deadline::in_words)), host.inputs(machine, &mut inputs)).await;
        if inputs.len() < KEPT {
            inputs.shrink_to(KEPT);
        }
        turns.turn(machine, timer.wall(), inputs.drain(..), host);
        host.flush(machine).await;
        if next == Some(Next::Stop) {
            return;
        }
    }
}

async fn let_others_run() {
    let mut waited = false;
    poll_fn(|cx: &mut Context<'_>| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
