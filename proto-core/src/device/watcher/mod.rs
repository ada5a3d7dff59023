//! A viewing device as one machine: its pairings, the one that is meant, and the viewer that shows sessions with it.
//!
//! ```text
//!                                  ┌──────────── the link came up after all ───────────┐
//!   boot ── a pairing fits ──► Watching ── of no use any more ──► PairingAgain ────────┘
//!     │                          ▲ │ │                            │ │      │ not paired
//!     │ none fits     paired     │ │ └── goal, Stop ──► Finished  │ │      ▼
//!     ├────────────► Pairing ────┘ │                              │ │    Failed
//!     │               ▲    │ not   │ revoked                      │ │ revoked
//!     │ several fit   │    │ paired└────────► Leaving ◄───────────┼─┤
//!     ▼               │    ▼                     └─ gone ► Failed │ │
//!   Failed            │  Failed                       durable     │ │ Stop
//!                     └───────────────────────────────────────────┘ ▼
//!   Pairing ── Stop ──────────────────────────────────────────► Stopping ── paired ──► Finished
//!                                                                  └───── not paired ──► Failed
//! ```
//!
//! With [`Goal::Leave`] a pairing that fits leads to `Leaving` and then to `Finished`, and where none fits it is `Failed`.
//!
//! It owns [`Bindings`], and one after the other [`Pairing`](crate::device::pairing::Pairing)s and [`Viewer`]s; it drains them
//! inside its own `handle_*`, and its deadline is the least of theirs and of the list's. What it decides:
//!
//! * which pairing is meant, by id or slug ([`Workspace::pick`](crate::api::Workspace::pick)); without one it pairs, and goes on
//!   with a pairing that a kill interrupted when that was for the same organization and platform;
//! * that a credential is durable before it is used, and that a device whose access has ended keeps neither record nor key;
//! * that another pairing is needed: the org's policy asks for a pre-shared key that this pairing does not have, or its credential
//!   has lapsed. The old one stays until the new one is durable (BIND-6), and the viewer tries on;
//! * when the relay has named all of its sessions, and which of them is meant ([`Goal`], [`choice`]).
//!
//! The driver's loop is the one of [`Machine`]; a fresh machine has outputs to drain. A suspend makes the viewer try at once.

mod boot;
mod children;
pub mod choice;
mod event;
mod keys;
mod pairing;
mod selection;
mod state;
#[cfg(test)]
mod tests;
mod viewing;

use core::hash::{Hash, Hasher};

pub use boot::{Settings, StoredState};
pub use event::{EffectId, Goal, Input, Output, PairingCause, Timer};
use selection::SessionSelection;
pub use selection::{LIST_QUIET_TIME, TITLE_TIMEOUT};
use state::State;

use crate::{
    Deadline, EntropyChain, Instant, JitterRng, Machine, MachineBase, Misuse, Reason, SessionId, Status, WallClock,
    device::{
        binding::Bindings,
        files::PendingPairing,
        incarnation::IncarnationCounter,
        orgkey::KeyFiles,
        uplink,
        viewer::{self, Viewer},
    },
    noise::Noise,
};

/// The machine. See the [module page](self).
#[derive(Clone, Debug)]
pub struct Watcher<N> {
    settings: Settings,
    uplinks: uplink::Settings,
    clock: WallClock,
    entropy: EntropyChain,
    jitter: JitterRng,
    bindings: Bindings,
    /// What is kept of the organizations' keys.
    keys: KeyFiles,
    /// A pairing that a kill interrupted, until it is needed.
    pending: Option<PendingPairing>,
    selection: SessionSelection,
    /// How many pairings and viewers there were.
    lives: IncarnationCounter,
    state: State<N>,
    port: MachineBase<Output>,
}

/// All but the settings, which never change.
impl<N: Hash> Hash for Watcher<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { clock, entropy, jitter, bindings, keys, pending, selection, lives, state: now, port, .. } = self;
        (clock, entropy, jitter, bindings, keys, pending).hash(state);
        (selection, lives, now, port).hash(state);
    }
}

impl<N: Noise> Watcher<N> {
    /// The pairings of this device.
    pub const fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// The viewer, while it watches.
    pub fn viewer(&self) -> Option<&Viewer<N>> {
        self.state.watching().map(|watching| &*watching.viewer.machine)
    }

    /// The platform to pair with. A binding's credential is renewed at the one that approved it, whatever the environment says.
    pub fn platform(&self) -> &str {
        self.settings.api_endpoint.as_deref().unwrap_or_else(|| self.bindings.platform())
    }

    fn choose(&mut self, session: SessionId) {
        if self.selection.choose(session) {
            self.drive_viewer(viewer::Input::Watch(session));
        } else {
            self.port.ignore();
        }
    }

    fn list_deadline(&self) -> Option<Deadline<Timer>> {
        self.state.watching().and_then(|_| self.selection.deadline())
    }
}

impl<N: Noise> Machine for Watcher<N> {
    type Input = Input;
    type Output = Output;
    type Failure = Reason;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        self.port.enter(now)?;
        match input {
            _ if self.state.has_ended() => self.port.ignore(),
            Input::Io(event) => self.io_event(event),
            Input::Watch(session) => self.choose(session),
            Input::RetryNow => self.drive_viewer(viewer::Input::RetryNow),
            Input::Stop => self.stop(),
        }
        self.drain();
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.port.advance(now);
        if self.state.has_ended() {
            return;
        }
        self.bindings.handle_timeout(now);
        if let Some(asking) = self.state.asking_mut() {
            asking.pairing.machine.handle_timeout(now);
        }
        if let Some(watching) = self.state.watching_mut() {
            watching.viewer.machine.handle_timeout(now);
        }
        self.drain();
        self.settle_if_due();
        self.drain();
    }

    fn handle_clock(&mut self, now: Instant, wall: WallClock) {
        let now = self.port.advance(now);
        if self.state.has_ended() || self.clock.agrees_with(wall) {
            return;
        }
        self.clock = wall;
        if let Some(asking) = self.state.asking_mut() {
            asking.pairing.machine.handle_clock(now, wall);
        }
        if let Some(watching) = self.state.watching_mut() {
            watching.viewer.machine.handle_clock(now, wall);
        }
        self.drain();
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        if self.state.has_ended() {
            return None;
        }
        let bindings = self.bindings.poll_timeout().map(|deadline| deadline.map(Timer::Bindings));
        let pairing = self.state.asking().and_then(|asking| asking.pairing.machine.poll_timeout());
        let pairing = pairing.map(|deadline| deadline.map(Timer::Pairing));
        let viewer = self.viewer().and_then(Machine::poll_timeout).map(|deadline| deadline.map(Timer::Viewer));
        [bindings, pairing, viewer, self.list_deadline()].into_iter().flatten().min()
    }

    fn status(&self) -> Status<'_, Reason> {
        let waiting_for = match &self.state {
            State::Pairing(asking) | State::PairingAgain(_, asking) => waiting_for(asking.pairing.machine.status()),
            State::Watching(watching) => waiting_for(watching.viewer.machine.status()),
            State::Leaving { .. } => "record and key to be removed",
            State::Stopping(_) => "the end of the pairing",
            State::Finished => return Status::Finished,
            State::Failed(reason) => return Status::Failed(reason),
        };
        Status::Running { waiting_for }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}

const fn waiting_for(child: Status<'_, Reason>) -> &'static str {
    match child {
        Status::Running { waiting_for } => waiting_for,
        // It is dropped within the same call.
        Status::Finished | Status::Failed(_) => "what follows",
    }
}
