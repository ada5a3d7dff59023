//! The viewer: when it begins and ends, what becomes of what it says.

use core::mem;

use super::{
    EffectId, Goal, Output, Watcher,
    selection::Settled,
    state::{State, Watching},
};
use crate::{
    BindingId, Machine, Reason, SessionId,
    device::{
        binding,
        credential::Renewal,
        incarnation::Child,
        pairing,
        viewer::{self, Viewer},
    },
    noise::Noise,
};

impl<N: Noise> Watcher<N> {
    /// Watches with this binding.
    pub(super) fn view(&mut self, id: BindingId) {
        if self.settings.goal == Goal::Leave {
            return self.leave(id);
        }
        self.state = match self.viewer_of(&id) {
            Ok(machine) => {
                let viewer = Child::new(self.lives.next(), machine);
                State::Watching(Watching { binding: id, viewer })
            }
            Err(reason) => State::Failed(reason),
        };
        for session in self.selection.begin() {
            self.drive_viewer(viewer::Input::Watch(session));
        }
    }

    /// Drops this binding.
    fn leave(&mut self, id: BindingId) {
        self.state = State::Leaving { binding: id.clone(), reason: None };
        self.drive_bindings(binding::Input::Unpair(id.org));
    }

    fn viewer_of(&self, id: &BindingId) -> Result<Viewer<N>, Reason> {
        let binding = self.bindings.get(id).ok_or(Reason::NotPaired)?;
        let identity = binding.identity().cloned().ok_or(Reason::NotPaired)?;
        let label = alloc::format!("{id} {}", self.port.now().as_nanos());
        let jitter = self.jitter.derive(label.as_bytes());
        let primitives = self.settings.primitives;
        let key = self.keys.get(&id.org);
        Viewer::new(self.port.now(), self.clock, binding.record(), identity, key, &self.uplinks, primitives, jitter)
    }

    pub(super) fn drive_viewer(&mut self, input: viewer::Input) {
        if let Some(watching) = self.state.watching_mut() {
            self.port.feed(&mut *watching.viewer.machine, input);
        }
    }

    pub(super) fn viewer_said(&mut self, output: viewer::Output) {
        match output {
            viewer::Output::Effect(effect) => {
                if let Some(life) = self.state.watching().map(|watching| watching.viewer.life) {
                    self.port.push(Output::Effect(effect.map_id(|effect_id| EffectId::Viewer(life, effect_id))));
                }
            }
            viewer::Output::Renewed(renewal) => self.renewed(renewal),
            viewer::Output::NotRenewed(reason) => self.port.push(Output::NotRenewed(reason)),
            viewer::Output::RenewalExpired => self.pair_again(Reason::TokenExpired),
            viewer::Output::Up => self.up(),
            viewer::Output::Down(reason) => self.down(reason),
            viewer::Output::Listed(session) => self.listed(session),
            viewer::Output::Record(session, record) => {
                if self.selection.record(session, &record) {
                    self.port.push(Output::Record(session, record));
                } else if self.selection.has_enough_of(session) {
                    self.drive_viewer(viewer::Input::Leave(session));
                }
            }
            viewer::Output::Ended(session, outcome) => {
                self.over(session, Output::Ended(session, outcome), State::Finished);
            }
            viewer::Output::Failed(session, reason) => {
                self.selection.failed(session, reason);
                self.over(session, Output::Failed(session, reason), State::Failed(reason));
            }
            viewer::Output::Revoked(reason) => self.revoked(reason),
            viewer::Output::Keep(file) => self.keep_key(file),
            viewer::Output::KeyNews(news) => self.port.push(Output::Key(news)),
            viewer::Output::Machines(machines) => self.selection.named(machines),
        }
    }

    /// It is used once it is durable: the viewer hears of it then.
    fn renewed(&mut self, renewal: alloc::boxed::Box<Renewal>) {
        if let Some(binding) = self.state.watching().map(|watching| watching.binding.clone()) {
            self.drive_bindings(binding::Input::Renewed { binding, renewal });
        }
    }

    pub(super) fn saved(&mut self, id: &BindingId) {
        let is_in_use = self.state.watching().is_some_and(|watching| watching.binding == *id);
        let relay = self.bindings.get(id).map(|binding| binding.record().relay.clone());
        if let Some(relay) = relay.filter(|_| is_in_use) {
            self.drive_viewer(viewer::Input::Stored(relay));
        }
    }

    fn up(&mut self) {
        self.selection.up(self.port.now());
        self.port.push(Output::Up { waits_for_session: self.selection.waits_for_session() });
        if let State::PairingAgain(..) = self.state {
            self.drive_pairing(pairing::Input::Cancel);
        }
    }

    fn down(&mut self, reason: Reason) {
        self.selection.down();
        self.port.push(Output::Down(reason));
        if reason == Reason::NoisePskInvalid {
            self.pair_again(reason);
        }
    }

    fn listed(&mut self, session: SessionId) {
        let about = self.viewer().and_then(|viewer| viewer.about(session)).unwrap_or_default();
        let (is_news, to_watch) = self.selection.listed(session, about, self.port.now());
        if is_news {
            self.port.push(Output::Listed(session));
        }
        for session in to_watch {
            self.drive_viewer(viewer::Input::Watch(session));
        }
    }

    /// Nothing more comes of a session.
    fn over(&mut self, session: SessionId, output: Output, end: State<N>) {
        if let Some(is_all) = self.selection.concerns(session) {
            self.port.push(output);
            if is_all {
                self.end(end);
            }
        }
    }

    /// Goes by the sessions that the relay has named, once it has named all of them.
    pub(super) fn settle_if_due(&mut self) {
        if self.list_deadline().is_none_or(|deadline| deadline.at > self.port.now()) {
            return;
        }
        match self.selection.settle() {
            Some(Settled::Watch(session)) => self.drive_viewer(viewer::Input::Watch(session)),
            Some(Settled::Sessions(sessions)) => {
                self.port.push(Output::Sessions(sessions));
                self.end(State::Finished);
            }
            Some(Settled::Missing(reason)) => self.end(State::Failed(reason)),
            None => {}
        }
    }

    /// The access has ended, by the relay's word under its pinned key. It was withdrawn on purpose, so no pairing follows.
    fn revoked(&mut self, reason: Reason) {
        let Some(binding) = self.state.watching().map(|watching| watching.binding.clone()) else { return };
        self.call_off();
        self.state = match mem::replace(&mut self.state, State::Finished) {
            State::Watching(_) | State::PairingAgain(..) => State::Leaving { binding: binding.clone(), reason: Some(reason) },
            other => other,
        };
        self.drive_bindings(binding::Input::Revoked { binding, reason });
    }

    /// This is the end once nothing of the binding is left. Whether it came.
    pub(super) fn end_leaving(&mut self) -> bool {
        let State::Leaving { binding, reason } = &self.state else { return false };
        let is_gone = self.bindings.get(binding).is_none();
        if is_gone {
            self.state = reason.map_or(State::Finished, State::Failed);
        }
        is_gone
    }

    fn end(&mut self, end: State<N>) {
        self.dismiss();
        self.state = end;
    }

    /// The viewer, if there is one, closes its link, and is heard no more.
    pub(super) fn dismiss(&mut self) {
        let Some(Watching { viewer: Child { life, machine }, .. }) = self.state.watching_mut() else { return };
        let life = *life;
        self.port.feed(&mut **machine, viewer::Input::Stop);
        while let Some(output) = machine.poll_output() {
            if let viewer::Output::Effect(effect) = output {
                self.port.push(Output::Effect(effect.map_id(|effect_id| EffectId::Viewer(life, effect_id))));
            }
        }
    }
}
