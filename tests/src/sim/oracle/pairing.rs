//! PAIR-1 to PAIR-7, PAIR-9, PAIR-10: what a pairing asks, when, and what becomes of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proto_core::{
    Instant, Reason,
    api::{MintAnswer, MintRequest, PAIRING_CODES_PATH, PairingMode},
    device::{
        control::PairEvent,
        daemon::EffectId,
        files::{BindingState, Config, Document, PendingPairing},
        pairing,
    },
    effect::{HttpAnswer, HttpRequest, NetFault, StateFile},
    jose::Thumbprint,
    noise::Noise,
};

use super::{Files, Oracle, Seen, Verdicts};
use crate::sim::net::End;

/// What the platform of the simulation asks for, and how long its codes live.
const INTERVAL: Duration = Duration::from_secs(2);
const LIFETIME: Duration = proto_core::platform::pairing_code::LIFETIME;
/// What a `slow_down` adds.
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// The oracle.
#[derive(Debug, Default)]
pub(super) struct Pairings {
    attempts: BTreeMap<usize, Attempt>,
    /// Machines that have an active binding.
    bound: BTreeSet<usize>,
    damaged: BTreeSet<usize>,
    /// The life of the daemon that asked last: what comes for an earlier one is dropped.
    lives: BTreeMap<usize, u32>,
    /// The identities of all codes.
    identities: BTreeSet<Thumbprint>,
    /// Codes whose approval counted.
    approved: BTreeMap<String, u32>,
}

/// What is known of a machine's pairing.
#[derive(Debug, Default)]
struct Attempt {
    code: Option<String>,
    polls_in_flight: u32,
    asked_at: Option<Instant>,
    interval: Duration,
    /// By the machine's clock: no poll from then on. Unknown after a restart, which goes by the wall clock.
    expires_at: Option<Instant>,
    /// Whether it was said to be paired.
    said_paired: bool,
}

impl Pairings {
    fn asked(
        &mut self,
        at: Instant,
        host: usize,
        (effect_id, request, clock): (pairing::EffectId, &HttpRequest, Instant),
        verdicts: &mut Verdicts,
    ) {
        let bound = self.bound.contains(&host) && !self.damaged.contains(&host);
        let attempt = self.attempts.entry(host).or_default();
        match effect_id {
            pairing::EffectId::Mint(_) => {
                let body = request.body.as_ref().and_then(|body| serde_json::from_slice::<MintRequest>(body.expose()).ok());
                let is_new = body.is_some_and(|body| body.mode == PairingMode::New);
                verdicts.demand(!(is_new && bound), at, "PAIR-10", || format!("laptop-{host} is bound, and asks for a code"));
                *attempt = Attempt { interval: INTERVAL, ..Attempt::default() };
            }
            pairing::EffectId::Poll(_) => {
                attempt.polls_in_flight += 1;
                let in_flight = attempt.polls_in_flight;
                verdicts.demand(in_flight == 1, at, "PAIR-2", || format!("laptop-{host} has {in_flight} polls under way"));
                let since = attempt.asked_at.map(|before| clock.since(before));
                let interval = attempt.interval;
                verdicts.demand(since.is_none_or(|since| since >= interval), at, "PAIR-1", || {
                    format!("laptop-{host} polls {since:?} after it did, and the interval is {interval:?}")
                });
                let is_late = attempt.expires_at.is_some_and(|at| clock >= at);
                verdicts.demand(!is_late, at, "PAIR-3", || format!("laptop-{host} polls for a code that has expired"));
                attempt.asked_at = Some(clock);
            }
            _ => {}
        }
    }

    fn came(&mut self, host: usize, effect_id: pairing::EffectId, outcome: &Result<HttpAnswer, NetFault>) {
        let attempt = self.attempts.entry(host).or_default();
        if !matches!(effect_id, pairing::EffectId::Poll(_)) {
            return;
        }
        attempt.polls_in_flight = attempt.polls_in_flight.saturating_sub(1);
        if let Ok(answer) = outcome
            && (answer.status == 429 || (answer.status == 400 && answer.body.expose().windows(9).any(|w| w == b"slow_down")))
        {
            attempt.interval += SLOW_DOWN;
        }
    }

    fn minted(&mut self, at: Instant, request: &HttpRequest, answer: &HttpAnswer, verdicts: &mut Verdicts) {
        if !request.url.ends_with(PAIRING_CODES_PATH) || answer.status != 201 {
            return;
        }
        let asked: Option<MintRequest> = request.body.as_ref().and_then(|body| serde_json::from_slice(body.expose()).ok());
        let minted: Option<MintAnswer> = serde_json::from_slice(answer.body.expose()).ok();
        let (Some(asked), Some(minted)) = (asked, minted) else { return };
        let is_new = self.identities.insert(crate::sim::people::name_of(asked.identity_key));
        verdicts.demand(is_new, at, "PAIR-6", || format!("the identity of code {} has another code", minted.code));
    }

    fn said(&mut self, at: Instant, host: usize, (event, disk, clock): (&PairEvent, &Files, Instant), verdicts: &mut Verdicts) {
        let attempt = self.attempts.entry(host).or_default();
        match event {
            PairEvent::Code(shown) => {
                let is_durable = pending(disk).is_some_and(|pending| pending.code == shown.code);
                verdicts.demand(is_durable, at, "PAIR-5", || format!("laptop-{host} shows a code that is not durable"));
                attempt.code = Some(shown.code.clone());
            }
            PairEvent::Paired { .. } => {
                let approvals = attempt.code.as_ref().and_then(|code| self.approved.get(code)).copied().unwrap_or(0);
                let is_ok = approvals == 1 && !attempt.said_paired;
                verdicts.demand(is_ok || self.damaged.contains(&host), at, "PAIR-9", || {
                    format!("laptop-{host} is paired, with {approvals} approvals of its code")
                });
                attempt.said_paired = true;
            }
            PairEvent::Failed { reason, .. } => {
                let is_over = attempt.expires_at.is_none_or(|expires_at| clock >= expires_at);
                let may_end = attempt.code.is_none() || is_over || may_end(*reason);
                verdicts.demand(may_end, at, "PAIR-4", || format!("laptop-{host}: {reason:?} has ended a pairing"));
                // A file that could not be removed is taken up again at the next start.
                if !disk.contains_key(&StateFile::PendingPairing) {
                    *attempt = Attempt::default();
                }
            }
            PairEvent::Trouble { .. } => {}
        }
    }

    fn configured(&mut self, host: usize, config: Option<&Config>) {
        let mut records = config.into_iter().flat_map(|config| &config.bindings);
        if records.any(|record| record.state == BindingState::Active) {
            self.bound.insert(host)
        } else {
            self.bound.remove(&host)
        };
    }
}

fn pending(disk: &Files) -> Option<PendingPairing> {
    PendingPairing::parse(disk.get(&StateFile::PendingPairing)?.expose()).ok()
}

/// Reasons that may end a pairing whose code is shown, before the code expires. None of them is about the network.
const fn may_end(reason: Reason) -> bool {
    !matches!(reason, Reason::PlatformUnreachable | Reason::PlatformAnswerInvalid | Reason::RateLimited)
}

impl<N: Noise + 'static> Oracle<N> for Pairings {
    fn see(&mut self, at: Instant, seen: &Seen<'_>, verdicts: &mut Verdicts) {
        match seen {
            Seen::Asked { end: End::Host(host, life, EffectId::Pairing(_, effect_id)), request, clock } => {
                self.lives.insert(*host, *life);
                self.asked(at, *host, (*effect_id, request, *clock), verdicts);
            }
            Seen::Came { end: End::Host(host, life, EffectId::Pairing(_, effect_id)), outcome }
                if self.lives.get(host) == Some(life) =>
            {
                self.came(*host, *effect_id, outcome);
            }
            Seen::Platform { request, answer, again: false } => self.minted(at, request, answer, verdicts),
            Seen::Pairing { host, event, disk, clock } => self.said(at, *host, (event, disk, *clock), verdicts),
            Seen::Approved { code, counts: true } => *self.approved.entry((*code).into()).or_default() += 1,
            Seen::Configured { host, config } => self.configured(*host, *config),
            Seen::Durable { host, file: StateFile::PendingPairing, contents: None } => {
                self.attempts.entry(*host).or_default().expires_at = None;
            }
            Seen::CodeSaved { host, clock } => {
                self.attempts.entry(*host).or_default().expires_at = Some(clock.after(LIFETIME));
            }
            Seen::Died { host } => {
                self.lives.remove(host);
                let attempt = self.attempts.entry(*host).or_default();
                (attempt.polls_in_flight, attempt.asked_at, attempt.expires_at) = (0, None, None);
                attempt.interval = INTERVAL;
            }
            // What a later attempt could not replace is taken up again.
            Seen::Booted { host, disk } => {
                if let Some(pending) = pending(disk) {
                    self.attempts.entry(*host).or_default().code = Some(pending.code);
                }
            }
            Seen::Damaged { host } => drop(self.damaged.insert(*host)),
            Seen::Wiped { host } => {
                self.bound.remove(host);
                self.attempts.remove(host);
            }
            _ => {}
        }
    }
}
