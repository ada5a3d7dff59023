//! A machine with a daemon: its clocks, whether its process runs, and what its person has in mind.

use std::{collections::VecDeque, time::Duration};

use proto_core::{Instant, OrgId, Reason, UnixTime, WallClock, noise::Noise};

use super::{START, dice::Dice, disk::Disk, plan::Decision};
use crate::world::{EPOCH, Laptop};

/// One machine.
#[derive(Debug)]
pub struct Host<N> {
    /// Its daemon, its files and its commands.
    pub laptop: Laptop<N>,
    /// How its disk is.
    pub disk: Disk,
    /// Both of its clocks.
    pub clock: Clock,
    /// Until then nothing of it runs; whether it sleeps meanwhile.
    pub(super) stopped: Option<Stopped>,
    /// When its timer fires.
    pub(super) scheduled: Option<Instant>,
    /// Timers fire so much too late.
    pub(super) late: Duration,
    /// Why its daemon does not start.
    pub refuses: Option<Reason>,
    /// What was durable is not what is there: a disk that lied, or a second daemon on a copy of the home.
    pub damaged: bool,
    /// The machine that this one's home is a copy of.
    pub copy_of: Option<usize>,
    /// What its person does with the next code.
    pub(super) intent: Option<Intent>,
    /// The commands that still have something to show.
    pub(super) scripts: Vec<Script>,
    pub(super) dice: Dice,
}

/// Why nothing of a machine, or of a viewer, runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped {
    pub(super) since: Instant,
    pub(super) until: Instant,
    /// It sleeps: its monotonic clock stands still.
    pub(super) asleep: bool,
}

impl Stopped {
    /// Until when nothing runs, if that is not over at `now`. When it is, `clock` is moved on.
    pub(super) fn until(self, now: Instant, clock: &mut Clock) -> Option<Instant> {
        if now < self.until {
            return Some(self.until);
        }
        if self.asleep {
            clock.slept += self.until.since(self.since);
        }
        None
    }
}

/// What becomes of the next code.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    pub(super) org: OrgId,
    pub(super) decision: Decision,
    pub(super) after: Duration,
}

/// What a command is still going to show.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// The number of its connection when it started; it stands for the command.
    pub(super) run: u64,
    /// The number of its connection after it came back.
    pub(super) moved_to: Option<u64>,
    pub(super) left: VecDeque<Vec<u8>>,
    pub(super) every: Duration,
    /// It has shown everything, and ended.
    pub(super) has_ended: bool,
}

impl<N: Noise> Host<N> {
    pub(super) fn new(number: usize, mut dice: Dice) -> Self {
        let clock = Clock { zero: dice.below(1 << 50), slept: Duration::ZERO, wall: 0 };
        Self {
            laptop: Laptop::new(&format!("laptop-{number}"), dice.next()),
            disk: Disk::default(),
            clock,
            stopped: None,
            scheduled: None,
            late: Duration::ZERO,
            refuses: None,
            damaged: false,
            copy_of: None,
            intent: None,
            scripts: Vec::new(),
            dice,
        }
    }
}

/// The clocks of one machine.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What the monotonic clock showed at the beginning.
    zero: u64,
    /// How long the machine slept since.
    pub(super) slept: Duration,
    /// Seconds by which the wall clock is wrong.
    pub wall: i64,
}

impl Clock {
    /// A server's: it never sleeps.
    pub(super) const fn of_server() -> Self {
        Self { zero: 0, slept: Duration::ZERO, wall: 0 }
    }

    /// The monotonic clock.
    pub fn monotonic(&self, now: Instant) -> Instant {
        Instant::from_nanos(self.zero).after(now.since(START).saturating_sub(self.slept))
    }

    /// When it shows that, if the machine does not sleep before.
    pub(super) fn when(&self, monotonic: Instant) -> Instant {
        START.after(monotonic.since(Instant::from_nanos(self.zero))).after(self.slept)
    }

    /// The wall clock.
    pub fn unix(&self, now: Instant) -> UnixTime {
        UnixTime(unix(now).0.saturating_add_signed(self.wall))
    }

    /// Both at once.
    pub(super) fn reading(&self, now: Instant) -> WallClock {
        WallClock::new(self.monotonic(now), self.unix(now))
    }
}

/// The right time.
pub fn unix(now: Instant) -> UnixTime {
    EPOCH.plus(now.since(START).as_secs())
}
