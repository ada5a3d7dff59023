//! The steps of a pairing.

use alloc::{boxed::Box, format, vec, vec::Vec};
use core::{mem, time::Duration};

use super::{
    EffectId, HOLD, INTERVAL, MAX_ANSWER, MAX_INTERVAL, MAX_LIFETIME, MAX_RETRY_AFTER, MINT_PAUSE, Output, Paired, Pairing,
    REQUEST_TIMEOUT, SLOW_DOWN,
    answer::{self, Polled},
    name::MAX_LABEL_LEN,
    state::{State, Turn},
};
use crate::{
    Entropy, Obstacle, Reason, Unhashed,
    api::{Approval, JWKS_PATH, MintRequest, PAIRING_CODES_PATH, json, unanswered},
    crypto::Identity,
    device::files::{Document, PendingPairing, VERSION},
    effect::{Effect, HttpAnswer, HttpRequest, IoEvent, Method, NetFault, StateFile},
    jose::{Claims, Confirmation, Expectation, Expiry, JwkSet, Thumbprint, verify},
    secret::{Secret, SecretText},
};

impl Pairing {
    /// Does what is due: ends at the expiry, asks when a pause is over.
    pub(super) fn advance(&mut self) {
        let now = self.port.now();
        match self.state.turn() {
            Some((_, end)) if now >= end => self.expire(),
            Some((Turn::Pausing { until }, _)) if now >= until => self.ask(),
            _ => {}
        }
    }

    pub(super) fn io_event(&mut self, event: IoEvent<EffectId>) {
        match event {
            IoEvent::Answered(effect_id, answer) if self.is_asking(effect_id) => self.answered(effect_id, &answer),
            IoEvent::Unanswered(effect_id, fault) if self.is_asking(effect_id) => self.unanswered(effect_id, fault),
            IoEvent::Stored(EffectId::Save) => self.saved(true),
            IoEvent::NotStored(EffectId::Save) => self.saved(false),
            // A file that stays is found again at the next start, and leads to the same end.
            IoEvent::Stored(EffectId::Forget) | IoEvent::NotStored(EffectId::Forget) => self.forgotten(),
            _ => self.ignore(),
        }
    }

    fn answered(&mut self, effect_id: EffectId, answer: &HttpAnswer) {
        self.obstacle = Unhashed(Some(Obstacle::Status(answer.status)));
        if let (EffectId::Mint(_) | EffectId::Poll(_), Some(date)) = (effect_id, answer.date) {
            self.clock.learn(self.port.now(), date);
        }
        match effect_id {
            EffectId::Mint(_) => self.mint_answered(answer),
            EffectId::Poll(_) => self.poll_answered(answer),
            EffectId::KeySet(_) => self.keys_answered(answer),
            EffectId::Save | EffectId::Forget => {}
        }
    }

    fn unanswered(&mut self, effect_id: EffectId, fault: NetFault) {
        self.obstacle = Unhashed(Some(Obstacle::Fault(fault)));
        if let EffectId::Mint(_) = effect_id {
            return self.mint_unanswered(fault);
        }
        self.pause(Duration::ZERO);
        self.say_trouble(unanswered(fault));
    }

    pub(super) const fn ignore(&mut self) {
        self.port.ignore();
    }

    fn is_asking(&self, answered: EffectId) -> bool {
        let ((State::Minting { .. }, EffectId::Mint(number))
        | (State::Polling { .. }, EffectId::Poll(number))
        | (State::Verifying { .. }, EffectId::KeySet(number))) = (&self.state, answered)
        else {
            return false;
        };
        matches!(self.state.turn(), Some((Turn::Asking { number: asked, .. }, _)) if asked.0 == number)
    }

    fn ask(&mut self) {
        self.asked = Unhashed(self.asked.0.wrapping_add(1));
        let (number, since) = (self.asked.0, self.port.now());
        let (effect_id, http) = match &self.state {
            State::Minting { seed, .. } => match self.mint_request(seed) {
                Ok(request) => (EffectId::Mint(number), request),
                Err(reason) => return self.state = State::Failed(reason),
            },
            State::Polling { pending, expires_at, .. } => {
                (EffectId::Poll(number), self.poll_request(pending, expires_at.since(since).as_secs()))
            }
            State::Verifying { .. } => (EffectId::KeySet(number), self.request(JWKS_PATH)),
            _ => return,
        };
        self.state.take_turn(Turn::Asking { number: self.asked, since });
        self.port.push(Output::Effect(Effect::Http(effect_id, http)));
    }

    // Minting

    fn mint_request(&self, seed: &Secret) -> Result<HttpRequest, Reason> {
        let identity = Identity::from_seed(seed.clone());
        let request = MintRequest {
            kind: self.settings.kind,
            mode: self.settings.mode,
            org: self.settings.org.clone(),
            name: self.settings.name.chars().take(MAX_LABEL_LEN).collect(),
            software: self.settings.software.chars().take(MAX_LABEL_LEN).collect(),
            identity_key: identity.identity_key(),
            static_key: identity.static_key(),
            static_key_signature: identity.static_key_signature(),
        };
        Ok(HttpRequest { method: Method::Post, body: Some(json(&request)?), ..self.request(PAIRING_CODES_PATH) })
    }

    fn mint_answered(&mut self, answer: &HttpAnswer) {
        match answer::minted(answer) {
            Ok(minted) => self.save(minted),
            Err(reason) if answer::may_mint_again(answer.status) => self.mint_again(reason),
            Err(reason) => self.state = State::Failed(reason),
        }
    }

    fn mint_unanswered(&mut self, fault: NetFault) {
        if fault == NetFault::BadUrl {
            self.state = State::Failed(Reason::PlatformUnreachable);
        } else {
            self.mint_again(unanswered(fault));
        }
    }

    /// Tries once more with another identity: the platform may have made a code for this one, and no identity is in two codes.
    fn mint_again(&mut self, reason: Reason) {
        let State::Minting { tries_left, seed, next_seed, turn } = &mut self.state else { return };
        let Some(left) = tries_left.checked_sub(1) else {
            self.state = State::Failed(reason);
            return;
        };
        *tries_left = left;
        let fresh = Entropy::new(*next_seed.expose());
        *seed = fresh.derive("pairing seed");
        *next_seed = fresh.derive("pairing, next");
        *turn = Turn::Pausing { until: self.port.now().after(MINT_PAUSE) };
        self.say_trouble(reason);
    }

    fn save(&mut self, minted: crate::api::MintAnswer) {
        let State::Minting { seed, .. } = &self.state else { return };
        let lifetime = minted.expires_in.min(MAX_LIFETIME);
        let pending = PendingPairing {
            version: VERSION,
            api_endpoint: self.settings.api_endpoint.clone(),
            kind: self.settings.kind,
            mode: self.settings.mode,
            org: self.settings.org.clone(),
            seed: seed.clone(),
            code: minted.code,
            status_token: minted.status_token,
            url: minted.url,
            interval: minted.interval.unwrap_or(INTERVAL).clamp(1, MAX_INTERVAL),
            expires_at: self.clock.own().unix_at(self.port.now()).plus(lifetime),
            unknown: crate::device::files::Unknown::new(),
        };
        self.trouble = None;
        match pending.write() {
            Ok(contents) => {
                self.port.push(Output::Effect(Effect::Store(EffectId::Save, StateFile::PendingPairing, contents)));
                let expires_at = self.port.now().after(Duration::from_secs(lifetime));
                self.state = State::Saving { pending: Box::new(pending), expires_at };
            }
            Err(reason) => self.state = State::Failed(reason),
        }
    }

    fn saved(&mut self, durable: bool) {
        match mem::replace(&mut self.state, State::Finished) {
            State::Saving { pending, expires_at } if durable => {
                self.state = State::Polling { pending, expires_at, turn: Turn::Pausing { until: self.port.now() } };
                self.port.extend(self.shown().map(Output::ShowCode));
                // At once: a platform that holds polls then answers the moment the user approves.
                self.advance();
            }
            State::Saving { .. } => self.state = State::Failed(Reason::StateNotWritten),
            other => {
                self.state = other;
                self.ignore();
            }
        }
    }

    // Polling and verifying

    fn poll_request(&self, pending: &PendingPairing, seconds_left: u64) -> HttpRequest {
        let authorization = SecretText::new(format!("Bearer {}", pending.status_token.expose()));
        let hold = SecretText::new(format!("wait={}", HOLD.min(seconds_left)));
        HttpRequest {
            headers: vec![("Authorization", authorization), ("Prefer", hold)],
            ..self.request(&format!("{PAIRING_CODES_PATH}/{}", pending.code))
        }
    }

    fn request(&self, path: &str) -> HttpRequest {
        HttpRequest {
            method: Method::Get,
            url: format!("{}{path}", self.settings.api_endpoint),
            headers: Vec::new(),
            body: None,
            timeout: REQUEST_TIMEOUT,
            max_answer: MAX_ANSWER,
        }
    }

    /// The next request starts an interval after this one started, at once when it took longer, not before `at_least` passed.
    fn pause(&mut self, at_least: Duration) {
        let now = self.port.now();
        if let State::Polling { turn, pending, .. } | State::Verifying { turn, pending, .. } = &mut self.state {
            let began = if let Turn::Asking { since, .. } = *turn { since } else { now };
            let until = began.after(Duration::from_secs(pending.interval)).max(now.after(at_least));
            *turn = Turn::Pausing { until };
        }
    }

    fn poll_answered(&mut self, answer: &HttpAnswer) {
        let retry_after = answer::retry_after(answer, MAX_RETRY_AFTER);
        match answer::polled(answer) {
            Polled::Pending => {
                self.trouble = None;
                self.pause(retry_after);
            }
            Polled::Approved(approval) => self.approved(approval),
            Polled::Denied => self.forget(Err(Reason::PairingDenied)),
            Polled::Gone => self.forget(Err(Reason::CodeExpired)),
            Polled::SlowDown => {
                if let State::Polling { pending, .. } = &mut self.state {
                    pending.interval = pending.interval.saturating_add(SLOW_DOWN);
                }
                self.pause(retry_after);
            }
            Polled::Trouble(reason) => {
                self.pause(retry_after);
                self.say_trouble(reason);
            }
        }
    }

    fn approved(&mut self, approval: Box<Approval>) {
        let asked = self.settings.org.as_deref();
        if asked.is_some_and(|org| !approval.workspace.is_named(org)) {
            return self.forget(Err(Reason::OrgMismatch));
        }
        self.trouble = None;
        let turn = Turn::Pausing { until: self.port.now() };
        self.state = match mem::replace(&mut self.state, State::Finished) {
            State::Polling { pending, expires_at, .. } => State::Verifying { pending, expires_at, approval, turn },
            other => other,
        };
    }

    fn keys_answered(&mut self, answer: &HttpAnswer) {
        match answer::keys(answer) {
            Ok(keys) => self.verify(&keys),
            Err(reason) => {
                self.pause(answer::retry_after(answer, MAX_RETRY_AFTER));
                self.say_trouble(reason);
            }
        }
    }

    /// By the platform's time as it came with the approval (D19): this machine's clock may be wrong by weeks.
    fn verify(&mut self, keys: &JwkSet) {
        let State::Verifying { pending, approval, .. } = &self.state else { return };
        let expected = Expectation { issuer: None, expiry: Expiry::Renew };
        let now = self.clock.best().unix_at(self.port.now());
        match verify(&approval.issue_token, keys, now, &expected) {
            Ok(claims) if is_about(&claims, approval, pending) => {
                let paired = Paired {
                    kind: pending.kind,
                    mode: pending.mode,
                    api_endpoint: self.settings.api_endpoint.clone(),
                    seed: pending.seed.clone(),
                    generation: claims.generation,
                    approval: (**approval).clone(),
                };
                self.port.push(Output::Approved(Box::new(paired)));
                self.state = State::Adopting;
            }
            Err(Reason::TokenNotYetValid) => self.forget(Err(Reason::TokenNotYetValid)),
            _ => self.forget(Err(Reason::CredentialRejected)),
        }
    }

    // Ends

    fn expire(&mut self) {
        let reason = match &self.state {
            State::Verifying { .. } => self.trouble.unwrap_or(Reason::PlatformUnreachable),
            _ => Reason::CodeExpired,
        };
        self.forget(Err(reason));
    }

    pub(super) fn adopted(&mut self) {
        match &self.state {
            State::Polling { .. } | State::Verifying { .. } | State::Adopting => self.forget(Ok(())),
            // The code expired while the binding was being written: it is durable all the same.
            State::Forgetting { end: Err(Reason::CodeExpired) } => self.state = State::Forgetting { end: Ok(()) },
            _ => self.ignore(),
        }
    }

    pub(super) fn rejected(&mut self, reason: Reason) {
        match &self.state {
            State::Adopting => self.forget(Err(reason)),
            _ => self.ignore(),
        }
    }

    pub(super) fn cancel(&mut self) {
        match &self.state {
            State::Minting { .. } => self.state = State::Failed(Reason::PairingCancelled),
            State::Saving { .. } | State::Polling { .. } | State::Verifying { .. } => {
                self.forget(Err(Reason::PairingCancelled));
            }
            _ => self.ignore(),
        }
    }

    fn forget(&mut self, end: Result<(), Reason>) {
        self.trouble = None;
        self.port.push(Output::Effect(Effect::Remove(EffectId::Forget, StateFile::PendingPairing)));
        self.state = State::Forgetting { end };
    }

    fn forgotten(&mut self) {
        match self.state {
            State::Forgetting { end: Ok(()) } => self.state = State::Finished,
            State::Forgetting { end: Err(reason) } => self.state = State::Failed(reason),
            _ => self.ignore(),
        }
    }

    fn say_trouble(&mut self, reason: Reason) {
        if self.trouble.replace(reason) != Some(reason) {
            self.port.push(Output::Trouble(reason));
        }
    }
}

/// Whether the credential is for the key of this attempt and the organization it came with (PAIR-7).
fn is_about(claims: &Claims, approval: &Approval, pending: &PendingPairing) -> bool {
    let identity = Identity::from_seed(pending.seed.clone());
    let own = Confirmation { static_key: identity.static_key(), identity: Thumbprint::of_identity_key(identity.identity_key()) };
    claims.confirmation == own
        && claims.org == approval.workspace.id
        && claims.role == pending.kind
        && claims.install == approval.install_id
        && claims.runtime_target == approval.runtime_target_id
        && claims.machine == approval.machine_id
}
