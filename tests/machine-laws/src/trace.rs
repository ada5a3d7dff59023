//! Traces: what happens to a machine, and when.

use std::{fmt::Debug, time::Duration};

use proptest::{collection::vec, prelude::*, strategy::BoxedStrategy};

/// What happens to a machine, from its start on.
#[derive(Clone, Debug)]
pub struct Trace<F> {
    /// For [`Subject::start`](crate::Subject::start).
    pub seed: u64,
    /// In order.
    pub steps: Vec<Step<F>>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step<F> {
    /// A fact arrives now.
    Fact(F),
    /// A fact arrives, and the clock says that it is this much earlier than at the latest call.
    Back(F, Duration),
    /// The driver is busy or suspended this long; then it fires what is due.
    Advance(Duration),
    /// The driver sleeps until exactly the deadline.
    Deadline,
    /// A fact arrives one nanosecond before the deadline.
    JustBefore(F),
    /// The wall clock is set to this, in seconds since 1970, or went on to it while the computer slept, and the driver says so.
    Clock(u64),
}

/// Traces of up to 48 steps.
pub(crate) fn traces<F: Clone + Debug + 'static>(facts: BoxedStrategy<F>, unix: u64) -> impl Strategy<Value = Trace<F>> {
    let step = prop_oneof![
        8 => facts.clone().prop_map(Step::Fact),
        1 => (facts.clone(), durations()).prop_map(|(fact, by)| Step::Back(fact, by)),
        2 => durations().prop_map(Step::Advance),
        3 => Just(Step::Deadline),
        1 => facts.prop_map(Step::JustBefore),
        1 => stamps(unix).prop_map(Step::Clock),
    ];
    (any::<u64>(), vec(step, 0..48)).prop_map(|(seed, steps)| Trace { seed, steps })
}

/// Wall clocks that are right, a little wrong, and far off.
fn stamps(unix: u64) -> impl Strategy<Value = u64> {
    prop_oneof![Just(unix), unix.saturating_sub(7_200)..unix.saturating_add(7_200), any::<u64>()]
}

/// From nothing to about three days, each order of magnitude as likely as the next.
fn durations() -> impl Strategy<Value = Duration> {
    (0_u32..=48, any::<u64>()).prop_map(|(bits, random)| Duration::from_nanos(random & ((1 << bits) - 1)))
}
