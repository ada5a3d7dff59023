//! The life of every binding of this daemon (D1, D2, BIND-1 to BIND-6).
//!
//! ```text
//!            durable              replaced                 last session ended
//!  Adopt ─────────────► Active ─────────────► Draining ──────────────────────────┐
//!    │                    │                       │                              ▼
//!    │ not durable:       │ Unpair, Revoked       │ Unpair, Revoked           Leaving ── record and key removed ──► gone
//!    ▼ Refused            └───────────────────────┴── Cut ──────────────────────►▲
//!                                                                                │ Unpair, Adopt
//!  boot, no key that fits its credential: Broken ────────────────────────────────┘
//! ```
//!
//! The disk follows what is wanted, one change at a time, by three rules. Each leaves, wherever a crash falls, the old
//! state or the new one (BIND-4):
//!
//! 1. The key of a joining binding is stored first.
//! 2. Then `config.json`, in one piece: it is what counts. A new binding and those that it replaces change together.
//! 3. A key that `config.json` does not name goes last. That also clears up after a crash, at the next start.
//!
//! What fails is tried again with growing pauses, except for an adoption, which is refused and leaves nothing behind. A cut
//! takes effect at once, before anything is written. The driver's loop is the one of [`Machine`].

mod adopt;
mod boot;
mod disk;
mod event;
mod state;

#[cfg(test)]
mod tests;

pub use event::{EffectId, Input, Output, Timer};
pub use state::{Binding, Phase};

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::{convert::Infallible, mem};

use self::state::{Disk, Joining};
use crate::{
    BindingId, Deadline, Instant, Machine, MachineBase, Misuse, OrgId, Reason, SessionId, Status, Unhashed,
    api::Workspace,
    device::{credential::Renewal, files::Config},
    effect::StateFile,
    secret::Secret,
};

/// The machine. See the [module page](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bindings {
    /// What `config.json` says beside the bindings.
    settings: Config,
    /// Each in memory of its own: a map makes room for eleven of its values at a time, and most daemons have one binding or two.
    by_id: BTreeMap<BindingId, Box<Binding>>,
    joining: Option<Joining>,
    /// `config.json` as it is on disk.
    durable: Config,
    /// The identity files that are on disk.
    keys: BTreeSet<StateFile>,
    disk: Disk,
    failures: u32,
    asked: Unhashed<u32>,
    port: MachineBase<Output>,
}

impl Bindings {
    /// The binding of that name, unless it is gone.
    pub fn get(&self, binding: &BindingId) -> Option<&Binding> {
        self.by_id.get(binding).map(|binding| &**binding)
    }

    /// All of them, by organization.
    pub fn iter(&self) -> impl Iterator<Item = (&BindingId, &Binding)> {
        self.by_id.iter().map(|(id, binding)| (id, &**binding))
    }

    /// The binding that takes new sessions for this org (BIND-1: there is at most one).
    pub fn active(&self, org: &OrgId) -> Option<(&BindingId, &Binding)> {
        self.iter().find(|(id, binding)| id.org == *org && matches!(binding.phase, Phase::Active(_)))
    }

    /// The organizations this daemon is paired with: what [`decide_mode`](crate::device::pairing::decide_mode) asks for.
    pub fn workspaces(&self) -> Vec<Workspace> {
        self.by_id.values().filter(|binding| binding.is_current()).map(|binding| binding.workspace()).collect()
    }

    /// Whether a binding with this seed is durable: the pairing of a pending file with it needs only to be forgotten.
    pub fn has_seed(&self, seed: &Secret) -> bool {
        self.by_id.values().filter_map(|binding| binding.identity()).any(|identity| identity.seed() == seed)
    }

    /// What `config.json` says beside the bindings.
    pub const fn settings(&self) -> &Config {
        &self.settings
    }

    /// The platform to pair with, as [`Config::api_endpoint`] finds it.
    pub fn platform(&self) -> &str {
        self.durable.api_endpoint()
    }

    fn renewed(&mut self, id: BindingId, renewal: &Renewal) {
        let binding = self.by_id.get_mut(&id).filter(|binding| !matches!(binding.phase, Phase::Leaving));
        let Some(binding) = binding.filter(|binding| renewal.generation >= binding.record.generation) else {
            return self.ignore();
        };
        binding.record.renew(renewal);
        if binding.wanted().is_some_and(|record| self.durable.bindings.contains(&record)) {
            self.port.push(Output::Saved(id));
        }
    }

    fn unpair(&mut self, org: &OrgId) {
        if self.joining.as_ref().is_some_and(|joining| joining.id.org == *org) {
            self.refuse(Reason::PairingCancelled);
        }
        let ids: Vec<_> = self.by_id.keys().filter(|id| id.org == *org).cloned().collect();
        for id in ids {
            self.cut(id, None);
        }
    }

    fn revoked(&mut self, id: BindingId, reason: Reason) {
        if reason.ends_binding() { self.cut(id, Some(reason)) } else { self.ignore() }
    }

    fn cut(&mut self, id: BindingId, reason: Option<Reason>) {
        if self.leave(&id) {
            self.port.push(Output::Cut(id, reason));
        } else {
            self.ignore();
        }
    }

    /// Drops the key and the sessions; the disk follows. False when it is leaving already, or not there.
    fn leave(&mut self, id: &BindingId) -> bool {
        let Some(binding) = self.by_id.get_mut(id) else { return false };
        binding.sessions.clear();
        !matches!(mem::replace(&mut binding.phase, Phase::Leaving), Phase::Leaving)
    }

    fn session_started(&mut self, id: &BindingId, session: SessionId) {
        let binding = self.by_id.get_mut(id).filter(|binding| matches!(binding.phase, Phase::Active(_)));
        match binding.map(|binding| &mut binding.sessions) {
            Some(sessions) => drop(sessions.insert(session)),
            None => self.ignore(),
        }
    }

    fn session_ended(&mut self, id: &BindingId, session: SessionId) {
        let sessions = self.by_id.get_mut(id).map(|binding| &mut binding.sessions);
        if sessions.is_some_and(|sessions| sessions.remove(&session)) {
            self.finish_draining();
        } else {
            self.ignore();
        }
    }

    /// Replaced: it goes on for its sessions only. Without a key there is nothing to go on with.
    fn drain(&mut self, id: &BindingId) {
        let Some(binding) = self.by_id.get_mut(id) else { return };
        match &binding.phase {
            Phase::Active(identity) => {
                binding.phase = Phase::Draining(identity.clone());
                self.port.push(Output::Draining(id.clone()));
            }
            Phase::Broken(_) => self.cut(id.clone(), None),
            Phase::Draining(_) | Phase::Leaving => {}
        }
    }

    /// A draining binding without sessions has nothing left to do.
    fn finish_draining(&mut self) {
        let is_done = |binding: &Binding| matches!(binding.phase, Phase::Draining(_)) && binding.sessions.is_empty();
        let done: Vec<_> = self.iter().filter(|(_, binding)| is_done(binding)).map(|(id, _)| id.clone()).collect();
        for id in done {
            self.leave(&id);
            self.port.push(Output::Drained(id));
        }
    }

    const fn ignore(&mut self) {
        self.port.ignore();
    }
}

impl Machine for Bindings {
    type Input = Input;
    type Output = Output;
    type Failure = Infallible;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        if matches!(input, Input::Adopt(_)) && self.joining.is_some() {
            return Err(Misuse::Full("one adoption at a time"));
        }
        if let Input::SessionStarted { binding, session } = &input
            && self.get(binding).is_some_and(|binding| !binding.has_room_for(*session))
        {
            return Err(Misuse::Full("sessions of a binding"));
        }
        self.port.enter(now)?;
        match input {
            Input::Io(event) => self.io_event(event),
            Input::Adopt(paired) => self.adopt(*paired),
            Input::Renewed { binding, renewal } => self.renewed(binding, &renewal),
            Input::Unpair(org) => self.unpair(&org),
            Input::Revoked { binding, reason } => self.revoked(binding, reason),
            Input::SessionStarted { binding, session } => self.session_started(&binding, session),
            Input::SessionEnded { binding, session } => self.session_ended(&binding, session),
        }
        self.follow();
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
        if self.poll_timeout().is_some_and(|deadline| deadline.at <= self.port.now()) {
            self.follow();
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        match self.disk {
            Disk::Pausing { until } => Some(Deadline::new(until, Timer::WriteAgain)),
            Disk::Idle | Disk::Writing { .. } => None,
        }
    }

    fn status(&self) -> Status<'_, Infallible> {
        let waiting_for = match self.disk {
            Disk::Idle => "commands, renewals and sessions",
            Disk::Writing { .. } => "a state file to be durable",
            Disk::Pausing { .. } => "the time to write again",
        };
        Status::Running { waiting_for }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
