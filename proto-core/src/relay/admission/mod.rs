//! Whether a relay lets a device in: the checks of WIRE section 4, in that order, each refusal with its reason (ADM-2).
//!
//! ```text
//!  begin: the token's shape ──► LookingUp ── Key: signature, aud, nbf, exp, role, cnf ──► Validating ── answer, policy ──► Admitted
//!     │                            │                                                          │
//!     │ token_malformed            │ jwks_unreachable, signature_mismatch,                    │ validate_unreachable,
//!     ▼                            │ token_wrong_audience, token_not_yet_valid,               │ internal_key_mismatch,
//!  Refused                         ▼ token_expired, token_key_mismatch                        ▼ machine_revoked, …
//!                               Refused                                                    Refused
//! ```
//!
//! The same machine decides about a credential that was renewed over a live link, where only the token is another, and once more
//! about the one of a live link ([`Admission::again`]). The driver's loop is the one of [`Machine`]. The machine has no deadline of
//! its own: every output that it waits for has one.

mod event;
mod limiter;
mod pending;
mod state;

#[cfg(test)]
mod tests;

use alloc::{boxed::Box, format, string::String, sync::Arc, vec};
use core::{convert::Infallible, time::Duration};

use self::state::State;
pub use self::{
    event::{Admitted, Input, KeyAnswer, Output},
    limiter::{MAX_ADDRESSES, MAX_ARRIVALS, RateLimiter},
    pending::{Arrival, PendingConnections, Ticket},
};
use crate::{
    Reason,
    api::{PolicyMode, ValidateAnswer, ValidateRequest, json},
    effect::{Effect, HttpAnswer, HttpRequest, IoEvent, Method},
    id::DeviceKind,
    jose::{Claims, Expectation, Expiry, Unverified},
    key::StaticKey,
    machine::{
        Deadline, Machine, Misuse, Status,
        base::MachineBase,
        time::{Instant, WallClock},
    },
    secret::{Secret, SecretText},
    wire::{Pattern, Refused, Role},
};

/// How long the platform may take: with the key set's fetch still less than a device waits for message 2.
const VALIDATE_TIMEOUT: Duration = Duration::from_secs(4);
/// The longest answer of the platform.
const MAX_ANSWER: usize = 16 * 1024;

/// How a relay reaches its platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlatformAccess {
    /// `RELAY_VALIDATE_URL`.
    pub validate_url: String,
    /// `RELAY_INTERNAL_KEY`.
    pub internal_key: SecretText,
    /// `iss` of every credential, where the relay was told.
    pub issuer: Option<String>,
}

/// A device that asks for admission.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Applicant {
    /// What it says it is, in the preamble.
    pub role: Role,
    /// Its handshake's pattern.
    pub pattern: Pattern,
    /// The key that its handshake proved.
    pub static_key: StaticKey,
    /// Its credential.
    pub token: SecretText,
}

/// One decision about one credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Admission {
    gate: Arc<PlatformAccess>,
    clock: WallClock,
    applicant: Applicant,
    expiry: Expiry,
    state: State,
    port: MachineBase<Output>,
}

impl Admission {
    /// Begins to decide at `now`. `clock` is what the relay knows of the time.
    pub fn begin(now: Instant, gate: Arc<PlatformAccess>, clock: WallClock, applicant: Applicant) -> Self {
        Self::decide(now, gate, clock, applicant, Expiry::Connect)
    }

    /// The same about the credential of a live link (D3). Whether its time is over is the platform's to say: without a platform
    /// the device cannot renew it, and a live link does not end because of that (ROT-5).
    pub fn again(now: Instant, gate: Arc<PlatformAccess>, clock: WallClock, applicant: Applicant) -> Self {
        Self::decide(now, gate, clock, applicant, Expiry::Renew)
    }

    fn decide(now: Instant, gate: Arc<PlatformAccess>, clock: WallClock, applicant: Applicant, expiry: Expiry) -> Self {
        let parsed = Unverified::parse(&applicant.token);
        let state = State::Refused(Reason::TokenMalformed);
        let mut machine = Self { gate, clock, applicant, expiry, state, port: MachineBase::new(now) };
        match parsed {
            Ok(token) => {
                machine.port.push(Output::LookUp { kid: token.kid() });
                machine.state = State::LookingUp(Box::new(token));
            }
            Err(reason) => machine.refuse(reason, None),
        }
        machine
    }

    fn take_key(&mut self, answer: KeyAnswer) {
        let State::LookingUp(token) = &self.state else { return self.port.ignore() };
        match self.check((**token).clone(), answer) {
            Ok(claims) => self.ask_platform(claims),
            Err(reason) => self.refuse(reason, None),
        }
    }

    /// Steps 4 and 5.
    fn check(&self, token: Unverified, answer: KeyAnswer) -> Result<Claims, Reason> {
        let key = match answer {
            KeyAnswer::Found(key) => key,
            KeyAnswer::Unknown => return Err(Reason::SignatureMismatch),
            KeyAnswer::Unreachable => return Err(Reason::JwksUnreachable),
        };
        let expected = Expectation { issuer: self.gate.issuer.clone(), expiry: self.expiry };
        let claims = token.verify_under(key, self.clock.unix_at(self.port.now()), &expected)?;
        let role_fits =
            matches!((claims.role, self.applicant.role), (DeviceKind::Daemon, Role::Daemon) | (DeviceKind::Viewer, Role::Viewer));
        if !role_fits {
            return Err(Reason::TokenWrongAudience);
        }
        if claims.confirmation.static_key != self.applicant.static_key {
            return Err(Reason::TokenKeyMismatch);
        }
        Ok(claims)
    }

    fn ask_platform(&mut self, claims: Claims) {
        let body = ValidateRequest { token: self.applicant.token.clone(), static_key: self.applicant.static_key };
        let Ok(body) = json(&body) else { return self.refuse(Reason::ValidateUnreachable, None) };
        let authorization = format!("Bearer {}", self.gate.internal_key.expose());
        let request = HttpRequest {
            method: Method::Post,
            url: self.gate.validate_url.clone(),
            headers: vec![("Authorization", SecretText::new(authorization))],
            body: Some(body),
            timeout: VALIDATE_TIMEOUT,
            max_answer: MAX_ANSWER,
        };
        self.port.push(Output::Effect(Effect::Http((), request)));
        self.state = State::Validating(Box::new(claims));
    }

    fn take_answer(&mut self, event: IoEvent<()>) {
        let State::Validating(claims) = &self.state else { return self.port.ignore() };
        let (verdict, retry_after) = match event {
            IoEvent::Answered((), answer) => (self.judge(&answer), answer.retry_after),
            _ => (Err(Reason::ValidateUnreachable), None),
        };
        match verdict {
            Ok(psk) => {
                let admitted = Admitted { claims: (**claims).clone(), psk };
                self.port.push(Output::Admitted(Box::new(admitted)));
                self.state = State::Admitted;
            }
            Err(reason) => self.refuse(reason, retry_after),
        }
    }

    /// Steps 6 and 7.
    fn judge(&self, answer: &HttpAnswer) -> Result<Option<Secret>, Reason> {
        match answer.status {
            200 => {}
            401 => return Err(Reason::InternalKeyMismatch),
            _ => return Err(Reason::ValidateUnreachable),
        }
        let answer: ValidateAnswer = serde_json::from_slice(answer.body.expose()).map_err(|_| Reason::ValidateUnreachable)?;
        if !answer.active {
            return Err(answer.reason.unwrap_or(Reason::PeerError));
        }
        let policy = answer.policy_mode.ok_or(Reason::ValidateUnreachable)?;
        psk_for(self.applicant.pattern, policy, answer.psk)
    }

    fn refuse(&mut self, reason: Reason, retry_after: Option<u32>) {
        let retry_after = retry_after.filter(|_| reason.is_temporary()).unwrap_or(0);
        self.port.push(Output::Refused(Refused { reason, retry_after }));
        self.state = State::Refused(reason);
    }
}

/// The PSK to answer with, if the pattern is one that the policy allows (NOI-3).
fn psk_for(pattern: Pattern, policy: PolicyMode, psk: Option<Secret>) -> Result<Option<Secret>, Reason> {
    match (pattern, policy, psk) {
        (Pattern::Ik, PolicyMode::Standard, _) => Ok(None),
        (Pattern::IkPsk2, _, Some(psk)) => Ok(Some(psk)),
        (Pattern::Ik, PolicyMode::CryptoPairing, _) | (Pattern::IkPsk2, _, None) => Err(Reason::NoisePskInvalid),
    }
}

impl Machine for Admission {
    type Input = Input;
    type Output = Output;
    type Failure = Reason;
    type Timer = Infallible;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        self.port.enter(now)?;
        match input {
            Input::Key(answer) => self.take_key(answer),
            Input::Io(event) => self.take_answer(event),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
    }

    fn handle_clock(&mut self, now: Instant, wall: WallClock) {
        self.port.advance(now);
        if !self.clock.agrees_with(wall) {
            self.clock = wall;
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Infallible>> {
        None
    }

    fn status(&self) -> Status<'_, Reason> {
        match &self.state {
            State::LookingUp(_) => Status::Running { waiting_for: "the signing key" },
            State::Validating(_) => Status::Running { waiting_for: "the platform's verdict" },
            State::Admitted => Status::Finished,
            State::Refused(reason) => Status::Failed(reason),
        }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
