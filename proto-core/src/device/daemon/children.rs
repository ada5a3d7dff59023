//! Between the daemon and its children: what happened goes down, what they want and say comes up.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use super::{Daemon, EffectId, Event, Output};
use crate::{
    BindingId, Machine, Obstacle, Reason, Status,
    crypto::{Cipher, seal::EpochSecret},
    device::{
        binding,
        bridge::{self, Bridge},
        control::{PairEvent, PendingPairing},
        files::SessionFile,
        incarnation::{Child, Incarnation},
        pairing::{self, Paired, Pairing},
        spool,
    },
    effect::{IoEvent, StateFile},
    noise::Noise,
    reason::Family,
    secret::Secret,
};

impl<N: Noise> Daemon<N> {
    pub(super) fn io_event(&mut self, io_event: IoEvent<EffectId>) {
        let (effect_id, io_event) = io_event.take_id();
        match effect_id {
            EffectId::Pairing(life, effect_id) if self.pairing.as_ref().is_some_and(|pairing| pairing.life == life) => {
                self.drive_pairing(pairing::Input::Io(io_event.with_id(effect_id)));
            }
            EffectId::Bindings(effect_id) => self.drive_bindings(binding::Input::Io(io_event.with_id(effect_id))),
            EffectId::Bridge(id, life, effect_id) if self.bridges.get(&id).is_some_and(|bridge| bridge.life == life) => {
                self.drive_bridge(&id, bridge::Input::Io(io_event.with_id(effect_id)));
            }
            EffectId::Keep(id, life) if self.bridges.get(&id).is_some_and(|bridge| bridge.life == life) => {
                self.drive_bridge(&id, bridge::Input::Kept(matches!(io_event, IoEvent::Stored(()))));
            }
            EffectId::ForgetKey => {}
            EffectId::Ledger(request) => self.ledger_written(request, matches!(io_event, IoEvent::Stored(()))),
            EffectId::Pin(source) => self.pinned(source, matches!(io_event, IoEvent::Stored(()))),
            EffectId::Unpin(session) => self.removed(StateFile::Session(session), matches!(io_event, IoEvent::Stored(()))),
            EffectId::Spool(session, life, effect_id) if self.spools.get(&session).is_some_and(|spool| spool.life == life) => {
                self.drive_spool(session, spool::Input::Io(io_event.with_id(effect_id)));
            }
            EffectId::Erase(session) => self.removed(StateFile::Spool(session), matches!(io_event, IoEvent::Stored(()))),
            EffectId::Pairing(..) | EffectId::Bridge(..) | EffectId::Keep(..) | EffectId::Spool(..) => {
                self.stats.0.stale_events += 1;
            }
        }
    }

    /// Every child that knows the wall clock gets the new reading.
    pub(super) fn tell_clock(&mut self) {
        let (now, wall) = (self.port.now(), self.clock);
        if let Some(pairing) = &mut self.pairing {
            pairing.machine.handle_clock(now, wall);
        }
        for id in self.bridges.keys().cloned().collect::<Vec<_>>() {
            self.bridges.touch(&id, |bridge| bridge.machine.handle_clock(now, wall));
            self.undrained.insert(id);
        }
    }

    pub(super) fn drive_pairing(&mut self, input: pairing::Input) {
        if let Some(pairing) = &mut self.pairing {
            self.port.feed(&mut *pairing.machine, input);
        }
    }

    pub(super) fn drive_bindings(&mut self, input: binding::Input) {
        self.port.feed(&mut self.bindings, input);
    }

    pub(super) fn drive_bridge(&mut self, id: &BindingId, input: bridge::Input) {
        let port = &mut self.port;
        self.bridges.touch(id, |bridge| port.feed(&mut *bridge.machine, input));
        self.undrained.extend(self.bridges.key(id).map(Arc::clone));
    }

    /// A pairing from before the restart. If its binding is durable already, only the pending file is left to go.
    pub(super) fn resume_pairing(&mut self, pairing: Pairing, seed: &Secret) {
        self.begin_pairing(pairing);
        if self.bindings.has_seed(seed) {
            self.drive_pairing(pairing::Input::Adopted);
        }
    }

    pub(super) fn begin_pairing(&mut self, machine: Pairing) {
        self.pairing = Some(Child::new(self.lives.next(), machine));
    }

    /// Takes what the children want, until none of them wants anything: what one says may make another speak.
    pub(super) fn drain(&mut self) {
        loop {
            if let Some(output) = self.bindings.poll_output() {
                self.bindings_said(output);
            } else if let Some(output) = self.pairing.as_mut().and_then(|pairing| pairing.machine.poll_output()) {
                self.pairing_said(output);
            } else if let Some((id, output)) = self.next_of_bridges() {
                self.bridge_said(&id, output);
            } else {
                break;
            }
        }
        self.end_pairing();
        self.answer_cancelled();
        self.answer_unpaired();
    }

    /// What the next bridge says that was spoken to. One that has ended and has nothing left to say is forgotten.
    fn next_of_bridges(&mut self) -> Option<(Arc<BindingId>, bridge::Output)> {
        while let Some(id) = self.undrained.first().cloned() {
            let output = self.bridges.touch(&id, |bridge| bridge.machine.poll_output()).flatten();
            if let Some(output) = output {
                return Some((id, output));
            }
            self.undrained.remove(&id);
            if self.bridges.get(&id).is_some_and(|bridge| !matches!(bridge.machine.status(), Status::Running { .. })) {
                self.bridges.remove(&id);
            }
        }
        None
    }

    fn pairing_said(&mut self, output: pairing::Output) {
        match output {
            pairing::Output::Effect(effect) => {
                let life = self.pairing.as_ref().map_or(Incarnation(0), |pairing| pairing.life);
                self.port.push(Output::Effect(effect.map_id(|effect_id| EffectId::Pairing(life, effect_id))));
            }
            pairing::Output::ShowCode(_) => {
                self.log(Event::PairingShown);
                self.port.extend(self.shown().map(|shown| Output::Pairing(PairEvent::Code(shown))));
            }
            pairing::Output::Trouble(reason) => {
                let obstacle = behind(reason, self.pairing.as_ref().and_then(|pairing| pairing.machine.obstacle()));
                self.log(Event::PairingTrouble(reason, obstacle));
                self.port.push(Output::Pairing(PairEvent::Trouble { reason, obstacle }));
            }
            pairing::Output::Approved(paired) => self.approved(paired),
        }
    }

    /// The binding is to be made durable. Whether it refreshes one shows only before it takes that one's place.
    fn approved(&mut self, paired: Box<Paired>) {
        let org = paired.approval.workspace.clone();
        let refreshed = self.bindings.workspaces().iter().any(|bound| bound.id == org.id);
        self.paired = Some(PairEvent::Paired { org, refreshed });
        self.drive_bindings(binding::Input::Adopt(paired));
    }

    /// The pairing that a person can approve, if there is one.
    pub(super) fn shown(&self) -> Option<PendingPairing> {
        let pairing::Shown { code, url, expires_at } = self.pairing.as_ref()?.machine.shown()?;
        Some(PendingPairing { code, url, expires_in: expires_at.since(self.port.now()).as_secs() })
    }

    /// A pairing that has ended makes room for the next one.
    fn end_pairing(&mut self) {
        let Some(Child { machine, .. }) = &self.pairing else { return };
        let failed = match machine.status() {
            Status::Finished => None,
            Status::Failed(reason) => Some((*reason, behind(*reason, machine.obstacle()))),
            Status::Running { .. } => return,
        };
        self.pairing = None;
        let paired = self.paired.take();
        if let Some((reason, obstacle)) = failed {
            self.log(Event::PairingFailed(reason, obstacle));
        }
        let failed = failed.map(|(reason, obstacle)| PairEvent::Failed { reason, obstacle });
        self.port.extend(failed.or(paired).map(Output::Pairing));
    }

    fn bindings_said(&mut self, output: binding::Output) {
        match output {
            binding::Output::Effect(effect) => self.port.push(Output::Effect(effect.map_id(EffectId::Bindings))),
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
            self.log(Event::Paired(org));
        }
    }

    /// The binding may connect: give it a bridge that knows its sessions.
    fn start(&mut self, id: &BindingId) {
        let Some(binding) = self.bindings.get(id) else { return };
        let Some(identity) = binding.identity().cloned() else { return };
        // Its own, whatever happens to other bindings (ISO-2).
        let label = alloc::format!("{id} {}", self.port.now().as_nanos());
        let jitter = self.jitter.derive(label.as_bytes());
        let key = self.keys.get(&id.org);
        let bridge = Bridge::new(self.port.now(), self.clock, binding.record(), identity, key, &self.uplinks, jitter);
        self.dismiss(id);
        match bridge {
            Ok(machine) => {
                let key = Arc::new(id.clone());
                self.bridges.insert(&key, Child::new(self.lives.next(), machine));
                self.undrained.insert(key);
            }
            Err(reason) => return self.log(Event::Trouble(reason)),
        }
        let its: Vec<_> = self.sessions.iter().filter(|(_, running)| running.is_pinned_to(id)).map(|(_, r)| r.clone()).collect();
        for running in its {
            self.register_session(&running.file);
            self.set_source(id, &running);
        }
    }

    pub(super) fn register_session(&mut self, file: &SessionFile) {
        if let Some(cipher) = Cipher::from_byte(file.cipher) {
            let secret = EpochSecret::new(file.secret.clone());
            self.drive_bridge(&file.pin(), bridge::Input::Know { session: file.session, cipher, secret });
        }
    }

    /// The bridge of a key that was replaced closes its link, and is forgotten: another one takes over.
    fn dismiss(&mut self, id: &BindingId) {
        let Some(id) = self.bridges.key(id).map(Arc::clone) else { return };
        let Some(Child { life, machine: mut old }) = self.bridges.remove(&id) else { return };
        self.port.feed(&mut *old, bridge::Input::Stop);
        while let Some(output) = old.poll_output() {
            if let bridge::Output::Effect(effect) = output {
                self.port.push(Output::Effect(effect.map_id(|effect_id| EffectId::Bridge(Arc::clone(&id), life, effect_id))));
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
        let reason = reason.unwrap_or(Reason::SessionCut);
        self.cut_sessions(id, reason);
        self.drive_bridge(id, bridge::Input::Cut(reason));
    }

    fn gone(&mut self, id: BindingId) {
        self.forget_lost_keys();
        self.log(Event::Gone(id));
    }

    fn bridge_said(&mut self, id: &Arc<BindingId>, output: bridge::Output) {
        match output {
            bridge::Output::Effect(effect) => {
                let life = self.bridges.get(id).map_or(Incarnation(0), |bridge| bridge.life);
                self.port.push(Output::Effect(effect.map_id(|effect_id| EffectId::Bridge(Arc::clone(id), life, effect_id))));
            }
            bridge::Output::ToSource(source, frame) => self.relay_said(source, frame),
            bridge::Output::Renewed(renewal) => self.renewed(id, renewal),
            bridge::Output::NotRenewed(reason) => self.log(Event::NotRenewed((**id).clone(), reason, self.obstacle(id, reason))),
            bridge::Output::RenewalExpired => self.log(Event::RenewalExpired((**id).clone())),
            bridge::Output::Up => self.log(Event::Connected((**id).clone())),
            bridge::Output::Down(reason) => self.log(Event::Disconnected((**id).clone(), reason, self.obstacle(id, reason))),
            bridge::Output::Ended(reason) => self.drive_bindings(binding::Input::Revoked { binding: (**id).clone(), reason }),
            bridge::Output::SessionOver(session) => self.session_over(session),
            bridge::Output::Keep(file) => self.keep_key(id, file),
            bridge::Output::KeyNews(news) => self.log(Event::Key((**id).clone(), news)),
            bridge::Output::Declined(session, reason) => self.log(Event::SessionDeclined(session, (**id).clone(), reason)),
        }
    }

    fn renewed(&mut self, id: &BindingId, renewal: Box<crate::device::credential::Renewal>) {
        self.drive_bindings(binding::Input::Renewed { binding: id.clone(), renewal });
    }

    /// What the bridge of a binding met, where `reason` is about the network.
    pub(super) fn obstacle(&self, id: &BindingId, reason: Reason) -> Option<Obstacle> {
        behind(reason, self.bridges.get(id).and_then(|bridge| bridge.machine.obstacle()))
    }

    pub(super) fn log(&mut self, event: Event) {
        self.port.push(Output::Log(event));
    }
}

/// What was met explains reasons that are about the network, and no others.
fn behind(reason: Reason, obstacle: Option<Obstacle>) -> Option<Obstacle> {
    obstacle.filter(|_| reason.family() == Family::Network)
}
