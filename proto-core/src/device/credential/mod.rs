//! Keeps one binding's credential fresh (D8; WIRE section 2.4): a short-lived JWT, renewed with proof of possession, where the
//! old one is in use until the new one is durable.
//!
//! ```text
//!            ┌────────────────── backoff ◄── refused, unanswered, not a successor ──┐
//!            ▼                                                                      │
//! new ──► Resting ── half to 5/6 of the lifetime passed, or RenewNow ────────────► Asking
//!          │ ▲ ▲                                                                    │ 200
//!          │ │ └──── Stored: Announce ──── Storing ◄──── Renewed ───────────────────┘
//!          │ │
//!          │ └── the clock says it is not over ── RenewalExpired
//!          └── hard expiry ─────────────────────►┘
//! ```
//!
//! Asking again for the successor of the same generation gives the same one, so lost answers and kills are harmless (ROT-2).
//! Nothing that the platform answers here ends a binding, and this machine never ends by itself: who drops the binding drops it.
//!
//! Expiries are stamps of the platform's clock. They are used as ages: what counts is how long ago this device got the credential
//! by its own clocks, so a device whose clock is wrong by a constant renews as it should, and one whose clock jumps renews once too
//! often at worst (JWT-3). Proofs are dated by the platform's time as its answers state it ([`clock`](crate::device::clock)): a
//! request that is refused because of its date is sent again at once, dated as the refusal was (D19).
//!
//! The driver's loop is the one of [`Machine`].

mod event;
mod held;
mod state;

#[cfg(test)]
mod tests;

pub use event::{EffectId, Input, Output, Renewal, Timer};

use alloc::{boxed::Box, collections::VecDeque, format, string::String, vec};
use core::{convert::Infallible, mem, time::Duration};

use self::{held::Held, state::State};
use crate::{
    Deadline, Entropy, Instant, JitterRng, Machine, MachineBase, Misuse, Obstacle, Reason, Status, Unhashed, UnixTime, WallClock,
    api::{ROTATE_PATH, Renewed, RotateRequest, json, refusal, unanswered},
    crypto::Identity,
    device::clock::PlatformClock,
    effect::{Effect, HttpAnswer, HttpRequest, IoEvent, Method},
    jose::{ProofTarget, prove},
    machine::backoff::Backoff,
    secret::SecretText,
};

/// How long the platform may take to answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The most attempts within any hour while none succeeds (ROT-3).
pub const ATTEMPTS_PER_HOUR: usize = 12;

/// A credential that was renewed so recently is not renewed again because a peer calls it expired: that peer has a wrong
/// clock, and would do the same with the next one.
pub const RENEW_PAUSE: Duration = Duration::from_mins(5);

const HOUR: Duration = Duration::from_hours(1);

/// Half of such a wait is certain, the other half random.
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(20), cap: Duration::from_mins(10) };

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 65_536;

/// The machine. See the [module page](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rotation {
    url: String,
    identity: Identity,
    held: Held,
    clock: PlatformClock,
    jitter: JitterRng,
    asked: Unhashed<u32>,
    failures: u32,
    attempts: VecDeque<Instant>,
    renewed_at: Option<Instant>,
    trouble: Option<Reason>,
    obstacle: Unhashed<Option<Obstacle>>,
    state: State,
    port: MachineBase<Output>,
}

impl Rotation {
    /// Keeps `token` fresh with the platform at `api_endpoint`. It may be past its expiry, then it is renewed at once.
    ///
    /// # Errors
    /// [`Reason::TokenMalformed`] when it is no credential.
    pub fn new(
        now: Instant,
        clock: WallClock,
        api_endpoint: &str,
        identity: Identity,
        token: SecretText,
        mut jitter: JitterRng,
    ) -> Result<Self, Reason> {
        let held = Held::stored(token, &mut jitter)?;
        let until = held.renew_at(now, clock);
        let mut rotation = Self {
            url: format!("{}{ROTATE_PATH}", api_endpoint.trim_end_matches('/')),
            identity,
            held,
            clock: PlatformClock::new(clock),
            jitter,
            asked: Unhashed(0),
            failures: 0,
            attempts: VecDeque::new(),
            renewed_at: None,
            trouble: None,
            obstacle: Unhashed(None),
            state: State::Resting { until },
            port: MachineBase::new(now),
        };
        rotation.advance();
        Ok(rotation)
    }

    /// The credential to connect with: the newest that is durable (PAIR-8).
    pub const fn credential(&self) -> &SecretText {
        &self.held.token
    }

    /// Its generation.
    pub const fn generation(&self) -> u64 {
        self.held.claims.generation
    }

    /// Whether connecting with it makes sense at `now`; when not, wait for [`Output::Announce`].
    pub fn is_fresh(&self, now: Instant) -> bool {
        now < self.held.expires_at(self.clock.best())
    }

    /// Whether only pairing again helps.
    pub const fn has_lapsed(&self) -> bool {
        matches!(self.state, State::RenewalExpired)
    }

    /// When it ends for good unless renewed, by the platform's clock.
    pub const fn renewable_until(&self) -> UnixTime {
        self.held.claims.renewable_until
    }

    /// Why the last attempt brought nothing, until one succeeds.
    pub const fn trouble(&self) -> Option<Reason> {
        self.trouble
    }

    /// The time that credentials and proofs go by: this device's, and the platform's where it has stated another.
    pub const fn clock(&self) -> PlatformClock {
        self.clock
    }

    const fn unix(&self) -> UnixTime {
        self.clock.best().unix_at(self.port.now())
    }

    /// What the latest attempt met.
    pub const fn obstacle(&self) -> Option<Obstacle> {
        self.obstacle.0
    }

    /// Does what is due.
    fn advance(&mut self) {
        let State::Resting { until } = self.state else { return };
        if self.port.now() >= self.lapses_at() {
            self.state = State::RenewalExpired;
            self.port.push(Output::RenewalExpired);
        } else if self.port.now() >= until {
            self.ask();
        }
    }

    /// When no attempt makes sense any more: by this device's clock, and by the platform's time as well where that is another.
    /// Neither alone may stop a device that the other would let go on.
    fn lapses_at(&self) -> Instant {
        self.held.lapses_at(self.clock.own()).max(self.held.lapses_at(self.clock.best()))
    }

    fn ask(&mut self) {
        if self.attempts.len() >= ATTEMPTS_PER_HOUR {
            self.attempts.pop_front();
        }
        self.attempts.push_back(self.port.now());
        self.asked = Unhashed(self.asked.0.wrapping_add(1));
        match self.request() {
            Ok(request) => {
                self.state = State::Asking { number: self.asked };
                self.port.push(Output::Effect(Effect::Http(EffectId(self.asked.0), request)));
            }
            Err(reason) => self.failed(reason, Duration::ZERO),
        }
    }

    fn request(&mut self) -> Result<HttpRequest, Reason> {
        let token = &self.held.token;
        let target = ProofTarget { method: "POST", url: &self.url, token };
        let proof = prove(&self.identity, target, self.unix(), &unique(&mut self.jitter));
        let authorization = SecretText::new(format!("DPoP {}", token.expose()));
        let body = json(&RotateRequest { generation: self.generation() })?;
        Ok(HttpRequest {
            method: Method::Post,
            url: self.url.clone(),
            headers: vec![("Authorization", authorization), ("DPoP", proof)],
            body: Some(body),
            timeout: REQUEST_TIMEOUT,
            max_answer: MAX_ANSWER,
        })
    }

    fn io_event(&mut self, event: IoEvent<EffectId>) {
        let (EffectId(number), event) = event.take_id();
        if !matches!(self.state, State::Asking { number: asked } if asked.0 == number) {
            return self.ignore();
        }
        match event {
            IoEvent::Answered((), answer) => {
                self.obstacle = Unhashed(Some(Obstacle::Status(answer.status)));
                self.answered(&answer);
            }
            IoEvent::Unanswered((), fault) => {
                self.obstacle = Unhashed(Some(Obstacle::Fault(fault)));
                self.failed(unanswered(fault), Duration::ZERO);
            }
            _ => self.ignore(),
        }
    }

    fn answered(&mut self, answer: &HttpAnswer) {
        let is_corrected = answer.date.is_some_and(|date| self.clock.learn(self.port.now(), date));
        match self.successor(answer) {
            Ok((renewal, held)) => {
                self.port.push(Output::Renewed(renewal.clone()));
                self.state = State::Storing { renewal, held };
            }
            Err(Reason::TokenNotYetValid) if is_corrected => {
                // It was this device's clock, which is gone by no more.
                self.state = State::Resting { until: self.port.now().max(self.allowed_from()) };
            }
            Err(reason) => self.failed(reason, Duration::from_secs(answer.retry_after.unwrap_or(0).into())),
        }
    }

    fn successor(&mut self, answer: &HttpAnswer) -> Result<(Box<Renewal>, Box<Held>), Reason> {
        if answer.status != 200 {
            return Err(refusal(answer));
        }
        let renewed: Renewed = serde_json::from_slice(answer.body.expose()).map_err(|_| Reason::PlatformAnswerInvalid)?;
        let held = Held::fresh(renewed.issue_token.clone(), self.unix(), &mut self.jitter)?;
        if !self.held.is_renewed_by(&held.claims) || !renewed.relay.is_sound() {
            return Err(Reason::PlatformAnswerInvalid);
        }
        let renewal = Renewal { generation: held.claims.generation, answer: renewed };
        Ok((Box::new(renewal), Box::new(held)))
    }

    /// Tries again after a while, sooner or later as the hour's attempts and the platform allow.
    fn failed(&mut self, reason: Reason, retry_after: Duration) {
        self.failures = self.failures.saturating_add(1);
        let half = BACKOFF.ceiling(self.failures) / 2;
        let wait = half.saturating_add(self.jitter.up_to(half)).max(retry_after.min(HOUR));
        let until = self.port.now().after(wait).max(self.allowed_from());
        self.state = State::Resting { until };
        if self.trouble.replace(reason) != Some(reason) {
            self.port.push(Output::Trouble(reason));
        }
    }

    /// When the next attempt is within the limit of the hour.
    fn allowed_from(&self) -> Instant {
        match self.attempts.front() {
            Some(first) if self.attempts.len() >= ATTEMPTS_PER_HOUR => first.after(HOUR),
            _ => Instant::ZERO,
        }
    }

    fn stored(&mut self) {
        match mem::replace(&mut self.state, State::RenewalExpired) {
            State::Storing { held, .. } => {
                self.held = *held;
                self.failures = 0;
                self.attempts.clear();
                self.renewed_at = Some(self.port.now());
                self.trouble = None;
                self.state = State::Resting { until: self.held.renew_at(self.port.now(), self.clock.best()) };
                self.port.push(Output::Announce(self.held.token.clone()));
            }
            other => {
                self.state = other;
                self.ignore();
            }
        }
    }

    fn renew_now(&mut self) {
        let pause_ends = self.renewed_at.map_or(Instant::ZERO, |at| at.after(RENEW_PAUSE));
        let allowed = self.allowed_from().max(pause_ends);
        match &mut self.state {
            State::Resting { until } => *until = (*until).min(allowed.max(self.port.now())),
            _ => self.ignore(),
        }
    }

    /// The platform states its time elsewhere.
    fn stated(&mut self, time: UnixTime) {
        if self.clock.learn(self.port.now(), time) {
            self.go_by_clock();
        }
    }

    fn go_by_clock(&mut self) {
        let clock = self.clock.best();
        match self.state {
            State::RenewalExpired if self.port.now() < self.lapses_at() => {
                self.state = State::Resting { until: self.port.now().max(self.allowed_from()) };
            }
            State::Resting { .. } if self.failures == 0 => {
                self.state = State::Resting { until: self.held.renew_at(self.port.now(), clock) };
            }
            _ => {}
        }
    }

    const fn ignore(&mut self) {
        self.port.ignore();
    }
}

/// A `jti` must be unique, not secret.
pub(super) fn unique(jitter: &mut JitterRng) -> Entropy {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_exact_mut(8) {
        chunk.copy_from_slice(&jitter.next().to_be_bytes());
    }
    Entropy::new(bytes)
}

impl Machine for Rotation {
    type Input = Input;
    type Output = Output;
    type Failure = Infallible;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        self.port.enter(now)?;
        match input {
            Input::Io(event) => self.io_event(event),
            Input::Stored => self.stored(),
            Input::RenewNow => self.renew_now(),
            Input::Stated(time) => self.stated(time),
        }
        self.advance();
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
        self.advance();
    }

    fn handle_clock(&mut self, now: Instant, wall: WallClock) {
        self.port.advance(now);
        if !self.clock.agrees_with(wall) {
            self.clock.set(wall);
            self.go_by_clock();
            self.advance();
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        let State::Resting { until } = self.state else { return None };
        let renewal = Deadline::new(until, Timer::Renewal);
        Some(renewal.min(Deadline::new(self.lapses_at(), Timer::Lapse)))
    }

    fn status(&self) -> Status<'_, Infallible> {
        let waiting_for = match &self.state {
            State::Resting { .. } => "the time to renew the credential",
            State::Asking { .. } => "the platform's answer",
            State::Storing { .. } => "the new credential to be durable",
            State::RenewalExpired => "a new pairing: the credential is past its hard expiry",
        };
        Status::Running { waiting_for }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
