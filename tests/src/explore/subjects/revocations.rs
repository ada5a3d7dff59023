//! `revocations`: a platform that has news, holds its answer back, is down, was restored from a copy, or talks nonsense.

use std::time::Duration;

use proto_core::{
    Instant, JitterRng, Unhashed,
    effect::{Effect, IoEvent, NetFault},
    relay::revocations::{BACKOFF, EffectId, FeedCursor, Input, Output, QUIET, RevocationFeed},
    secret::SecretText,
};

use super::{answered, effect};
use crate::{
    explore::{Broken, Seen, Situation, Subject},
    laws::START,
};

/// One feed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Followed;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    /// The platform held its answer back, and there is nothing.
    Nothing,
    /// A machine was revoked.
    Revoked,
    /// An organization was deleted.
    OrgGone,
    /// The platform was restored from a copy that is one event behind, and something was revoked since.
    Restored,
    Html,
    OtherKey,
    Busy,
    Unanswered,
    /// The answer to the request before the latest.
    AnsweredBefore,
}

/// Events of the platform at most; failures in a row.
const EVENTS: u64 = 3;
const FAILURES: u8 = 4;

/// What the outside and the properties remember.
#[derive(Clone, Debug, Hash)]
pub struct Memory {
    number: Unhashed<u64>,
    is_asking: bool,
    /// Events of the platform.
    events: u64,
    /// How far the feed has read them.
    heard: Option<u64>,
    /// When the latest request began, and whether it brought something.
    began: Option<Instant>,
    brought: bool,
    failures: u8,
    /// When it failed.
    failed_at: Option<Instant>,
}

impl Subject for Followed {
    type Machine = RevocationFeed;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "revocations";
    const MAX_OUTPUTS: usize = 4;
    const LATE: Duration = Duration::from_mins(1);
    const SETTLES: (usize, Duration) = (6, Duration::from_secs(10));

    fn bounds(&self) -> String {
        format!(
            "{EVENTS} events of the platform; {FAILURES} failures in a row; jitter at both ends of its range; wakes up to a minute late"
        )
    }

    fn memory(&self) -> Duration {
        Duration::from_mins(2)
    }

    fn starts(&self) -> Vec<(RevocationFeed, Memory)> {
        let memory = Memory {
            number: Unhashed(0),
            is_asking: false,
            events: 1,
            heard: None,
            began: None,
            brought: false,
            failures: 0,
            failed_at: None,
        };
        let url = "https://api.example/api/relay/revocations";
        let start = |jitter| {
            (RevocationFeed::new(START, url.into(), SecretText::new("internal"), JitterRng::constant(jitter)), memory.clone())
        };
        vec![start(0), start(u64::MAX)]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        let mut facts = vec![Fact::Nothing, Fact::AnsweredBefore];
        // An answer to no pending request may say anything.
        if !at.memory.is_asking || at.memory.heard.is_some() && at.memory.events < EVENTS {
            facts.extend([Fact::Revoked, Fact::OrgGone]);
        }
        if !at.memory.is_asking || at.memory.heard.is_some_and(|heard| heard > 0) {
            facts.push(Fact::Restored);
        }
        if at.memory.failures < FAILURES {
            facts.extend([Fact::Html, Fact::OtherKey, Fact::Busy, Fact::Unanswered]);
        }
        facts
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let id = EffectId(at.memory.number.0);
        let news = |id, last: u64, targets, orgs| {
            answered(id, 200, None, format!(r#"{{"last":{last},"runtime_targets":[{targets}],"organizations":[{orgs}]}}"#))
        };
        let events = at.memory.events;
        Input::Io(match fact {
            Fact::Nothing => news(id, events, "", ""),
            Fact::Revoked => news(id, events + 1, r#""r1""#, ""),
            Fact::OrgGone => news(id, events + 1, "", r#""A""#),
            Fact::Restored => news(id, at.memory.heard.unwrap_or(1).saturating_sub(1), r#""r2""#, ""),
            Fact::Html => answered(id, 200, None, "<html>"),
            Fact::OtherKey => answered(id, 401, None, ""),
            Fact::Busy => answered(id, 503, None, ""),
            Fact::Unanswered => IoEvent::Unanswered(id, NetFault::TimedOut),
            Fact::AnsweredBefore => news(EffectId(id.0.wrapping_sub(1)), 0, r#""r3""#, ""),
        })
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        let fact = seen.fact.filter(|fact| memory.is_asking && **fact != Fact::AnsweredBefore);
        let expected = fact.map_or_else(Expected::default, |fact| memory.answered(*fact, seen.now));
        let count = |wanted: fn(&Output) -> bool| seen.outputs.iter().filter(|output| wanted(output)).count();
        if count(|output| matches!(output, Output::Revalidate)) != usize::from(expected.recheck) {
            return Err(Broken::new("JWT-5", "what was missed is not validated again, or what was read is"));
        }
        if count(|output| matches!(output, Output::Revoked { .. })) != usize::from(expected.revoked) {
            return Err(Broken::new("JWT-5", "a revocation is swallowed, or made up"));
        }
        if count(|output| matches!(output, Output::Lost(_))) != usize::from(expected.lost) {
            return Err(Broken::new("L9", "an outage is not said once"));
        }
        seen.outputs.iter().try_for_each(|output| memory.judge(output, seen.now))?;
        if memory.heard.map_or(FeedCursor::Unknown, FeedCursor::After) != seen.after.place() {
            return Err(Broken::new("JWT-5", "the feed is not where it was read to"));
        }
        Ok(())
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        at.memory.is_asking.then_some(Fact::Nothing)
    }

    /// All is read, and a request is open for what comes.
    fn goal(&self, at: &Situation<Self>) -> bool {
        at.memory.heard == Some(at.memory.events) && at.memory.is_asking
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::Effect(asked) => effect(asked),
            Output::Connected => "Followed".into(),
            Output::Revoked { targets, orgs } => format!("Revoked({}, {})", targets.len(), orgs.len()),
            Output::Revalidate => "Revalidate".into(),
            Output::Lost(reason) => format!("Lost({reason:?})"),
        }
    }
}

/// What an answer has to lead to.
#[derive(Default)]
struct Expected {
    recheck: bool,
    revoked: bool,
    lost: bool,
}

impl Memory {
    fn answered(&mut self, fact: Fact, now: Instant) -> Expected {
        self.is_asking = false;
        if matches!(fact, Fact::Html | Fact::OtherKey | Fact::Busy | Fact::Unanswered) {
            self.failures += 1;
            self.failed_at = Some(now);
            return Expected { lost: self.failures == 1, ..Expected::default() };
        }
        let recheck = self.heard.is_none() || fact == Fact::Restored;
        match fact {
            Fact::Revoked | Fact::OrgGone => self.events += 1,
            Fact::Restored => self.events = self.heard.unwrap_or(1).saturating_sub(1),
            _ => {}
        }
        (self.heard, self.failures, self.failed_at) = (Some(self.events), 0, None);
        self.brought = fact != Fact::Nothing;
        Expected { recheck, revoked: self.brought, lost: false }
    }

    fn judge(&mut self, output: &Output, now: Instant) -> Result<(), Broken> {
        let Output::Effect(Effect::Http(EffectId(number), request)) = output else { return Ok(()) };
        if self.is_asking {
            return Err(Broken::new("L9", "two requests at once"));
        }
        let after = request.url.split_once("?after=").map(|(_, after)| after.to_owned());
        if after != self.heard.map(|heard| heard.to_string()) {
            return Err(Broken::new("JWT-5", format!("asks from {after:?}, and has read {:?}", self.heard)));
        }
        let is_early = match self.failed_at {
            Some(at) => now.since(at) < BACKOFF.base / 2,
            None => !self.brought && self.began.is_some_and(|at| now.since(at) < QUIET),
        };
        if is_early {
            return Err(Broken::new("L2", "requests follow each other too fast"));
        }
        (self.number, self.is_asking, self.began) = (Unhashed(*number), true, Some(now));
        Ok(())
    }
}
