//! Between the watcher and its children: what happened goes down, what they want and say comes up.

use core::mem;

use super::{EffectId, Output, Watcher, state::State};
use crate::{
    Machine, Reason,
    device::{binding, pairing, viewer},
    effect::{Effect, IoEvent},
    noise::Noise,
};

impl<N: Noise> Watcher<N> {
    pub(super) fn io_event(&mut self, event: IoEvent<EffectId>) {
        let (effect_id, event) = event.take_id();
        match effect_id {
            EffectId::Pairing(life, effect_id) if self.state.asking().is_some_and(|asking| asking.pairing.life == life) => {
                self.drive_pairing(pairing::Input::Io(event.with_id(effect_id)));
            }
            EffectId::Viewer(life, effect_id) if self.state.watching().is_some_and(|watching| watching.viewer.life == life) => {
                self.drive_viewer(viewer::Input::Io(event.with_id(effect_id)));
            }
            EffectId::Bindings(effect_id) => self.drive_bindings(binding::Input::Io(event.with_id(effect_id))),
            EffectId::Keep(life) if self.state.watching().is_some_and(|watching| watching.viewer.life == life) => {
                self.drive_viewer(viewer::Input::Kept(matches!(event, IoEvent::Stored(()))));
            }
            EffectId::ForgetKey => {}
            EffectId::Pairing(..) | EffectId::Viewer(..) | EffectId::Keep(..) => self.port.ignore(),
        }
    }

    pub(super) fn drive_bindings(&mut self, input: binding::Input) {
        self.port.feed(&mut self.bindings, input);
    }

    /// Takes what the children want, until none of them wants anything: what one says may make another speak.
    pub(super) fn drain(&mut self) {
        loop {
            if let Some(output) = self.bindings.poll_output() {
                self.bindings_said(output);
            } else if let Some(output) = self.state.asking_mut().and_then(|asking| asking.pairing.machine.poll_output()) {
                self.pairing_said(output);
            } else if let Some(output) = self.state.watching_mut().and_then(|watching| watching.viewer.machine.poll_output()) {
                self.viewer_said(output);
            } else if !self.end_pairing() && !self.end_leaving() {
                return;
            }
        }
    }

    fn bindings_said(&mut self, output: binding::Output) {
        match output {
            binding::Output::Effect(effect) => self.port.push(Output::Effect(effect.map_id(EffectId::Bindings))),
            binding::Output::Adopted(id) => self.adopted(id),
            binding::Output::Refused(reason) => self.drive_pairing(pairing::Input::Rejected(reason)),
            binding::Output::Saved(id) => self.saved(&id),
            binding::Output::Trouble(reason) => self.port.push(Output::Trouble(reason)),
            // Which binding is in use, this machine decides itself; that the last one is gone, it looks up.
            binding::Output::Started(_)
            | binding::Output::Draining(_)
            | binding::Output::Drained(_)
            | binding::Output::Cut(..) => {}
            binding::Output::Gone(_) => self.forget_lost_keys(),
        }
    }

    pub(super) fn effect_of_pairing(&mut self, effect: Effect<pairing::EffectId>) {
        if let Some(life) = self.state.asking().map(|asking| asking.pairing.life) {
            self.port.push(Output::Effect(effect.map_id(|effect_id| EffectId::Pairing(life, effect_id))));
        }
    }

    /// The person wants no more.
    pub(super) fn stop(&mut self) {
        self.dismiss();
        self.state = match mem::replace(&mut self.state, State::Finished) {
            State::Pairing(asking) | State::PairingAgain(_, asking) => State::Stopping(asking),
            State::Leaving { reason, .. } => State::Failed(reason.unwrap_or(Reason::StateNotWritten)),
            State::Stopping(_) => State::Failed(Reason::PairingCancelled),
            State::Watching(_) => State::Finished,
            ended => ended,
        };
        self.drive_pairing(pairing::Input::Cancel);
    }
}
