//! One device's part in its organization's key (D15; WIRE section 12): a daemon follows the statements, so that sessions are sealed
//! to the newest generation; a viewing device also obtains generations, hands them on, and makes the first one and the next.
//!
//! ```text
//!            Up                 the platform's answer             nothing to do, or refused
//!   Away ────────► Asking ───────────────────────────────────────────────────────► Resting
//!                  ▲ ▲ │                                                             │
//!                  │ │ │ what is known or held changes                               │
//!                  │ │ └──────────────────────────► Keeping ── not durable ─────────►│
//!                  │ └───────── durable ──────────────┘                              │
//!                  └───────────────────────── time, or Poll ─────────────────────────┘
//! ```
//!
//! Given the platform's view, the first of these that applies:
//!
//! 1. **Follow**: the statements from the newest that is known. One that its holder did not sign is refused, and so is a platform that
//!    shows another one in its place, or none ([`Reason::OrganizationKeyForked`]); nothing goes on until it shows the lineage again
//!    that is known here.
//! 2. **Open** what another device wrapped for this one, and by the links all generations before.
//! 3. **Register** this viewing device's wrapping key.
//! 4. **Make** generation 1 where there is none; the next one after a holder was revoked. It is durable here before it is published
//!    ([`Call::Publish`]); where another device was faster, its generation counts and this one is dropped.
//! 5. **Hand** the newest generation to a device that waits for it, this one too: so it survives the loss of this disk.
//!
//! What is known and held is durable before it is used. The platform is not trusted: it can hide a generation and provoke a new
//! one, but not put in one of its own. Only what it says about whose devices these are is believed, as everywhere. At most
//! [`MAX_STEPS`] calls follow one another without a rest.

mod event;
mod files;
mod key_state;
mod state;
mod step;

#[cfg(test)]
mod tests;

use core::{convert::Infallible, time::Duration};

pub use event::{Call, EffectId, Input, KeyEvent, Output, Timer};
pub use files::KeyFiles;
use key_state::KeyState;
use state::State;

use crate::{
    Deadline, EntropyChain, Instant, Machine, MachineBase, Misuse, Reason, Status, Unhashed,
    crypto::Identity,
    device::files::OrganizationKeyFile,
    id::{DeviceKind, OrgId, PlatformId},
    machine::backoff::Backoff,
    orgkey::{Generation, Lineage, WrappingKeys},
};

/// How often a viewing device looks: another one may wait for what it holds.
pub const VIEWER_PAUSE: Duration = Duration::from_secs(5);
/// How often a daemon looks.
pub const DAEMON_PAUSE: Duration = Duration::from_mins(1);
/// The most calls and stores without a rest.
pub const MAX_STEPS: u32 = 64;

/// Between attempts that fail.
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(5), cap: Duration::from_mins(5) };

/// Whose key it is, and who this device is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The organization.
    pub org: OrgId,
    /// This device, as the organization knows it.
    pub target: PlatformId,
    /// Whether it watches.
    pub role: DeviceKind,
    /// Its key.
    pub identity: Identity,
}

/// The machine. See the [module page](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrganizationKey {
    settings: Settings,
    wrapping: WrappingKeys,
    /// What is durable.
    kept: KeyState,
    /// Grown from what came with the first [`Input::Up`].
    entropy: Option<EntropyChain>,
    asked: Unhashed<u32>,
    failures: u32,
    trouble: Option<Reason>,
    state: State,
    port: MachineBase<Output>,
}

impl OrganizationKey {
    /// Goes on from the file of the last run, if there is one. It does nothing before [`Input::Up`].
    ///
    /// A file that is no lineage, or another organization's, is not used: then this device is as new.
    pub fn new(now: Instant, settings: Settings, file: Option<&OrganizationKeyFile>) -> Self {
        let file = file.filter(|file| file.workspace_id == settings.org);
        let kept = file.and_then(|file| KeyState::from_file(file).ok()).unwrap_or_else(|| KeyState::new(settings.org.clone()));
        Self {
            wrapping: WrappingKeys::of(&settings.identity),
            settings,
            kept,
            entropy: None,
            asked: Unhashed(0),
            failures: 0,
            trouble: None,
            state: State::Away,
            port: MachineBase::new(now),
        }
    }

    /// The statements that this device has accepted, durably.
    pub const fn lineage(&self) -> &Lineage {
        &self.kept.lineage
    }

    /// The secret of that generation, if this device holds it.
    pub fn generation(&self, number: u32) -> Option<&Generation> {
        self.kept.held(number)
    }

    /// Whether sessions that are sealed to the newest generation can be opened here.
    pub fn holds_newest(&self) -> bool {
        self.lineage().newest().is_some_and(|newest| self.generation(newest.generation()).is_some())
    }

    /// Why the last attempt brought nothing, until one succeeds.
    pub const fn trouble(&self) -> Option<Reason> {
        self.trouble
    }

    const fn pause(&self) -> Duration {
        match self.settings.role {
            DeviceKind::Viewer => VIEWER_PAUSE,
            DeviceKind::Daemon => DAEMON_PAUSE,
        }
    }
}

impl Machine for OrganizationKey {
    type Input = Input;
    type Output = Output;
    type Failure = Infallible;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        self.port.enter(now)?;
        match input {
            Input::Up(entropy) => self.link_up(&entropy),
            Input::Poll => self.retry_now(),
            Input::Io(event) => self.io_event(event),
            Input::Kept => self.durable(),
            Input::NotKept => self.not_durable(),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
        if matches!(self.state, State::Resting { until } if until <= self.port.now()) {
            self.look(0);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        match self.state {
            State::Resting { until } => Some(Deadline::new(until, Timer::Poll)),
            _ => None,
        }
    }

    fn status(&self) -> Status<'_, Infallible> {
        let waiting_for = match self.state {
            State::Away => "the link to come up",
            State::Resting { .. } => "the time to look at the organization's key again",
            State::Asking { .. } => "the platform's answer",
            State::Keeping { .. } => "the organization's key to be durable",
        };
        Status::Running { waiting_for }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
