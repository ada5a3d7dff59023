//! One daemon's or viewer's connection at the relay: from the upgrade to its end.
//!
//! ```text
//!  AwaitingFirstMessage ── LookUp, Validate ──► Deciding ── yes: message 2 ──► Unconfirmed ── opens ──► Admitted
//!     │                                           │                               │       Confirmed      │
//!     │ malformed, does not open, 10 s            │ any refusal, 10 s             │ 10 s, psk            │ see below
//!     └───────────────────────────────────────────┴───────────────────────────────┴──────────────────────┴──► Ended(why)
//! ```
//!
//! Before the device is admitted it can make the relay hold one message of 8 KiB and one decision, and nothing it sends has any
//! effect on others (ADM-1, NOI-4). After that the machine seals and opens frames, lets through what WIRE section 6 allows in this
//! direction, pings, rekeys, and decides about renewed credentials; all the rest is the hub's. It has the credential validated
//! again when that expires, and when the hub asks for it because revocations were not received (D3). An admitted connection ends
//! when the hub or the platform says so, when the device closes, sends what it may not, or is silent for 45 s.
//!
//! The driver's loop is the one of [`Machine`]. It reads from the socket only while [`Connection::is_reading`].

mod admitted;
mod entering;
mod event;
mod state;
#[cfg(test)]
mod tests;

use alloc::{boxed::Box, collections::VecDeque, string::String, sync::Arc};

use bytes::Bytes;

pub use self::event::{Device, EffectId, Ended, Input, Output, Stage, Timer};
use self::{
    admitted::Admitted,
    state::{Confirming, Entering, Progress, State},
};
use crate::{
    Reason,
    crypto::StaticKeys,
    effect::{Close, Closed, Effect, IoEvent, NetFault},
    machine::{
        Deadline, Machine, Misuse, Status,
        base::MachineBase,
        entropy::Entropy,
        time::{Instant, WallClock},
    },
    noise::{
        Noise,
        channel::Channel,
        handshake::{
            Responder,
            responder::{self, Acceptor},
        },
    },
    relay::admission::{self, PlatformAccess},
};

/// Nothing is read while this many messages wait for the socket: a device that asks must also listen.
pub const MAX_UNSENT: usize = 32_768;

/// Room for the weights of this many messages is kept while none waits.
const UNSENT_KEPT: usize = 8;

/// What all connections of a relay share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// What it knows of its platform.
    pub gate: Arc<PlatformAccess>,
    /// Its static keys.
    pub keys: StaticKeys,
    /// `RELAY_FRAME_MAX_BYTES`.
    pub frame_max: u32,
    /// Its software and version, told to devices.
    pub software: String,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Connection<N> {
    settings: Arc<Settings>,
    clock: WallClock,
    state: State<N>,
    /// What the messages that wait for the socket weigh for the hub; 0 for those it did not send.
    unsent: VecDeque<usize>,
    port: MachineBase<Output>,
}

impl<N: Noise> Connection<N> {
    /// A connection that was upgraded at `now`. `clock` maps the stamps of credentials.
    pub fn new(now: Instant, settings: Arc<Settings>, clock: WallClock, entropy: &Entropy) -> Self {
        let responder = Responder::new(now, Acceptor::Devices, settings.keys.clone(), entropy);
        let state = State::Entering(Box::new(Entering { responder, progress: Progress::AwaitingFirstMessage }));
        Self { settings, clock, state, unsent: VecDeque::new(), port: MachineBase::new(now) }
    }

    /// How far it has come; for the last stage of an ended one see [`Output::Ended`].
    pub fn stage(&self) -> Option<Stage> {
        match &self.state {
            State::Entering(entering) => Some(entering.progress.stage()),
            State::Admitted(_) => Some(Stage::Admitted),
            State::Ended(_) => None,
        }
    }

    /// Whether the driver is to read from the socket: not while the hub is behind, or the device does not read itself.
    pub fn is_reading(&self) -> bool {
        let held = matches!(&self.state, State::Admitted(admitted) if admitted.is_held());
        !held && self.unsent.len() < MAX_UNSENT
    }

    fn io_event(&mut self, now: Instant, event: IoEvent<EffectId>) {
        let (effect_id, event) = event.take_id();
        match (effect_id, event) {
            (EffectId::Decide(_), event) => self.decided(now, effect_id, admission::Input::Io(event)),
            (EffectId::Socket, IoEvent::Received((), message)) => self.receive(now, message),
            (EffectId::Socket, IoEvent::Sent((), messages)) => self.sent(messages),
            (EffectId::Socket, IoEvent::Closed((), closed)) => self.closed(now, closed),
            (EffectId::Socket, _) => self.ignore(),
        }
    }

    fn ignore(&mut self) {
        self.port.ignore();
    }

    fn receive(&mut self, now: Instant, message: Bytes) {
        match &mut self.state {
            State::Entering(entering) => {
                entering.respond(&mut self.port, responder::Input::Received(message));
                self.drain_responder(now);
            }
            State::Admitted(admitted) => {
                let heard = admitted.hear(now, &message);
                self.heard(now, heard);
            }
            State::Ended(_) => self.ignore(),
        }
    }

    fn sent(&mut self, messages: u32) {
        if matches!(self.state, State::Ended(_)) {
            return self.ignore();
        }
        let taken: usize = (0..messages).map_while(|_| self.unsent.pop_front()).sum();
        if self.unsent.is_empty() {
            // An idle connection holds next to nothing, and need not begin anew with each message.
            self.unsent.shrink_to(UNSENT_KEPT);
        }
        if taken > 0 && matches!(self.state, State::Admitted(_)) {
            self.port.push(Output::Taken(taken));
        }
    }

    fn closed(&mut self, now: Instant, closed: Closed) {
        let reason = match closed {
            Closed::ByPeer(reason) => reason,
            Closed::Fault(NetFault::TooLarge) => Some(Reason::FrameTooLarge),
            Closed::Fault(NetFault::NotUnderstood) => Some(Reason::FrameMalformed),
            Closed::ByUs | Closed::Fault(_) | Closed::Refused(_) => None,
        };
        match &mut self.state {
            State::Entering(entering) => {
                entering.respond(&mut self.port, responder::Input::Closed(reason));
                self.drain_responder(now);
            }
            State::Admitted(_) => {
                self.end(reason);
            }
            State::Ended(_) => self.ignore(),
        }
    }

    /// Does what the handshake says.
    fn drain_responder(&mut self, now: Instant) {
        while let State::Entering(entering) = &mut self.state {
            match entering.responder.poll_output() {
                Some(responder::Output::Hello { preamble, static_key, hello }) => {
                    entering.consider(now, &self.settings, self.clock, (preamble, static_key), hello);
                    entering.decide(&mut self.port, &self.settings, self.clock);
                }
                Some(responder::Output::Send(message)) => self.transmit(message, 0),
                Some(responder::Output::Confirmed { noise, plaintext }) => self.confirm(now, noise, &plaintext),
                Some(responder::Output::Failed(reason)) => self.fail(reason),
                None => return,
            }
        }
    }

    /// The device is there. From here on it counts (NOI-4).
    fn confirm(&mut self, now: Instant, noise: N, plaintext: &Bytes) {
        let confirming = match &self.state {
            State::Entering(entering) => match &entering.progress {
                Progress::Unconfirmed(confirming) => confirming.as_ref().clone(),
                Progress::AwaitingFirstMessage | Progress::Deciding(_) => return,
            },
            State::Admitted(_) | State::Ended(_) => return,
        };
        let (channel, first) = match Channel::confirmed(noise, plaintext) {
            Ok(confirmed) => confirmed,
            Err(reason) => return self.fail(reason),
        };
        let Confirming { device, preamble, static_key } = confirming;
        let admitted = Admitted::new(now, channel, &device, preamble, static_key, self.clock);
        let first = admitted.allow(first);
        self.state = State::Admitted(Box::new(admitted));
        self.port.push(Output::Confirmed(Box::new(device)));
        self.heard(now, first);
    }

    fn decided(&mut self, now: Instant, effect_id: EffectId, answer: admission::Input) {
        match &mut self.state {
            State::Entering(entering) => match &mut entering.progress {
                Progress::Deciding(deciding) if effect_id == EffectId::Decide(0) => {
                    self.port.feed(&mut deciding.admission, answer);
                    entering.decide(&mut self.port, &self.settings, self.clock);
                    self.drain_responder(now);
                }
                _ => self.ignore(),
            },
            State::Admitted(admitted) => {
                if admitted.decided(&mut self.port, effect_id, answer) {
                    self.drain_renewal(now);
                } else {
                    self.ignore();
                }
            }
            State::Ended(_) => self.ignore(),
        }
    }

    fn transmit(&mut self, message: Bytes, weight: usize) {
        self.unsent.push_back(weight);
        self.port.push(Output::Effect(Effect::Send(EffectId::Socket, message)));
    }

    /// Ends it with a reason that the close frame carries, if it has not ended already.
    fn fail(&mut self, reason: Reason) {
        if self.end(Some(reason)) {
            self.port.push(Output::Effect(Effect::Close(EffectId::Socket, Close::Because(reason))));
        }
    }

    /// False when it had ended already.
    fn end(&mut self, reason: Option<Reason>) -> bool {
        let Some(stage) = self.stage() else { return false };
        self.port.push(Output::Ended(Ended { reason, stage }));
        self.state = State::Ended(reason);
        self.unsent = VecDeque::new();
        true
    }

    fn fire_due(&mut self, now: Instant) {
        match &mut self.state {
            State::Entering(entering) => {
                entering.responder.handle_timeout(now);
                self.drain_responder(now);
            }
            State::Admitted(admitted) => {
                let fired = admitted.fire(now, &self.settings.gate, self.clock);
                self.fired(now, fired);
            }
            State::Ended(_) => {}
        }
    }
}

impl<N: Noise> Machine for Connection<N> {
    type Input = Input;
    type Output = Output;
    type Failure = Reason;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        let now = self.port.enter(now)?;
        self.fire_due(now);
        match input {
            Input::Io(event) => self.io_event(now, event),
            Input::Send(frame) => self.send(now, &frame, admitted::Seal::Whole),
            Input::SendTail(frame) => self.send(now, &frame, admitted::Seal::Tail),
            Input::Close(reason) => self.close(now, reason),
            Input::Key(effect_id, answer) => self.decided(now, effect_id, admission::Input::Key(answer)),
            Input::PauseReading => self.hold(),
            Input::ResumeReading => self.release(now),
            Input::Revalidate => self.recheck(now),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.port.advance(now);
        self.fire_due(now);
    }

    /// A decision that is under way goes on by the new clock.
    fn handle_clock(&mut self, now: Instant, wall: WallClock) {
        let now = self.port.advance(now);
        if self.clock.agrees_with(wall) {
            return;
        }
        self.clock = wall;
        match &mut self.state {
            State::Entering(entering) => entering.tell_clock(now, wall),
            State::Admitted(admitted) => admitted.tell_clock(now, wall),
            State::Ended(_) => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        match &self.state {
            State::Entering(entering) => entering.responder.poll_timeout().map(|deadline| deadline.map(Timer::Handshake)),
            State::Admitted(admitted) => Some(admitted.deadline()),
            State::Ended(_) => None,
        }
    }

    fn status(&self) -> Status<'_, Reason> {
        match &self.state {
            State::Entering(entering) => match entering.responder.status() {
                Status::Running { waiting_for } => Status::Running { waiting_for },
                Status::Finished | Status::Failed(_) => Status::Running { waiting_for: "the hub" },
            },
            State::Admitted(_) => Status::Running { waiting_for: "frames of the device or the hub" },
            State::Ended(None) => Status::Finished,
            State::Ended(Some(reason)) => Status::Failed(reason),
        }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
