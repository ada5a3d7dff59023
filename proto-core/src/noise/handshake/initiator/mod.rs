//! The side that begins: a device with its relay, or a viewer with a daemon.
//!
//! ```text
//!           start: Send(message 1)
//!                    │
//!                    ▼    message that does not open, up to 4
//!               ┌─ Awaiting ──┐
//!               │    │  ▲     │
//!               │    │  └─────┘
//!   Welcome     │    │  Refused · 5th garbage · Closed · 10 s
//!               ▼    ▼
//!      Established  Failed
//! ```
//!
//! Ten seconds are for a relay; a viewer has a timeout of its own.
//!
//! The driver's loop is the one of [`Machine`]. After [`Output::Failed`] the driver closes the connection with the failure's
//! reason; after [`Output::Established`] it sends something at once, because only that confirms the handshake.

mod event;
mod state;

#[cfg(test)]
mod tests;

use core::{mem, time::Duration};

use bytes::Bytes;

pub use self::event::{Failure, Input, Output, Timer};
use self::state::State;
use super::{HANDSHAKE_TIMEOUT, MAX_GARBAGE};
use crate::{
    Reason,
    machine::{Deadline, Machine, Misuse, Status, base::MachineBase, entropy::Entropy, time::Instant},
    noise::{InitiatorKeys, Noise, NoiseError},
    wire::{Answer, Hello, Pattern},
};

/// One handshake, from message 1 to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Initiator<N> {
    state: State<N>,
    port: MachineBase<Output<N>>,
}

impl<N: Noise> Initiator<N> {
    /// Sends message 1. Keys that cannot work (a responder's key of low order, a PSK that does not fit the pattern) make a
    /// machine that has failed.
    pub fn start(now: Instant, keys: InitiatorKeys<'_>, entropy: Entropy, hello: &Hello) -> Self {
        Self::start_within(HANDSHAKE_TIMEOUT, now, keys, entropy, hello)
    }

    /// The same with another timeout than [`HANDSHAKE_TIMEOUT`].
    pub fn start_within(patience: Duration, now: Instant, keys: InitiatorKeys<'_>, entropy: Entropy, hello: &Hello) -> Self {
        let pattern = keys.preamble.suite.pattern();
        let mut machine = Self { state: State::Established, port: MachineBase::new(now) };
        match N::initiate(keys, entropy, &hello.encode()) {
            Ok((noise, message)) => {
                machine.port.push(Output::Send(Bytes::from(message)));
                machine.state = State::Awaiting { noise, pattern, garbage: 0, until: now.after(patience) };
            }
            Err(NoiseError::PskPolicy) => machine.fail(Failure::Broken(Reason::NoisePskInvalid)),
            Err(_) => machine.fail(Failure::Broken(Reason::NoiseHandshakeFailed)),
        }
        machine
    }

    fn expire_if_due(&mut self, now: Instant) {
        match &self.state {
            State::Awaiting { until, .. } if *until <= now => self.give_up(Reason::HandshakeTimedOut),
            _ => {}
        }
    }

    fn receive(&mut self, message: &[u8]) {
        match mem::replace(&mut self.state, State::Established) {
            State::Awaiting { mut noise, pattern, garbage, until } => match noise.read_answer(message) {
                Ok(payload) => self.conclude(noise, &payload),
                Err(_) if garbage < MAX_GARBAGE => {
                    self.state = State::Awaiting { noise, pattern, garbage: garbage.saturating_add(1), until };
                }
                Err(_) => self.fail(unanswered(pattern, garbage, Reason::NoiseHandshakeFailed)),
            },
            other => {
                self.state = other;
                self.port.ignore();
            }
        }
    }

    fn conclude(&mut self, noise: N, payload: &[u8]) {
        match Answer::decode(payload) {
            Ok(Answer::Welcome(welcome)) => self.port.push(Output::Established { noise, welcome }),
            Ok(Answer::Refused(refused)) => self.fail(Failure::Refused(refused)),
            Err(_) => self.fail(Failure::Broken(Reason::FrameMalformed)),
        }
    }

    fn give_up(&mut self, otherwise: Reason) {
        let State::Awaiting { pattern, garbage, .. } = self.state else { return self.port.ignore() };
        self.fail(unanswered(pattern, garbage, otherwise));
    }

    fn fail(&mut self, failure: Failure) {
        self.port.push(Output::Failed(failure.clone()));
        self.state = State::Failed(failure);
    }
}

/// Message 2 did not come. If something came that did not open, the keys are to blame: under IKpsk2 the PSK, since the
/// responder read message 1 and so has the static keys right.
const fn unanswered(pattern: Pattern, garbage: u8, otherwise: Reason) -> Failure {
    Failure::Broken(match (pattern, garbage) {
        (_, 0) => otherwise,
        (Pattern::IkPsk2, _) => Reason::NoisePskInvalid,
        (Pattern::Ik, _) => Reason::NoiseHandshakeFailed,
    })
}

impl<N: Noise> Machine for Initiator<N> {
    type Input = Input;
    type Output = Output<N>;
    type Failure = Failure;
    type Timer = Timer;

    /// Never a misuse: in all its life an initiator says two things, so its queue is never full.
    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        let now = self.port.enter(now)?;
        self.expire_if_due(now);
        match input {
            Input::Received(message) => self.receive(&message),
            Input::Closed(hint) => self.give_up(hint.unwrap_or(Reason::RelayClosed)),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.port.advance(now);
        self.expire_if_due(now);
    }

    fn poll_output(&mut self) -> Option<Output<N>> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        match &self.state {
            State::Awaiting { until, .. } => Some(Deadline::new(*until, Timer::Answer)),
            State::Established | State::Failed(_) => None,
        }
    }

    fn status(&self) -> Status<'_, Failure> {
        match &self.state {
            State::Awaiting { .. } => Status::Running { waiting_for: "message 2" },
            State::Established => Status::Finished,
            State::Failed(failure) => Status::Failed(failure),
        }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
