//! A connection whose device is not in yet: the handshake, and the decision about its device.

use alloc::{boxed::Box, sync::Arc};

use super::{
    Settings,
    event::{Device, EffectId, Output, Stage},
    state::{Confirming, Deciding, Entering, Progress},
};
use crate::{
    key::StaticKey,
    machine::{
        Machine,
        base::MachineBase,
        time::{Instant, WallClock},
    },
    noise::{
        Noise,
        handshake::responder::{self, Verdict},
    },
    relay::admission::{self, Admission, Applicant},
    wire::{Hello, Preamble, Welcome},
};

impl<N: Noise> Entering<N> {
    /// Moves the handshake on; what it says is for the connection to take.
    pub(super) fn respond(&mut self, port: &mut MachineBase<Output>, input: responder::Input) {
        port.feed(&mut self.responder, input);
    }

    /// Message 1 is authentic: decide about its sender, though it may be a replay.
    pub(super) fn consider(
        &mut self,
        now: Instant,
        settings: &Settings,
        clock: WallClock,
        (preamble, static_key): (Preamble, StaticKey),
        hello: Hello,
    ) {
        let Hello { token, software } = hello;
        let applicant = Applicant { role: preamble.role, pattern: preamble.suite.pattern(), static_key, token: token.clone() };
        let admission = Admission::begin(now, Arc::clone(&settings.gate), clock, applicant);
        self.progress = Progress::Deciding(Box::new(Deciding { admission, preamble, static_key, software, token }));
    }

    pub(super) fn tell_clock(&mut self, now: Instant, wall: WallClock) {
        if let Progress::Deciding(deciding) = &mut self.progress {
            deciding.admission.handle_clock(now, wall);
        }
    }

    /// Asks for what the decision takes, and tells the responder what it came to.
    pub(super) fn decide(&mut self, port: &mut MachineBase<Output>, settings: &Settings, clock: WallClock) {
        while let Progress::Deciding(deciding) = &mut self.progress {
            match deciding.admission.poll_output() {
                Some(admission::Output::LookUp { kid }) => port.push(Output::LookUp(EffectId::Decide(0), kid)),
                Some(admission::Output::Effect(effect)) => {
                    port.push(Output::Effect(effect.map_id(|()| EffectId::Decide(0))));
                }
                Some(admission::Output::Admitted(admitted)) => {
                    let Deciding { preamble, static_key, software, token, .. } = deciding.as_ref().clone();
                    let (org, target) = (admitted.claims.org, admitted.claims.runtime_target);
                    let device = Device { org, target, role: preamble.role, token, software };
                    self.progress = Progress::Unconfirmed(Box::new(Confirming { device, preamble, static_key }));
                    let verdict = Verdict::Admit { psk: admitted.psk, welcome: settings.welcome(clock, port.now()) };
                    self.respond(port, responder::Input::Verdict(verdict));
                }
                Some(admission::Output::Refused(refused)) => {
                    self.respond(port, responder::Input::Verdict(Verdict::Refuse(refused)));
                }
                None => return,
            }
        }
    }
}

impl Settings {
    fn welcome(&self, clock: WallClock, now: Instant) -> Welcome {
        Welcome { frame_max: self.frame_max, time: clock.unix_at(now).0, software: self.software.clone() }
    }
}

impl Progress {
    pub(super) const fn stage(&self) -> Stage {
        match self {
            Self::AwaitingFirstMessage => Stage::Unauthenticated,
            Self::Deciding(_) => Stage::Deciding,
            Self::Unconfirmed(_) => Stage::Unconfirmed,
        }
    }
}
