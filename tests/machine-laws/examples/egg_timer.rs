//! An egg timer: set it, and it rings. All that its laws need to know of it.

use std::{collections::VecDeque, time::Duration};

use machine_laws::{Machine, Refused, Status, Subject, check};
use proptest::prelude::*;

/// How many outputs may wait.
const QUEUE: usize = 64;

#[derive(Debug, Default)]
struct EggTimer {
    latest: Duration,
    due: Option<Duration>,
    rings: VecDeque<Rings>,
}

#[derive(Clone, Debug, PartialEq)]
struct Rings;

impl Machine for EggTimer {
    /// In how long it is to ring; not at once.
    type Input = Duration;
    type Output = Rings;
    type Timer = ();

    fn handle_input(&mut self, now: Duration, input: Duration) -> Result<(), Refused> {
        if self.rings.len() >= QUEUE {
            return Err(Refused::Full);
        }
        if input.is_zero() {
            return Err(Refused::Misuse("an egg takes longer".into()));
        }
        self.latest = self.latest.max(now);
        self.due = Some(self.latest + input);
        Ok(())
    }

    fn handle_timeout(&mut self, now: Duration) {
        if self.due.take_if(|due| *due <= now).is_some() {
            self.latest = self.latest.max(now);
            self.rings.push_back(Rings);
        }
    }

    fn poll_output(&mut self) -> Option<Rings> {
        self.rings.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Duration, ())> {
        self.due.map(|due| (due, ()))
    }

    fn status(&self) -> Status {
        Status::Waiting("an egg".into())
    }

    fn ignored(&self) -> u64 {
        0
    }
}

/// An egg timer in its kitchen.
struct Kitchen;

impl Subject for Kitchen {
    type Machine = EggTimer;
    /// In milliseconds.
    type Fact = u16;

    const QUEUE: usize = QUEUE;

    fn start(&self, _seed: u64) -> EggTimer {
        EggTimer::default()
    }

    fn facts(&self) -> BoxedStrategy<u16> {
        any::<u16>().boxed()
    }

    fn input(&self, fact: &u16, _said: &[Rings]) -> Duration {
        Duration::from_millis((*fact).into())
    }
}

fn main() {
    check(&Kitchen, 256, &["waiting for an egg"]);
    println!("an egg timer keeps every law");
}
