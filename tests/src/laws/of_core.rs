//! The contract of the core in the words of [`machine_laws`].

use std::{
    fmt::{self, Debug},
    time::Duration,
};

use machine_laws::{Reading, Refused, Status};
use proptest::strategy::BoxedStrategy;
use proto_core::{Instant, Machine, Misuse, Outbox, UnixTime, WallClock};

use super::{InputOf, OutputOf, START, Subject};
use crate::fixtures::UNIX;

/// The subject of these laws that a subject of the core's is.
pub(super) struct CoreSubject<'a, S>(pub(super) &'a S);

impl<S: Subject> machine_laws::Subject for CoreSubject<'_, S> {
    type Machine = OfCore<S::Machine>;
    type Fact = S::Fact;

    const QUEUE: usize = Outbox::<()>::LIMIT;
    const MAX_OUTPUTS: usize = S::MAX_OUTPUTS;
    const MAX_DEBUG: usize = S::MAX_DEBUG;
    const FLOOD: usize = S::FLOOD;
    const START: Reading = Reading { at: Duration::from_nanos(START.as_nanos()), unix: UNIX.0 };

    fn start(&self, seed: u64) -> OfCore<S::Machine> {
        OfCore(self.0.start(seed))
    }

    fn facts(&self) -> BoxedStrategy<S::Fact> {
        self.0.facts()
    }

    fn before_flood(&self) -> Vec<S::Fact> {
        self.0.before_flood()
    }

    fn flood(&self) -> BoxedStrategy<S::Fact> {
        self.0.flood()
    }

    fn input(&self, fact: &S::Fact, said: &[OutputOf<S>]) -> InputOf<S> {
        self.0.input(fact, said)
    }
}

/// A machine of the core.
pub(super) struct OfCore<M>(M);

impl<M: Machine<Output: Clone + Debug + PartialEq> + Debug> machine_laws::Machine for OfCore<M> {
    type Input = M::Input;
    type Output = M::Output;
    type Timer = M::Timer;

    fn handle_input(&mut self, now: Duration, input: M::Input) -> Result<(), Refused> {
        self.0.handle_input(instant(now), input).map_err(|misuse| match misuse {
            Misuse::Full(_) => Refused::Full,
            misuse => Refused::Misuse(misuse.to_string()),
        })
    }

    fn handle_timeout(&mut self, now: Duration) {
        self.0.handle_timeout(instant(now));
    }

    fn handle_clock(&mut self, now: Duration, reading: Reading) {
        self.0.handle_clock(instant(now), WallClock::new(instant(reading.at), UnixTime(reading.unix)));
    }

    fn poll_output(&mut self) -> Option<M::Output> {
        self.0.poll_output()
    }

    fn poll_timeout(&self) -> Option<(Duration, M::Timer)> {
        self.0.poll_timeout().map(|deadline| (Duration::from_nanos(deadline.at.as_nanos()), deadline.timer))
    }

    fn status(&self) -> Status {
        match self.0.status() {
            proto_core::Status::Running { waiting_for } => Status::Waiting(waiting_for.into()),
            proto_core::Status::Finished => Status::Finished,
            proto_core::Status::Failed(why) => Status::Failed(format!("{why:?}")),
        }
    }

    fn ignored(&self) -> u64 {
        self.0.ignored()
    }
}

impl<M: Debug> Debug for OfCore<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn instant(at: Duration) -> Instant {
    Instant::from_nanos(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX))
}
