//! The platform's signing keys, as a relay or a daemon holds them (RFC 7517; S181, JWT-5).
//!
//! ```text
//!            new: Http ─────► Asked ──── key set: Refreshed ─────► Idle ── 59 min ──► Asked
//!                            │  ▲                                   │ │
//!                            │  └── Look for an unknown kid, ───────┘ │
//!                            │      at most every 10 s               │
//!                            └──── anything else: Stale ────────────►┘ then again after a growing wait
//! ```
//!
//! While the endpoint is down the keys that are held go on being used, for a day at most, and [`Output::Stale`] says so.
//! A lookup that a fetch could answer waits for it; so every lookup is answered exactly once, at the latest when the fetch
//! that is under way ends. The driver's loop is the one of [`Machine`]; the machine never ends.

mod event;
mod state;

#[cfg(test)]
mod tests;

use alloc::{string::String, vec::Vec};
use core::{convert::Infallible, mem, time::Duration};

pub use self::event::{EffectId, Input, LookupId, Output, Timer};
use self::state::{Fetch, Held, Waiting};
use crate::{
    Reason, Unhashed,
    api::key_set,
    effect::{Effect, HttpAnswer, HttpRequest, IoEvent, Method},
    jose::{JwkSet, Thumbprint},
    key::IdentityKey,
    machine::{Deadline, Machine, Misuse, Status, backoff::Backoff, base::MachineBase, entropy::JitterRng, time::Instant},
};

/// How long a key set counts as fresh (S181).
pub const FRESH_FOR: Duration = Duration::from_hours(1);
/// When it is fetched again: early enough that the new one is there before the hour is over.
pub const REFRESH_AFTER: Duration = Duration::from_mins(59);
/// How long a key set is used while no newer one can be had.
pub const MAX_STALE: Duration = Duration::from_hours(24);
/// At least this much lies between the starts of two fetches, whatever is looked up (JWT-5: six a minute at most), as soon as
/// there is a key set. Before that the waits are the growing ones of a start, and a lookup shortens them to this much.
pub const FETCH_INTERVAL: Duration = Duration::from_secs(10);
/// The most lookups that wait for one fetch; one more is answered at once.
pub const MAX_WAITING: usize = 4096;

/// How long a fetch may take: less than half of what a handshake may, since the validate call comes after it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(4);
/// The longest key set document.
const MAX_DOCUMENT: usize = 64 * 1024;
/// Waits after fetches that failed.
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(10), cap: Duration::from_mins(5) };

/// The same as long as there never was a key set.
const FIRST_BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(5) };

/// The key set behind one URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeySet {
    url: String,
    held: Option<Held>,
    fetch: Fetch,
    fetches: Unhashed<u64>,
    waiting: Vec<Waiting>,
    jitter: JitterRng,
    port: MachineBase<Output>,
}

impl KeySet {
    /// Fetches `url` at once. `jitter` spreads the attempts of many machines when the endpoint is down.
    pub fn new(now: Instant, url: String, jitter: JitterRng) -> Self {
        let mut machine = Self {
            url,
            held: None,
            fetch: Fetch::Idle { next: now, allowed: now, failures: 0 },
            fetches: Unhashed(0),
            waiting: Vec::new(),
            jitter,
            port: MachineBase::new(now),
        };
        machine.fetch_if_due(now);
        machine
    }

    /// The keys that may be used at `now`.
    pub fn keys(&self, now: Instant) -> Option<&JwkSet> {
        self.held.as_ref().filter(|held| now.since(held.at) < MAX_STALE).map(|held| &held.keys)
    }

    /// Whether there were keys that may be used when it was last told something.
    pub fn has_keys(&self) -> bool {
        self.keys(self.port.now()).is_some()
    }

    /// Whether the keys in use are older than they should be, because the endpoint does not give newer ones.
    pub fn is_stale(&self, now: Instant) -> bool {
        self.held.as_ref().is_none_or(|held| now.since(held.at) >= FRESH_FOR)
    }

    fn fetch_if_due(&mut self, now: Instant) {
        if let Fetch::Idle { next, failures, .. } = self.fetch
            && next <= now
        {
            self.start_fetch(now, failures);
        }
    }

    fn start_fetch(&mut self, now: Instant, failures: u32) {
        self.fetches = Unhashed(self.fetches.0.wrapping_add(1));
        let id = EffectId(self.fetches.0);
        self.fetch = Fetch::Asked { id: Unhashed(id), started: now, failures };
        let request = HttpRequest {
            method: Method::Get,
            url: self.url.clone(),
            headers: Vec::new(),
            body: None,
            timeout: FETCH_TIMEOUT,
            max_answer: MAX_DOCUMENT,
        };
        self.port.push(Output::Effect(Effect::Http(id, request)));
    }

    fn look(&mut self, now: Instant, lookup: LookupId, kid: Thumbprint) {
        if let Some(key) = self.find(now, kid) {
            return self.port.push(Output::Found { lookup, key });
        }
        if let Fetch::Idle { allowed, failures, .. } = self.fetch
            && allowed <= now
        {
            self.start_fetch(now, failures);
        }
        let under_way = matches!(self.fetch, Fetch::Asked { .. });
        if under_way && self.waiting.len() < MAX_WAITING {
            self.waiting.push(Waiting { lookup, kid });
        } else {
            self.answer(now, lookup, kid);
        }
    }

    fn find(&self, now: Instant, kid: Thumbprint) -> Option<IdentityKey> {
        self.keys(now)?.get(kid)
    }

    /// Without an answer of the endpoint it is unknown whether a key that is not held exists.
    fn answer(&mut self, now: Instant, lookup: LookupId, kid: Thumbprint) {
        let output = match self.find(now, kid) {
            Some(key) => Output::Found { lookup, key },
            None if self.keys(now).is_none() || self.fetch.has_failed() => Output::Unreachable { lookup },
            None => Output::Unknown { lookup },
        };
        self.port.push(output);
    }

    fn io_event(&mut self, now: Instant, event: IoEvent<EffectId>) {
        let (id, event) = event.take_id();
        let Fetch::Asked { id: Unhashed(asked), started, failures } = self.fetch else { return self.port.ignore() };
        if id != asked {
            return self.port.ignore();
        }
        let allowed = started.after(FETCH_INTERVAL);
        match read(event) {
            Ok(keys) => self.refresh(now, allowed, keys),
            Err(reason) => self.go_on_without(now, allowed, failures, reason),
        }
        for Waiting { lookup, kid } in mem::take(&mut self.waiting) {
            self.answer(now, lookup, kid);
        }
    }

    fn refresh(&mut self, now: Instant, allowed: Instant, keys: JwkSet) {
        self.fetch = Fetch::Idle { next: now.after(REFRESH_AFTER), allowed, failures: 0 };
        self.port.push(Output::Refreshed { keys: keys.len() });
        self.held = Some(Held { keys, at: now });
    }

    fn go_on_without(&mut self, now: Instant, allowed: Instant, failures: u32, reason: Reason) {
        let failures = failures.saturating_add(1);
        let (next, allowed) = if self.held.is_some() {
            (now.after(BACKOFF.wait(failures, &mut self.jitter)).max(allowed), allowed)
        } else {
            // Without any key nothing can be decided at all: a platform that starts together with us is met soon.
            let next = now.after(FIRST_BACKOFF.wait(failures, &mut self.jitter));
            (next, next.min(allowed.max(now)))
        };
        self.fetch = Fetch::Idle { next, allowed, failures };
        self.port.push(Output::Stale { since: self.held.as_ref().map(|held| held.at), reason });
    }
}

/// The key set in an answer. One without a usable key would lock every device out: no platform means that.
fn read(event: IoEvent<()>) -> Result<JwkSet, Reason> {
    match event {
        IoEvent::Answered((), HttpAnswer { status: 200, body, .. }) => key_set(body.expose()),
        IoEvent::Answered((), HttpAnswer { status: 500.., .. }) => Err(Reason::JwksUnreachable),
        IoEvent::Answered(..) => Err(Reason::PlatformAnswerInvalid),
        _ => Err(Reason::JwksUnreachable),
    }
}

impl Machine for KeySet {
    type Input = Input;
    type Output = Output;
    type Failure = Infallible;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        let now = self.port.enter(now)?;
        self.fetch_if_due(now);
        match input {
            Input::Look { lookup, kid } => self.look(now, lookup, kid),
            Input::Io(event) => self.io_event(now, event),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.port.advance(now);
        self.fetch_if_due(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        match self.fetch {
            Fetch::Idle { next, .. } => Some(Deadline::new(next, Timer::Fetch)),
            Fetch::Asked { .. } => None,
        }
    }

    fn status(&self) -> Status<'_, Infallible> {
        match self.fetch {
            Fetch::Idle { .. } => Status::Running { waiting_for: "a lookup, or the next refresh" },
            Fetch::Asked { .. } => Status::Running { waiting_for: "the key set" },
        }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
