//! Between the daemon and its children: what happened goes down, what they want and say comes up.

use alloc::{boxed::Box, vec::Vec};

use super::{Ask, Daemon, Event, Output};
use crate::{
    BindingId, Machine, Reason, Status, WallClock, binding,
    bridge::{self, Bridge},
    crypto::{Cipher, noise::Noise, seal::EpochSecret},
    effect::Happening,
    local::{PairEvent, PendingPairing},
    pairing::{self, Pairing},
    secret::Secret,
};

impl<N: Noise> Daemon<N> {
    pub(super) fn happen(&mut self, happening: Happening<Ask>) {
        let (ask, happening) = happening.take_id();
        match ask {
            Ask::Pairing(ask) => self.drive_pairing(pairing::Input::Happening(happening.with_id(ask))),
            Ask::Bindings(ask) => self.drive_bindings(binding::Input::Happening(happening.with_id(ask))),
            Ask::Bridge(id, ask) => self.drive_bridge(&id, bridge::Input::Happening(happening.with_id(ask))),
            Ask::Ledger(request) => self.ledger_written(request, matches!(happening, Happening::Stored(()))),
            Ask::Pin(source) => self.pinned(source, matches!(happening, Happening::Stored(()))),
            Ask::Unpin(_) => {}
        }
    }

    /// The machine slept, or its clock was set: stamps are read anew, and whoever waits tries at once.
    pub(super) fn woke(&mut self, clock: WallClock) {
        self.clock = clock;
        self.drive_pairing(pairing::Input::Clock(clock));
        for bridge in self.bridges.values_mut() {
            let _ = bridge.handle_input(self.latest, bridge::Input::Clock(clock));
            let _ = bridge.handle_input(self.latest, bridge::Input::Hurry);
        }
    }

    pub(super) fn drive_pairing(&mut self, input: pairing::Input) {
        if let Some(pairing) = &mut self.pairing {
            let _ = pairing.handle_input(self.latest, input);
        }
    }

    pub(super) fn drive_bindings(&mut self, input: binding::Input) {
        let _ = self.bindings.handle_input(self.latest, input);
    }

    pub(super) fn drive_bridge(&mut self, id: &BindingId, input: bridge::Input) {
        match self.bridges.get_mut(id) {
            Some(bridge) => drop(bridge.handle_input(self.latest, input)),
            None => self.stats.stale_happenings += 1,
        }
    }

    /// A pairing from before the restart. If its binding is durable already, only the pending file is left to go.
    pub(super) fn take_up(&mut self, pairing: Pairing, seed: &Secret) {
        self.pairing = Some(pairing);
        if self.bindings.has_seed(seed) {
            self.drive_pairing(pairing::Input::Adopted);
        }
    }

    /// Takes what the children want, until none of them wants anything: what one says may make another speak.
    pub(super) fn drain(&mut self) {
        loop {
            if let Some(output) = self.bindings.poll_output() {
                self.bindings_said(output);
            } else if let Some(output) = self.pairing.as_mut().and_then(Machine::poll_output) {
                self.pairing_said(output);
            } else if let Some((id, output)) = self.next_of_bridges() {
                self.bridge_said(&id, output);
            } else {
                break;
            }
        }
        self.end_pairing();
        self.bridges.retain(|_, bridge| matches!(bridge.status(), Status::Running { .. }));
        self.answer_cancelled();
        self.answer_unpaired();
    }

    fn next_of_bridges(&mut self) -> Option<(BindingId, bridge::Output)> {
        self.bridges.iter_mut().find_map(|(id, bridge)| Some((id.clone(), bridge.poll_output()?)))
    }

    fn pairing_said(&mut self, output: pairing::Output) {
        match output {
            pairing::Output::Effect(effect) => self.outbox.push(Output::Effect(effect.map_id(Ask::Pairing))),
            pairing::Output::ShowCode(_) => {
                self.log(Event::PairingShown);
                self.outbox.extend(self.shown().map(|shown| Output::Pairing(PairEvent::Code(shown))));
            }
            pairing::Output::Trouble(reason) => {
                self.log(Event::PairingTrouble(reason));
                self.outbox.push(Output::Pairing(PairEvent::Trouble { reason }));
            }
            pairing::Output::Approved(paired) => self.drive_bindings(binding::Input::Adopt(paired)),
        }
    }

    /// The pairing that a person can approve, if there is one.
    pub(super) fn shown(&self) -> Option<PendingPairing> {
        let pairing::Shown { code, url, expires_at } = self.pairing.as_ref()?.shown()?;
        Some(PendingPairing { code, url, expires_in: expires_at.since(self.latest).as_secs() })
    }

    /// A pairing that has ended makes room for the next one.
    fn end_pairing(&mut self) {
        let reason = match self.pairing.as_ref().map(Machine::status) {
            Some(Status::Finished) => None,
            Some(Status::Failed(reason)) => Some(*reason),
            _ => return,
        };
        self.pairing = None;
        if let Some(reason) = reason {
            self.log(Event::PairingFailed(reason));
            self.outbox.push(Output::Pairing(PairEvent::Failed { reason }));
        }
    }

    fn bindings_said(&mut self, output: binding::Output) {
        match output {
            binding::Output::Effect(effect) => self.outbox.push(Output::Effect(effect.map_id(Ask::Bindings))),
            binding::Output::Adopted(id) => self.adopted(&id),
            binding::Output::Refused(reason) => self.drive_pairing(pairing::Input::Rejected(reason)),
            binding::Output::Started(id) => self.start(&id),
            binding::Output::Saved(id) => self.saved(&id),
            binding::Output::Draining(id) => self.log(Event::Draining(id)),
            binding::Output::Drained(id) => self.disconnect(&id, None),
            binding::Output::Cut(id, reason) => self.disconnect(&id, reason),
            binding::Output::Gone(id) => self.gone(id),
            binding::Output::Trouble(reason) => self.log(Event::Trouble(reason)),
        }
    }

    fn adopted(&mut self, id: &BindingId) {
        self.drive_pairing(pairing::Input::Adopted);
        if let Some(org) = self.bindings.get(id).map(binding::Binding::workspace) {
            self.log(Event::Paired(org.clone()));
            let refreshed = self.bindings.iter().filter(|(other, _)| other.org == id.org).count() > 1;
            self.outbox.push(Output::Pairing(PairEvent::Paired { org, refreshed }));
        }
    }

    /// The binding may connect: give it a bridge that knows its sessions.
    fn start(&mut self, id: &BindingId) {
        let Some(binding) = self.bindings.get(id) else { return };
        let Some(identity) = binding.identity().cloned() else { return };
        let bridge = Bridge::new(self.latest, self.clock, binding.record(), identity, &self.uplinks, self.jitter.split());
        match bridge {
            Ok(bridge) => drop(self.bridges.insert(id.clone(), bridge)),
            Err(reason) => return self.log(Event::Trouble(reason)),
        }
        let files: Vec<_> =
            self.sessions.values().filter(|running| running.pin() == *id).map(|running| running.file.clone()).collect();
        for file in files {
            if let Some(cipher) = Cipher::from_byte(file.cipher) {
                let secret = EpochSecret::new(file.secret.clone());
                self.drive_bridge(id, bridge::Input::Know { session: file.session, cipher, secret });
            }
        }
    }

    fn saved(&mut self, id: &BindingId) {
        if let Some(relay) = self.bindings.get(id).map(|binding| binding.record().relay.clone()) {
            self.log(Event::Renewed(id.clone()));
            self.drive_bridge(id, bridge::Input::Stored(relay));
        }
    }

    fn disconnect(&mut self, id: &BindingId, reason: Option<Reason>) {
        self.log(Event::Cut(id.clone(), reason));
        self.cut_sessions(id);
        self.drive_bridge(id, bridge::Input::Cut(reason.unwrap_or(Reason::SessionCut)));
    }

    fn gone(&mut self, id: BindingId) {
        self.log(Event::Gone(id));
    }

    fn bridge_said(&mut self, id: &BindingId, output: bridge::Output) {
        match output {
            bridge::Output::Effect(effect) => {
                let id = id.clone();
                self.outbox.push(Output::Effect(effect.map_id(|ask| Ask::Bridge(id, ask))));
            }
            bridge::Output::ToSource(source, frame) => self.outbox.push(Output::ToSource(source, frame)),
            bridge::Output::Renewed(renewal) => self.renewed(id, renewal),
            bridge::Output::NotRenewed(reason) => self.log(Event::NotRenewed(id.clone(), reason)),
            bridge::Output::Lapsed => self.log(Event::Lapsed(id.clone())),
            bridge::Output::Up => self.log(Event::Connected(id.clone())),
            bridge::Output::Down(reason) => self.log(Event::Disconnected(id.clone(), reason)),
            bridge::Output::Ended(reason) => self.drive_bindings(binding::Input::Revoked { binding: id.clone(), reason }),
            bridge::Output::SessionOver(session) => self.session_over(session),
        }
    }

    fn renewed(&mut self, id: &BindingId, renewal: Box<crate::credential::Renewal>) {
        self.drive_bindings(binding::Input::Renewed { binding: id.clone(), renewal });
    }

    pub(super) fn log(&mut self, event: Event) {
        self.outbox.push(Output::Log(event));
    }
}
