//! The loop around a machine, as `proto_core::machine` describes it.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use proto_core::{Deadline, Instant, Machine, Misuse, Status};

use crate::runtime::before;

/// After how many turns the loop lets others run, however many facts wait.
const TURNS: u32 = 64;

/// A clock of some runtime that also wakes up.
pub trait Timer {
    /// The time since the clock's zero.
    fn now(&self) -> Instant;

    /// Waits until the deadline is reached, however early the runtime wakes up; for ever without one. Has to be safe to cancel,
    /// and cheap to call again with the same deadline.
    fn sleep_until(&mut self, deadline: Option<Deadline>) -> impl Future<Output = ()> + Send;
}

/// What a machine stands in: where its facts come from and where its outputs go.
pub trait Host<M: Machine> {
    /// Waits for the next fact. Has to be safe to cancel.
    fn fact(&mut self) -> impl Future<Output = M::Input> + Send;

    /// Performs, or reports, one output.
    fn perform(&mut self, output: M::Output);

    /// The machine did not take the latest fact; nothing has changed.
    fn refused(&mut self, misuse: Misuse);
}

/// Runs `machine` until it has ended, and its last output was performed. Safe to cancel: the machine stays as it is, and can be
/// driven on.
pub async fn drive<M: Machine>(machine: &mut M, timer: &mut impl Timer, host: &mut impl Host<M>) {
    for turn in (1..=TURNS).cycle() {
        drain(machine, host);
        if !matches!(machine.status(), Status::Running { .. }) {
            return;
        }
        if turn == TURNS {
            let_others_run().await;
        }
        let fact = before(timer.sleep_until(machine.poll_timeout()), host.fact()).await;
        let now = timer.now();
        fire_due(machine, now, host);
        if let Some(Err(misuse)) = fact.map(|fact| machine.handle_input(now, fact)) {
            host.refused(misuse);
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

/// What was due comes before what arrived, so that the outcome does not depend on how late the runtime wakes up (L10).
fn fire_due<M: Machine>(machine: &mut M, now: Instant, host: &mut impl Host<M>) {
    if machine.poll_timeout().is_some_and(|deadline| deadline.at <= now) {
        machine.handle_timeout(now);
        drain(machine, host);
    }
}

fn drain<M: Machine>(machine: &mut M, host: &mut impl Host<M>) {
    while let Some(output) = machine.poll_output() {
        host.perform(output);
    }
}
