//! One device's link to one relay: connect, handshake, frames, and again after every loss (D7).
//!
//! ```text
//!              due                   Connected                  Welcome
//!   ┌─────────┐ ───► ┌────────────┐ ─────────► ┌─────────────┐ ────────► ┌────┐ ◄─┐ frames, pings,
//!   │ Waiting │      │ Connecting │            │ Handshaking │           │ Up │ ──┘ rekeys, Rotate
//!   └─────────┘ ◄─┐  └────────────┘            └─────────────┘           └────┘
//!        ▲        │        │ Closed                   │ Closed, garbage     │ Closed, silence, Error, Revoke
//!        │        └────────┴──────────────────────────┤                     │
//!        │ retry                                      ▼                     │
//!        └────────────────────────────────────── ┌─────────┐ ◄──────────────┘
//!                              Stopped, Ended ◄── │ Closing │
//!                                                └─────────┘
//! ```
//!
//! Five quick attempts with full jitter, then one every 10 to 30 seconds, for good; the count starts again only after the link
//! was up for 30 seconds. A refusal under the relay's pinned key that says the machine is revoked or its workspace gone ends
//! it; nothing else does (BIND-6).
//!
//! Driver: hand over what happened to the WebSocket; perform the effects. One WebSocket at a time, so the effects need no name.

mod ending;
mod event;
mod schedule;
mod shown;
mod state;
#[cfg(test)]
mod tests;
mod up;

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use bytes::Bytes;

pub use event::{Input, Output, Timer};
use schedule::Schedule;
pub use schedule::{MAX_SLOW, MIN_SLOW, QUICK_ATTEMPTS, STABLE_AFTER};
pub use shown::LinkState;
use state::{AfterClose, State};
use up::Up;

use crate::{
    Deadline, Entropy, Instant, JitterRng, Machine, MachineBase, Misuse, Obstacle, Reason, Status, Unhashed,
    crypto::Identity,
    effect::{Connect, Effect, IoEvent},
    key::StaticKey,
    noise::{
        InitiatorKeys, Noise,
        channel::{Channel, Tails},
        handshake::{Initiator, initiator},
    },
    secret::{Secret, SecretText},
    wire::{Frame, Head, Hello, MAX_FRAME_DEFAULT, Pattern, Preamble, Refused, Role, Suite, Welcome},
};

/// From the first packet to the open WebSocket.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whose link, and where to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// [`Role::Daemon`] or [`Role::Viewer`].
    pub role: Role,
    /// The relay's `ws://` or `wss://` URL.
    pub url: String,
    /// The pinned key first, then an announced successor.
    pub relay_keys: Vec<StaticKey>,
    /// The binding's keys.
    pub identity: Identity,
    /// The binding's pre-shared key: with it IKpsk2, without it IK.
    pub psk: Option<Secret>,
    /// The credential.
    pub token: SecretText,
    /// Software and version.
    pub software: String,
    /// Whether the CPU has AES instructions: decides the suite.
    pub aes_in_hardware: bool,
}

/// The machine. See the [module page](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Link<N> {
    config: Config,
    schedule: Schedule,
    state: State<N>,
    trouble: Option<Reason>,
    obstacle: Unhashed<Option<Obstacle>>,
    stats: Unhashed<Stats>,
    port: MachineBase<Output>,
}

/// What was ignored, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stats {
    /// Frames handed over while the link was not up.
    pub not_up: u64,
    /// Events that belong to a WebSocket of before.
    pub stale: u64,
}

impl Stats {
    const fn ignored(&self) -> u64 {
        self.not_up.saturating_add(self.stale)
    }
}

impl<N: Noise> Link<N> {
    /// A link that makes its first attempt at once.
    pub fn new(config: Config, jitter: JitterRng, now: Instant) -> Self {
        Self {
            config,
            schedule: Schedule::new(jitter),
            state: State::Waiting { until: now },
            trouble: None,
            obstacle: Unhashed(None),
            stats: Unhashed(Stats::default()),
            port: MachineBase::new(now),
        }
    }

    /// As `vpd status` shows it.
    pub const fn state(&self) -> LinkState {
        match (&self.state, self.schedule.attempt()) {
            (State::Up(_), _) => LinkState::Connected,
            (State::Stopped | State::Ended(_), _) => LinkState::Disconnected,
            (_, 0) => LinkState::Connecting,
            (_, attempt) if attempt <= QUICK_ATTEMPTS => LinkState::Reconnecting { attempt, of: QUICK_ATTEMPTS },
            _ => LinkState::Disconnected,
        }
    }

    /// Why the latest attempt failed or the link was lost; `None` while it is up.
    pub const fn trouble(&self) -> Option<Reason> {
        self.trouble
    }

    /// What the latest attempt met, or the connection at its end, where that was not a word of the relay's.
    pub const fn obstacle(&self) -> Option<Obstacle> {
        self.obstacle.0
    }

    /// Whether frames flow.
    pub const fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// What was ignored so far.
    pub const fn stats(&self) -> &Stats {
        &self.stats.0
    }

    /// Where the relay is and which keys it may have, from the next attempt on, as the platform announced them (PIN-2).
    pub fn follow(&mut self, url: String, relay_keys: Vec<StaticKey>) {
        self.config.url = url;
        self.config.relay_keys = relay_keys;
    }

    const fn has_ended(&self) -> bool {
        matches!(self.state, State::Stopped | State::Ended(_))
    }

    fn connect(&mut self) {
        self.state = State::Connecting;
        self.effect(Effect::Connect(
            (),
            Connect { url: self.config.url.clone(), timeout: CONNECT_TIMEOUT, max_message: MAX_FRAME_DEFAULT },
        ));
    }

    fn connected(&mut self, entropy: Entropy) {
        // A successor is tried on every second attempt, for as long as one is announced.
        let keys = &self.config.relay_keys;
        let turn = usize::try_from(self.schedule.attempt()).unwrap_or(0).checked_rem(keys.len()).unwrap_or(0);
        let Some(responder) = keys.get(turn).copied() else {
            return self.close(AfterClose::Retry(Reason::NoiseHandshakeFailed));
        };
        let pattern = if self.config.psk.is_some() { Pattern::IkPsk2 } else { Pattern::Ik };
        let suite = Suite::choose(pattern, self.config.aes_in_hardware);
        let keys = InitiatorKeys {
            preamble: Preamble { suite, role: self.config.role },
            local: self.config.identity.static_keys(),
            responder,
            psk: self.config.psk.as_ref(),
        };
        let hello = Hello { token: self.config.token.clone(), software: self.config.software.clone() };
        self.state = State::Handshaking(Initiator::start(self.port.now(), keys, entropy, &hello));
        self.drain_handshake();
    }

    fn received(&mut self, message: Bytes) {
        match &mut self.state {
            State::Handshaking(initiator) => {
                self.port.feed(initiator, initiator::Input::Received(message));
                self.drain_handshake();
            }
            State::Up(up) => match up.open(&message, self.port.now()) {
                Ok(frame) => self.frame(frame),
                Err(reason) => self.close(AfterClose::Retry(reason)),
            },
            _ => self.stats.0.stale += 1,
        }
    }

    fn frame(&mut self, frame: Frame) {
        match frame.head {
            Head::Ping { nonce } => self.send(&Head::Pong { nonce }.into()),
            Head::Pong { .. } | Head::Rekey => {}
            Head::Rotated { generation } => self.port.push(Output::Rotated(generation)),
            Head::Revoke { reason } => self.refused(reason, 0),
            Head::Error { reason, retry_after, .. } => self.refused(reason, retry_after),
            _ if self.may_receive(&frame.head) => self.port.push(Output::Received(frame)),
            _ => self.close(AfterClose::Retry(Reason::FrameMalformed)),
        }
    }

    /// The directions of WIRE section 6.
    const fn may_receive(&self, head: &Head) -> bool {
        match self.config.role {
            Role::Daemon => {
                matches!(
                    head,
                    Head::Acknowledge { .. }
                        | Head::Resume { .. }
                        | Head::Peer { .. }
                        | Head::Enveloped { .. }
                        | Head::Decline { .. }
                        | Head::Storing { .. }
                )
            }
            _ => matches!(
                head,
                Head::Open { .. } | Head::Data { .. } | Head::End { .. } | Head::Peer { .. } | Head::Envelope { .. }
            ),
        }
    }

    fn send(&mut self, frame: &Frame) {
        let State::Up(up) = &mut self.state else {
            self.stats.0.not_up += 1;
            return;
        };
        match up.seal(frame, self.port.now()) {
            Ok(message) => self.effect(Effect::Send((), message)),
            Err(reason) => self.close(AfterClose::Retry(reason)),
        }
    }

    fn rekey_if_due(&mut self) {
        if let State::Up(up) = &self.state
            && up.rekey_is_due(self.port.now())
        {
            self.send(&Head::Rekey.into());
        }
    }

    fn drain_handshake(&mut self) {
        while let State::Handshaking(initiator) = &mut self.state
            && let Some(output) = initiator.poll_output()
        {
            match output {
                initiator::Output::Send(message) => self.effect(Effect::Send((), message)),
                initiator::Output::Established { noise, welcome } => self.up(noise, welcome),
                initiator::Output::Failed(initiator::Failure::Broken(reason)) => self.close(AfterClose::Retry(reason)),
                initiator::Output::Failed(initiator::Failure::Refused(Refused { reason, retry_after })) => {
                    self.refused(reason, retry_after);
                }
            }
        }
    }

    fn up(&mut self, noise: N, welcome: Welcome) {
        let tails = if self.config.role == Role::Viewer { Tails::Accepted } else { Tails::Refused };
        self.state = State::Up(Up::new(Channel::new(noise, tails), &welcome, self.port.now()));
        self.trouble = None;
        self.port.push(Output::Up(welcome));
        // The relay does nothing before it opened a transport message (WIRE section 4, confirmation).
        self.send(&Head::Ping { nonce: 0 }.into());
    }

    fn renew(&mut self, token: SecretText) {
        self.config.token = token.clone();
        if self.is_up() {
            self.send(&Head::Rotate { token }.into());
        }
    }

    fn retry_now(&mut self) {
        self.schedule.retry_now();
        if let State::Waiting { until } = &mut self.state {
            *until = self.port.now();
        }
    }

    fn ping_if_due(&mut self) {
        if let State::Up(up) = &mut self.state
            && up.ping_is_due(self.port.now())
        {
            let nonce = up.next_ping();
            self.send(&Head::Ping { nonce }.into());
        }
    }

    fn effect(&mut self, effect: Effect<()>) {
        self.port.push(Output::Effect(effect));
    }
}

impl<N: Noise> Machine for Link<N> {
    type Input = Input;
    type Output = Output;
    type Failure = Reason;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        self.port.enter(now)?;
        match input {
            Input::Io(IoEvent::Connected((), entropy)) if matches!(self.state, State::Connecting) => {
                self.connected(entropy);
            }
            Input::Io(IoEvent::Received((), message)) => self.received(message),
            Input::Io(IoEvent::Closed((), closed)) => self.closed(closed),
            Input::Renew(_) | Input::RetryNow | Input::Stop | Input::Io(IoEvent::Sent((), _)) if self.has_ended() => {
                self.port.ignore();
            }
            Input::Io(IoEvent::Sent((), _)) => {}
            Input::Io(_) => self.stats.0.stale += 1,
            Input::Send(frame) => {
                self.rekey_if_due();
                self.send(&frame);
            }
            Input::Renew(token) => self.renew(token),
            Input::RetryNow => self.retry_now(),
            Input::Stop => self.stop(),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
        match &mut self.state {
            State::Waiting { until } if *until <= self.port.now() => self.connect(),
            State::Handshaking(initiator) => {
                initiator.handle_timeout(self.port.now());
                self.drain_handshake();
            }
            State::Up(up) if up.is_silent(self.port.now()) => self.close(AfterClose::Retry(Reason::PingTimeout)),
            State::Up(up) => {
                if up.is_settled(self.port.now()) {
                    self.schedule.settle();
                }
                self.rekey_if_due();
                self.ping_if_due();
            }
            _ => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        match &self.state {
            State::Waiting { until } => Some(Deadline::new(*until, Timer::NextAttempt)),
            State::Handshaking(initiator) => initiator.poll_timeout().map(|deadline| deadline.map(Timer::Handshake)),
            State::Up(up) => Some(up.deadline(self.schedule.attempt() > 0)),
            State::Connecting | State::Closing(_) | State::Stopped | State::Ended(_) => None,
        }
    }

    fn status(&self) -> Status<'_, Reason> {
        match &self.state {
            State::Waiting { .. } => Status::Running { waiting_for: "the next attempt" },
            State::Connecting => Status::Running { waiting_for: "the WebSocket" },
            State::Handshaking(_) => Status::Running { waiting_for: "the relay's answer" },
            State::Up(_) => Status::Running { waiting_for: "frames" },
            State::Closing(_) => Status::Running { waiting_for: "the close" },
            State::Stopped => Status::Finished,
            State::Ended(reason) => Status::Failed(reason),
        }
    }

    fn ignored(&self) -> u64 {
        self.stats.0.ignored().saturating_add(self.port.ignored())
    }
}
