//! A device's side of pairing: a device authorization flow in the manner of RFC 8628 (WIRE sections 2.1 and 2.2; D1, D13).
//!
//! ```text
//!              mint, 3 tries         durable            approved            key set           adopted
//!  start ──► Minting ─────────► Saving ────► Polling ──────────► Verifying ────────► Adopting ───► Forgetting ──► Finished
//!               │                  │          ▲ │ │                  │                  │           │     ▲
//!               │ refused,         │   resume ┘ │ └ pending, trouble │                  │ rejected  │     │
//!               │ unreachable      │            │   and slow down:   │ does not hold,   └───────────┤     │
//!               ▼                  │ not        │   ask again        │ expired                      │     │
//!            Failed ◄──────────────┘ durable    └─ denied, expired, ─┴─ cancelled ──────────────────┘     │
//!               ▲                                                                                         │
//!               └─────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A kill at any step loses nothing: before `Saving` ended the code was not shown, and afterwards [`Pairing::resume`] goes on with
//! the pending file, which stays until the parent said that the binding is durable. Only an answer of the platform that says so,
//! the expiry, or the person at the terminal ends an attempt; everything else is trouble that passes (PAIR-4).
//!
//! The driver's loop is the one of [`Machine`]; a fresh machine has outputs to drain.

mod answer;
mod event;
mod mode;
mod name;
mod state;
mod step;

#[cfg(test)]
pub(crate) mod tests;

pub use event::{EffectId, Input, Output, Paired, Shown, Timer};
pub use mode::decide_mode;
pub use name::{MAX_LABEL_LEN, is_known_elsewhere, machine_name};

use alloc::{boxed::Box, string::String};
use core::time::Duration;

use self::state::{State, Turn};
use crate::{
    Deadline, Entropy, Instant, Machine, MachineBase, Misuse, Obstacle, Reason, Status, Unhashed, WallClock,
    api::PairingMode,
    device::{clock::PlatformClock, files::PendingPairing},
    id::DeviceKind,
};

/// How long the platform may take for any answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the platform is asked to hold a poll open, in seconds.
const HOLD: u64 = 20;

/// How often a code is asked for again before giving up: a person is waiting.
const MINT_RETRIES: u32 = 2;

/// Between two tries to get a code.
const MINT_PAUSE: Duration = Duration::from_secs(2);

/// Seconds between polls where the platform names none, and the bounds of what it may name (PAIR-1).
const INTERVAL: u64 = 2;
const MAX_INTERVAL: u64 = 60;

/// What a `slow_down` adds to the interval for good, in seconds (RFC 8628 section 3.5).
const SLOW_DOWN: u64 = 5;

/// Seconds that a code may live, whatever the platform or a file says.
const MAX_LIFETIME: u64 = 3_600;

/// The longest `Retry-After` that is honoured.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 65_536;

/// What a new pairing is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The platform's base URL.
    pub api_endpoint: String,
    /// What pairs.
    pub kind: DeviceKind,
    /// What becomes of existing bindings, as [`decide_mode`] decided.
    pub mode: PairingMode,
    /// The organization that was asked for, by id or slug.
    pub org: Option<String>,
    /// The device's name; only its first 64 characters are sent.
    pub name: String,
    /// Software and version; only the first 64 characters are sent.
    pub software: String,
}

/// The machine. See the [module page](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pairing {
    settings: Settings,
    clock: PlatformClock,
    asked: Unhashed<u32>,
    trouble: Option<Reason>,
    obstacle: Unhashed<Option<Obstacle>>,
    state: State,
    port: MachineBase<Output>,
}

impl Pairing {
    /// A new pairing, which asks for a code at once.
    pub fn start(now: Instant, clock: WallClock, settings: Settings, entropy: &Entropy) -> Self {
        let (seed, next_seed) = (entropy.derive("pairing seed"), entropy.derive("pairing, next"));
        let turn = Turn::Pausing { until: now };
        let state = State::Minting { tries_left: MINT_RETRIES, seed, next_seed, turn };
        let mut pairing = Self::new(now, clock, settings, state);
        pairing.advance();
        pairing
    }

    /// The pairing of a pending file, after a restart. When its binding turns out to be durable already, hand in
    /// [`Input::Adopted`].
    pub fn resume(now: Instant, clock: WallClock, mut pending: PendingPairing) -> Self {
        pending.interval = pending.interval.clamp(1, MAX_INTERVAL);
        let left = pending.expires_at.since(clock.unix_at(now)).min(MAX_LIFETIME);
        let expires_at = now.after(Duration::from_secs(left));
        let settings = Settings {
            api_endpoint: pending.api_endpoint.clone(),
            kind: pending.kind,
            mode: pending.mode,
            org: pending.org.clone(),
            name: String::new(),
            software: String::new(),
        };
        let turn = Turn::Pausing { until: now };
        let mut pairing = Self::new(now, clock, settings, State::Polling { pending: Box::new(pending), expires_at, turn });
        pairing.advance();
        pairing
    }

    fn new(now: Instant, clock: WallClock, settings: Settings, state: State) -> Self {
        let settings = Settings { api_endpoint: settings.api_endpoint.trim_end_matches('/').into(), ..settings };
        let clock = PlatformClock::new(clock);
        Self { settings, clock, asked: Unhashed(0), trouble: None, obstacle: Unhashed(None), state, port: MachineBase::new(now) }
    }

    /// The code, while a person can approve it.
    pub fn shown(&self) -> Option<Shown> {
        match &self.state {
            State::Polling { pending, expires_at, .. } | State::Verifying { pending, expires_at, .. } => {
                Some(Shown { code: pending.code.clone(), url: pending.url.clone(), expires_at: *expires_at })
            }
            _ => None,
        }
    }

    /// What stands in the way at the moment.
    pub const fn trouble(&self) -> Option<Reason> {
        self.trouble
    }

    /// What the latest request met.
    pub const fn obstacle(&self) -> Option<Obstacle> {
        self.obstacle.0
    }

    const fn has_ended(&self) -> bool {
        matches!(self.state, State::Finished | State::Failed(_))
    }
}

impl Machine for Pairing {
    type Input = Input;
    type Output = Output;
    type Failure = Reason;
    type Timer = Timer;

    /// Never a misuse: a code lives an hour at most and is asked about once a second at most, so the queue is never full.
    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        self.port.enter(now)?;
        if self.has_ended() {
            self.ignore();
            return Ok(());
        }
        match input {
            Input::Io(event) => self.io_event(event),
            Input::Adopted => self.adopted(),
            Input::Rejected(reason) => self.rejected(reason),
            Input::Cancel => self.cancel(),
        }
        self.advance();
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
        self.advance();
    }

    /// When a code ends is written down by the new clock; how long it is polled for stays as it is.
    fn handle_clock(&mut self, now: Instant, wall: WallClock) {
        self.port.advance(now);
        if !self.has_ended() && !self.clock.agrees_with(wall) {
            self.clock.set(wall);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        let (turn, end) = self.state.turn()?;
        let at_end = Deadline::new(end, Timer::Expiry);
        match turn {
            Turn::Pausing { until } => Some(Deadline::new(until, Timer::AskAgain).min(at_end)),
            Turn::Asking { .. } => (end < Instant::MAX).then_some(at_end),
        }
    }

    fn status(&self) -> Status<'_, Reason> {
        let waiting_for = match &self.state {
            State::Minting { .. } => "a code from the platform",
            State::Saving { .. } => "the pending file to be durable",
            State::Polling { .. } => "an approval in the browser",
            State::Verifying { .. } => "the platform's key set",
            State::Adopting => "the binding to be durable",
            State::Forgetting { .. } => "the pending file to be removed",
            State::Finished => return Status::Finished,
            State::Failed(reason) => return Status::Failed(reason),
        };
        Status::Running { waiting_for }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
