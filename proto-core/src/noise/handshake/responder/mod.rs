//! The side that answers: a relay for devices, or a daemon for viewers.
//!
//! ```text
//!   Waiting ── message 1 ──► Deciding ── Verdict::Admit: Send(message 2) ──► Unconfirmed ── opens ──► Confirmed
//!      │      Output::Hello     │                                                │
//!      │                        │ Verdict::Refuse: Send(message 2) if one can be made
//!      ▼                        ▼                                                ▼
//!   Failed: malformed,       Failed: the verdict's reason                     Failed: does not open · Closed · 10 s;
//!   does not open, 10 s                                                       under IKpsk2 always noise_psk_invalid
//! ```
//!
//! The driver's loop is the one of [`Machine`]. The machine asks once in its life, with [`Output::Hello`], and waits for the
//! verdict; the static key is proven by then, so a PSK can be looked up by it, and not earlier. After [`Output::Failed`] the
//! driver sends what was queued and closes the connection with the reason.

mod event;
mod state;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

pub use self::event::{Acceptor, Input, Output, Timer, Verdict};
use self::state::State;
use super::HANDSHAKE_TIMEOUT;
use crate::{
    Reason,
    crypto::StaticKeys,
    machine::{Deadline, Machine, Misuse, Status, base::MachineBase, entropy::Entropy, time::Instant},
    noise::{FirstMessage, Noise, NoiseError},
    secret::Secret,
    wire::{Answer, Hello, MAX_FIRST_MESSAGE, Pattern, Preamble, Refused, Welcome, parts},
};

/// One handshake, from the open connection to its confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Responder<N> {
    door: Acceptor,
    state: State<N>,
    port: MachineBase<Output<N>>,
}

impl<N: Noise> Responder<N> {
    /// Waits for message 1 from initiators of `door` from `now` on, as the holder of `local`. `entropy` makes the answer's
    /// ephemeral key.
    pub fn new(now: Instant, door: Acceptor, local: StaticKeys, entropy: &Entropy) -> Self {
        let state = State::Waiting { local, seed: entropy.derive("handshake"), until: now.after(HANDSHAKE_TIMEOUT) };
        Self { door, state, port: MachineBase::new(now) }
    }

    fn expire_if_due(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|deadline| deadline.at <= now) {
            self.break_off(Reason::HandshakeTimedOut);
        }
    }

    fn receive(&mut self, now: Instant, message: &Bytes) {
        match &mut self.state {
            State::Waiting { local, seed, .. } => {
                let opened = self.door.admit(message).and_then(|()| {
                    let entropy = Entropy::new(*seed.expose());
                    N::respond(local, entropy, message).map_err(reason_for)
                });
                self.read_first(now, opened);
            }
            State::Unconfirmed { noise, .. } => match self.door.open(noise, message) {
                Some(plaintext) => self.confirm(plaintext),
                None => self.break_off(Reason::NoiseHandshakeFailed),
            },
            State::Deciding { .. } | State::Confirmed | State::Failed(_) => self.port.ignore(),
        }
    }

    fn read_first(&mut self, now: Instant, opened: Result<(N, FirstMessage), Reason>) {
        let (noise, first) = match opened {
            Ok(opened) => opened,
            Err(reason) => return self.fail(reason),
        };
        let Ok(hello) = Hello::decode(&first.payload) else { return self.fail(Reason::FrameMalformed) };
        let FirstMessage { preamble, static_key, .. } = first;
        self.port.push(Output::Hello { preamble, static_key, hello });
        self.state = State::Deciding { noise, pattern: preamble.suite.pattern(), until: now.after(HANDSHAKE_TIMEOUT) };
    }

    fn decide(&mut self, now: Instant, verdict: Verdict) {
        match (mem::replace(&mut self.state, State::Confirmed), verdict) {
            (State::Deciding { noise, pattern, .. }, Verdict::Admit { psk, welcome }) => {
                self.admit(now, noise, pattern, psk.as_ref(), welcome);
            }
            (State::Deciding { noise, .. }, Verdict::Refuse(refused)) => self.refuse(noise, refused),
            (other, _) => {
                self.state = other;
                self.port.ignore();
            }
        }
    }

    fn admit(&mut self, now: Instant, mut noise: N, pattern: Pattern, psk: Option<&Secret>, welcome: Welcome) {
        match noise.answer(psk, &Answer::Welcome(welcome).encode()) {
            Ok(message) => {
                self.port.push(Output::Send(Bytes::from(message)));
                self.state = State::Unconfirmed { noise, pattern, until: now.after(HANDSHAKE_TIMEOUT) };
            }
            Err(NoiseError::PskPolicy) => self.refuse(noise, Refused { reason: Reason::NoisePskInvalid, retry_after: 0 }),
            Err(_) => self.fail(Reason::NoiseHandshakeFailed),
        }
    }

    /// Says no in message 2 where that can be made: under IKpsk2 it cannot without the PSK, and the close frame must do.
    fn refuse(&mut self, mut noise: N, refused: Refused) {
        let reason = refused.reason;
        if let Ok(message) = noise.answer(None, &Answer::Refused(refused).encode()) {
            self.port.push(Output::Send(Bytes::from(message)));
        }
        self.fail(reason);
    }

    fn confirm(&mut self, plaintext: Bytes) {
        if let State::Unconfirmed { noise, .. } = mem::replace(&mut self.state, State::Confirmed) {
            self.port.push(Output::Confirmed { noise, plaintext });
        }
    }

    /// After message 2 of IKpsk2 only an initiator with the same PSK can go on: one that does not has another.
    fn break_off(&mut self, otherwise: Reason) {
        let reason = match &self.state {
            State::Unconfirmed { pattern: Pattern::IkPsk2, .. } => Reason::NoisePskInvalid,
            State::Confirmed | State::Failed(_) => return,
            _ => otherwise,
        };
        self.fail(reason);
    }

    const fn has_ended(&self) -> bool {
        matches!(self.state, State::Confirmed | State::Failed(_))
    }

    fn fail(&mut self, reason: Reason) {
        self.port.push(Output::Failed(reason));
        self.state = State::Failed(reason);
    }
}

impl<N: Noise> Machine for Responder<N> {
    type Input = Input;
    type Output = Output<N>;
    type Failure = Reason;
    type Timer = Timer;

    /// Never a misuse: in all its life a responder says three things at most, so its queue is never full.
    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        let now = self.port.enter(now)?;
        self.expire_if_due(now);
        match input {
            Input::Received(message) => self.receive(now, &message),
            Input::Verdict(verdict) => self.decide(now, verdict),
            Input::Closed(_) if self.has_ended() => self.port.ignore(),
            Input::Closed(hint) => self.break_off(hint.unwrap_or(Reason::HandshakeTimedOut)),
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
            State::Waiting { until, .. } => Some(Deadline::new(*until, Timer::FirstMessage)),
            State::Deciding { until, .. } => Some(Deadline::new(*until, Timer::Verdict)),
            State::Unconfirmed { until, .. } => Some(Deadline::new(*until, Timer::Confirmation)),
            State::Confirmed | State::Failed(_) => None,
        }
    }

    fn status(&self) -> Status<'_, Reason> {
        match &self.state {
            State::Waiting { .. } => Status::Running { waiting_for: "message 1" },
            State::Deciding { .. } => Status::Running { waiting_for: "the verdict" },
            State::Unconfirmed { .. } => Status::Running { waiting_for: "the first transport message" },
            State::Confirmed => Status::Finished,
            State::Failed(reason) => Status::Failed(reason),
        }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}

impl Acceptor {
    /// What is checked before any key is touched.
    fn admit(self, message: &[u8]) -> Result<(), Reason> {
        if message.len() > MAX_FIRST_MESSAGE {
            return Err(Reason::FrameMalformed);
        }
        let (preamble, _) = Preamble::split(message).map_err(|invalid| reason_for(invalid.into()))?;
        if self.is_for(preamble.role) { Ok(()) } else { Err(Reason::FrameMalformed) }
    }

    fn open<N: Noise>(self, noise: &mut N, message: &[u8]) -> Option<Bytes> {
        let mut plaintext = Vec::with_capacity(message.len());
        match self {
            Self::Devices => {
                let mut segments = parts(message);
                for segment in segments.by_ref() {
                    noise.open(segment.ok()?, &mut plaintext).ok()?;
                }
                if segments.tail().is_some() || plaintext.is_empty() {
                    return None;
                }
            }
            Self::Peers => noise.open(message, &mut plaintext).ok()?,
        }
        Some(Bytes::from(plaintext))
    }
}

const fn reason_for(error: NoiseError) -> Reason {
    match error {
        NoiseError::Unsupported => Reason::NoiseVersionUnsupported,
        NoiseError::Malformed => Reason::FrameMalformed,
        _ => Reason::NoiseHandshakeFailed,
    }
}
