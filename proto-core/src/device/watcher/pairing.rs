//! Pairing: when, with which organization, and what follows.

use alloc::{string::String, vec::Vec};
use core::mem;

use super::{
    Output, PairingCause, Watcher,
    state::{Asking, State},
};
use crate::{
    BindingId, Machine, Reason, Status,
    api::{PairingMode, Workspace},
    device::{
        binding::{self, Phase},
        files::PendingPairing,
        incarnation::Child,
        pairing::{self, Pairing, is_known_elsewhere, machine_name},
    },
    id::DeviceKind,
    noise::Noise,
};

impl<N: Noise> Watcher<N> {
    /// The binding that is meant.
    pub(super) fn which(&self) -> Result<BindingId, Reason> {
        let active = self.bindings.iter().filter(|(_, binding)| matches!(binding.phase(), Phase::Active(_)));
        let paired: Vec<_> = active.map(|(_, binding)| binding.workspace()).collect();
        let org = Workspace::pick(self.settings.org.as_deref(), &paired)?;
        self.bindings.active(&org.id).map(|(id, _)| id.clone()).ok_or(Reason::OrgUnknown)
    }

    /// Asks a person to approve a pairing with an org, by id or slug: one that a kill interrupted goes on, if it was for the same;
    /// else a new one begins.
    pub(super) fn ask(&mut self, occasion: PairingCause, org: Option<String>) -> Asking {
        self.port.push(Output::Pairing(occasion));
        let (now, clock) = (self.port.now(), self.clock);
        let platform = String::from(self.platform().trim_end_matches('/'));
        let fits = |pending: &PendingPairing| {
            let is_alive = clock.unix_at(now) < pending.expires_at;
            is_alive && pending.kind == DeviceKind::Viewer && pending.org == org && pending.api_endpoint == platform
        };
        let machine = if let Some(pending) = self.pending.take().filter(fits) {
            Pairing::resume(now, clock, pending)
        } else {
            let paired = self.bindings.workspaces();
            let host = (!is_known_elsewhere(org.as_deref(), &paired)).then_some(&*self.settings.host);
            let entropy = self.entropy.draw();
            let settings = pairing::Settings {
                api_endpoint: platform,
                kind: DeviceKind::Viewer,
                mode: if paired.is_empty() { PairingMode::New } else { PairingMode::Add },
                org,
                name: machine_name(None, self.bindings.settings().machine.as_deref(), host, &entropy),
                software: self.settings.software.clone(),
            };
            Pairing::start(now, clock, settings, &entropy)
        };
        // A pairing that goes on has its code already.
        self.port.extend(machine.shown().map(Output::ShowCode));
        Asking { pairing: Child::new(self.lives.next(), machine), adopted: None }
    }

    /// The binding of this pairing is durable, and only the pending file is left to go.
    pub(super) fn finish_pairing(&mut self, pending: PendingPairing) {
        let machine = Pairing::resume(self.port.now(), self.clock, pending);
        self.state = State::Pairing(Asking { pairing: Child::new(self.lives.next(), machine), adopted: None });
        self.drive_pairing(pairing::Input::Adopted);
    }

    /// The binding is of no use any more, for this reason: another pairing with its org takes its place.
    pub(super) fn pair_again(&mut self, reason: Reason) {
        let State::Watching(watching) = &self.state else { return };
        let Some(org) = self.bindings.get(&watching.binding).map(binding::Binding::workspace) else { return };
        let id = String::from(org.id.as_str());
        let asking = self.ask(PairingCause::Again(org, reason), Some(id));
        self.state = match mem::replace(&mut self.state, State::Finished) {
            State::Watching(watching) => State::PairingAgain(watching, asking),
            other => other,
        };
    }

    /// The pairing, if there is one, is cancelled, and no longer listened to: its pending file is removed.
    pub(super) fn call_off(&mut self) {
        self.drive_pairing(pairing::Input::Cancel);
        while let Some(output) = self.state.asking_mut().and_then(|asking| asking.pairing.machine.poll_output()) {
            if let pairing::Output::Effect(effect) = output {
                self.effect_of_pairing(effect);
            }
        }
    }

    pub(super) fn drive_pairing(&mut self, input: pairing::Input) {
        if let Some(asking) = self.state.asking_mut() {
            self.port.feed(&mut *asking.pairing.machine, input);
        }
    }

    pub(super) fn pairing_said(&mut self, output: pairing::Output) {
        match output {
            pairing::Output::Effect(effect) => self.effect_of_pairing(effect),
            pairing::Output::ShowCode(shown) => self.port.push(Output::ShowCode(shown)),
            pairing::Output::Trouble(reason) => self.port.push(Output::Trouble(reason)),
            pairing::Output::Approved(paired) => self.drive_bindings(binding::Input::Adopt(paired)),
        }
    }

    /// What the pairing brought is durable: a viewer with the binding that it replaces has nothing to do any more.
    pub(super) fn adopted(&mut self, id: BindingId) {
        self.dismiss();
        self.state = match mem::replace(&mut self.state, State::Finished) {
            State::PairingAgain(_, asking) => State::Pairing(asking),
            other => other,
        };
        if let Some(asking) = self.state.asking_mut() {
            asking.adopted = Some(id);
        }
        self.drive_pairing(pairing::Input::Adopted);
    }

    /// A pairing that has ended makes room for what follows. Whether one had.
    pub(super) fn end_pairing(&mut self) -> bool {
        let end = match self.state.asking().map(|asking| asking.pairing.machine.status()) {
            Some(Status::Finished) => Ok(()),
            Some(Status::Failed(reason)) => Err(*reason),
            _ => return false,
        };
        self.state = match (mem::replace(&mut self.state, State::Finished), end) {
            (State::Stopping(_), Ok(())) => State::Finished,
            // The link came up after all and the pairing was called off, or it failed and the old one has to do.
            (State::PairingAgain(watching, _), Err(reason))
                if reason == Reason::PairingCancelled || watching.viewer.machine.is_up() =>
            {
                State::Watching(watching)
            }
            (_, Err(reason)) => State::Failed(reason),
            (State::Pairing(asking) | State::PairingAgain(_, asking), Ok(())) => return self.paired(asking),
            (other, Ok(())) => other,
        };
        true
    }

    fn paired(&mut self, asking: Asking) -> bool {
        match asking.adopted.map_or_else(|| self.which(), Ok) {
            Ok(id) => {
                let workspace = self.bindings.get(&id).map(binding::Binding::workspace);
                self.port.extend(workspace.map(Output::Paired));
                self.view(id);
            }
            // What was adopted is gone again: begin as at a start, with what is left.
            Err(_) => self.enter(),
        }
        true
    }
}
