//! `keyset`: lookups of keys that are there and that are not, and an endpoint that answers, is down or talks nonsense.

use std::time::Duration;

use proto_core::{
    Instant, JitterRng, Unhashed,
    effect::{Effect, IoEvent, NetFault},
    jose::{JwkSet, SigningKey, Thumbprint},
    keyset::{EffectId, FETCH_INTERVAL, FRESH_FOR, Input, KeySet, LookupId, MAX_STALE, Output},
};

use super::{answered, effect};
use crate::{
    explore::{Broken, Seen, Situation, Subject},
    fixtures::{key_set, platform_key, secret},
    laws::START,
};

/// One key set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    /// For the key that the platform signs with.
    Look,
    /// For one that it does not have.
    LookUnknown,
    Fetched,
    /// The platform has another key now, and the one of before no more.
    FetchedOther,
    FetchedEmpty,
    Html,
    Busy,
    Unanswered,
    /// The answer to the fetch before the latest.
    FetchedBefore,
}

/// Lookups that wait at most; failures in a row.
const WAITING: usize = 2;
const FAILURES: u8 = 3;

/// What the outside and the properties remember.
#[derive(Clone, Debug, Hash)]
pub struct Memory {
    number: Unhashed<u64>,
    is_fetching: bool,
    lookup: Unhashed<u64>,
    /// The lookups that wait, by their numbers, oldest first.
    waiting: Vec<Unhashed<u64>>,
    fetched_at: Option<Instant>,
    /// When the last fetch of a key set that is held began.
    began: Option<Instant>,
    failures: u8,
}

impl Subject for Keys {
    type Machine = KeySet;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "keyset";
    const MAX_OUTPUTS: usize = WAITING + 3;
    const LATE: Duration = Duration::from_hours(23);
    const SETTLES: (usize, Duration) = (6, Duration::from_mins(10));

    fn bounds(&self) -> String {
        format!(
            "{WAITING} lookups that wait; {FAILURES} failures in a row; jitter at both ends of its range; wakes up to 23 h late"
        )
    }

    fn memory(&self) -> Duration {
        Duration::from_hours(25)
    }

    fn starts(&self) -> Vec<(KeySet, Memory)> {
        let memory = Memory {
            number: Unhashed(0),
            is_fetching: false,
            lookup: Unhashed(0),
            waiting: Vec::new(),
            fetched_at: None,
            began: None,
            failures: 0,
        };
        let start =
            |jitter| (KeySet::new(START, "https://api.example/jwks.json".into(), JitterRng::constant(jitter)), memory.clone());
        vec![start(0), start(u64::MAX)]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        let mut facts = vec![Fact::Fetched, Fact::FetchedOther, Fact::FetchedBefore];
        if at.memory.waiting.len() < WAITING {
            facts.extend([Fact::Look, Fact::LookUnknown]);
        }
        if at.memory.failures < FAILURES {
            facts.extend([Fact::FetchedEmpty, Fact::Html, Fact::Busy, Fact::Unanswered]);
        }
        facts
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let id = EffectId(at.memory.number.0);
        let lookup = LookupId(at.memory.lookup.0 + 1);
        Input::Io(match fact {
            Fact::Look => return Input::Look { lookup, kid: platform_key().kid() },
            Fact::LookUnknown => return Input::Look { lookup, kid: Thumbprint([9; 32]) },
            Fact::Fetched => answered(id, 200, None, key_set()),
            Fact::FetchedOther => answered(id, 200, None, other_key_set()),
            Fact::FetchedEmpty => answered(id, 200, None, r#"{"keys":[]}"#),
            Fact::Html => answered(id, 200, None, "<html>"),
            Fact::Busy => answered(id, 503, None, "<html>"),
            Fact::Unanswered => IoEvent::Unanswered(id, NetFault::TimedOut),
            Fact::FetchedBefore => answered(EffectId(id.0.wrapping_sub(1)), 200, None, key_set()),
        })
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        if matches!(seen.fact, Some(Fact::Look | Fact::LookUnknown)) {
            memory.lookup.count();
            let lookup = memory.lookup;
            memory.waiting.push(lookup);
        }
        let is_answer =
            memory.is_fetching && !matches!(seen.fact, None | Some(Fact::Look | Fact::LookUnknown | Fact::FetchedBefore));
        if is_answer {
            memory.is_fetching = false;
            let is_good = matches!(seen.fact, Some(Fact::Fetched | Fact::FetchedOther));
            memory.failures = if is_good { 0 } else { memory.failures + 1 };
            if is_good {
                memory.fetched_at = Some(seen.now);
            }
        }
        seen.outputs.iter().try_for_each(|output| memory.judge(output, seen))?;
        if !memory.is_fetching && !memory.waiting.is_empty() {
            return Err(Broken::new("L9", "a lookup waits, and nothing is fetched"));
        }
        let age = memory.fetched_at.map(|at| seen.now.since(at));
        let is_held = age.is_some_and(|age| age < MAX_STALE);
        let is_stale = age.is_none_or(|age| age >= FRESH_FOR);
        if seen.after.keys(seen.now).is_some() != is_held || seen.after.is_stale(seen.now) != is_stale {
            return Err(Broken::new("JWT-5", format!("keys of {age:?} ago are used, or not said to be stale")));
        }
        Ok(())
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        at.memory.is_fetching.then_some(Fact::Fetched)
    }

    /// Fresh keys are there, and no lookup waits.
    fn goal(&self, at: &Situation<Self>) -> bool {
        !at.machine.is_stale(at.now) && at.memory.waiting.is_empty()
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::Effect(asked) => effect(asked),
            Output::Found { .. } => "Found".into(),
            Output::Unknown { .. } => "Unknown".into(),
            Output::Unreachable { .. } => "Unreachable".into(),
            Output::Refreshed { keys } => format!("Refreshed({keys})"),
            Output::Stale { since, reason } => {
                format!("Stale({reason:?}, {})", if since.is_some() { "keys go on" } else { "no keys" })
            }
        }
    }
}

fn other_key_set() -> String {
    JwkSet::from_iter([SigningKey::from_seed(&secret(0x51)).public_key()]).to_json()
}

impl Memory {
    fn judge(&mut self, output: &Output, seen: &Seen<'_, Keys>) -> Result<(), Broken> {
        let answered = match output {
            Output::Effect(Effect::Http(EffectId(number), _)) => {
                if self.is_fetching {
                    return Err(Broken::new("JWT-5", "two fetches at once"));
                }
                let is_early = self.began.is_some_and(|at| seen.now.since(at) < FETCH_INTERVAL);
                if is_early && self.fetched_at.is_some() {
                    return Err(Broken::new("JWT-5", "fetches follow each other too fast"));
                }
                (self.number, self.is_fetching, self.began) = (Unhashed(*number), true, Some(seen.now));
                return Ok(());
            }
            Output::Effect(_) | Output::Refreshed { .. } | Output::Stale { .. } => return Ok(()),
            Output::Found { lookup, .. } | Output::Unknown { lookup } | Output::Unreachable { lookup } => lookup.0,
        };
        match self.waiting.iter().position(|lookup| lookup.0 == answered) {
            Some(place) => {
                self.waiting.remove(place);
                Ok(())
            }
            None => Err(Broken::new("L9", "a lookup is answered twice")),
        }
    }
}
