//! What is remembered of a pairing, and what must hold of what it says.

use std::time::Duration;

use proto_core::{
    Instant, Unhashed,
    api::MintRequest,
    device::{
        files::{Document, PendingPairing},
        pairing::{EffectId, Output},
    },
    effect::{Effect, StateFile},
    key::IdentityKey,
    secret::Secret,
};

use super::{Fact, LIFETIME, Minted, Polled, Waiting};
use crate::explore::{Broken, Seen};

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Mint,
    Poll,
    Keys,
    Save,
    Forget,
}

/// What the outside and the properties remember.
#[derive(Clone, Debug, Hash)]
pub struct Memory {
    /// The question that waits for an answer.
    pub(super) asked: Option<Kind>,
    /// The device named the organization it wants.
    pub(super) names_org: bool,
    pub(super) number: Unhashed<u32>,
    /// The seed in the pending file, as handed over to be stored.
    pub(super) seed: Option<Secret>,
    pub(super) is_durable: bool,
    /// Seconds that must lie between polls.
    pub(super) interval: u64,
    pub(super) polled: Option<Instant>,
    pub(super) not_before: Instant,
    pub(super) expires_at: Option<Instant>,
    pub(super) keys: Vec<IdentityKey>,
    /// The platform approved, and for whom.
    pub(super) approved: Option<bool>,
    pub(super) handed_over: bool,
}

impl Memory {
    /// What the platform said counts from when it reached a machine that asked for it.
    pub(super) fn hear(&mut self, seen: &Seen<'_, Waiting>) {
        let Some(fact) = seen.fact else { return };
        let asked = self.asked;
        match (*fact, asked) {
            (Fact::Mint(said @ (Minted::Code | Minted::IntervalZero | Minted::IntervalHuge)), Some(Kind::Mint)) => {
                self.interval = match said {
                    Minted::IntervalZero => 1,
                    Minted::IntervalHuge => 60,
                    _ => 2,
                };
                self.expires_at = Some(seen.now.after(Duration::from_secs(LIFETIME)));
                self.asked = None;
            }
            (Fact::Poll(said), Some(Kind::Poll)) => {
                self.asked = None;
                match said {
                    Polled::SlowDown => self.interval += 5,
                    Polled::Busy => self.not_before = seen.now.after(Duration::from_mins(5)),
                    Polled::Approved => self.approved = Some(true),
                    Polled::ApprovedElsewhere => self.approved = Some(!self.names_org),
                    Polled::ApprovedForOther => self.approved = Some(false),
                    _ => {}
                }
            }
            (Fact::Stored, Some(Kind::Save)) => {
                self.is_durable = true;
                self.asked = None;
            }
            (Fact::Mint(_), Some(Kind::Mint))
            | (Fact::Unanswered | Fact::BadUrl, Some(Kind::Mint | Kind::Poll | Kind::Keys))
            | (Fact::Keys(_), Some(Kind::Keys))
            | (Fact::NotStored, Some(Kind::Save))
            | (Fact::Forgotten, Some(Kind::Forget)) => {
                self.asked = None;
            }
            _ => {}
        }
    }

    pub(super) fn judge(&mut self, output: &Output, now: Instant) -> Result<(), Broken> {
        match output {
            Output::Effect(Effect::Http(effect_id, request)) => {
                let is_open = !matches!(self.asked, None | Some(Kind::Save | Kind::Forget));
                let (kind, number) = match *effect_id {
                    EffectId::Mint(number) => (Kind::Mint, number),
                    EffectId::Poll(number) => (Kind::Poll, number),
                    EffectId::KeySet(number) => (Kind::Keys, number),
                    EffectId::Save | EffectId::Forget => return Err(Broken::new("PAIR-2", "a file is not asked for over HTTP")),
                };
                if is_open {
                    return Err(Broken::new("PAIR-2", "a second request while one is under way"));
                }
                (self.asked, self.number) = (Some(kind), Unhashed(number));
                match kind {
                    Kind::Mint => self.minting(request.body.as_ref().map_or(&[], |body| body.expose())),
                    Kind::Poll => self.polling(now),
                    Kind::Keys | Kind::Save | Kind::Forget => Ok(()),
                }
            }
            Output::Effect(Effect::Store(_, StateFile::PendingPairing, contents)) => {
                let seed = PendingPairing::parse(contents.expose()).map(|pending| pending.seed);
                (self.seed, self.asked) = (seed.ok(), Some(Kind::Save));
                Ok(())
            }
            Output::Effect(_) => {
                self.asked = Some(Kind::Forget);
                Ok(())
            }
            Output::ShowCode(_) if !self.is_durable => Err(Broken::new("PAIR-5", "shown before it is durable")),
            Output::ShowCode(_) | Output::Trouble(_) => Ok(()),
            Output::Approved(_) if self.approved != Some(true) => Err(Broken::new("PAIR-7", "no user approved this")),
            Output::Approved(_) if self.handed_over => Err(Broken::new("PAIR-9", "handed over twice")),
            Output::Approved(paired) => {
                self.handed_over = true;
                let is_own = Some(&paired.seed) == self.seed.as_ref();
                if is_own { Ok(()) } else { Err(Broken::new("PAIR-6", "another identity than the one that is durable")) }
            }
        }
    }

    fn minting(&mut self, body: &[u8]) -> Result<(), Broken> {
        let request: MintRequest = serde_json::from_slice(body).map_err(|_| Broken::new("PAIR-6", "no request"))?;
        if self.keys.contains(&request.identity_key) {
            return Err(Broken::new("PAIR-6", "one identity is asked for two codes with"));
        }
        self.keys.push(request.identity_key);
        Ok(())
    }

    fn polling(&mut self, now: Instant) -> Result<(), Broken> {
        if self.expires_at.is_some_and(|at| now >= at) {
            return Err(Broken::new("PAIR-3", "a poll starts after the expiry"));
        }
        let earliest = self.polled.map_or(Instant::ZERO, |at| at.after(Duration::from_secs(self.interval)));
        if now < earliest.max(self.not_before) {
            return Err(Broken::new("PAIR-1", format!("a poll starts {:?} early", earliest.max(self.not_before).since(now))));
        }
        self.polled = Some(now);
        Ok(())
    }
}
