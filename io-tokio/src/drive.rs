//! The loop around a machine, as `proto_core::machine` describes it.

use proto_core::{Instant, Machine, Misuse, Status};

use crate::Clock;

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
pub async fn drive<M: Machine>(machine: &mut M, clock: &mut Clock, host: &mut impl Host<M>) {
    loop {
        drain(machine, host);
        if !matches!(machine.status(), Status::Running { .. }) {
            return;
        }
        let fact = tokio::select! {
            fact = host.fact() => Some(fact),
            () = clock.sleep_until(machine.poll_timeout()) => None,
        };
        let now = clock.now();
        fire_due(machine, now, host);
        if let Some(Err(misuse)) = fact.map(|fact| machine.handle_input(now, fact)) {
            host.refused(misuse);
        }
    }
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

#[cfg(test)]
mod tests;
