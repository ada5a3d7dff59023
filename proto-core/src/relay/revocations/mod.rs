//! How a relay follows the platform's revocations (D3, JWT-5; WIRE section 3).
//!
//! ```text
//!            new: Http ─────► Asked ─────────── an answer: Revoked ──────────────► Idle ── at once, or a second ──► Asked
//!                               │               the first one, or one of a             │   after a request that
//!                               │               feed that began anew: Recheck          │   brought nothing
//!                               └── anything else: Lost, once ───────────────────────► Idle ── a short wait ──► Asked
//! ```
//!
//! The first answer only says how far the feed is, and one that is behind what was read before comes from a platform that was
//! restored from a copy. What was revoked until then is not in the feed, so every credential that was found valid before has to be
//! validated again: [`Output::Revalidate`]. After that nothing is skipped: a request that failed is repeated from the same place.
//!
//! One request is always open. The platform holds its answer back for 2 s, so a request that is lost on its way costs no more
//! than 5 s. The driver's loop is the one of [`Machine`]; the machine never ends.

mod event;
mod state;

#[cfg(test)]
mod tests;

use alloc::{format, string::String, vec};
use core::{convert::Infallible, time::Duration};

use self::state::Request;
pub use self::{
    event::{EffectId, Input, Output, Timer},
    state::FeedCursor,
};
use crate::{
    Reason, Unhashed,
    api::Revocations,
    effect::{Effect, HttpAnswer, HttpRequest, IoEvent, Method},
    machine::{Deadline, Machine, Misuse, Status, backoff::Backoff, base::MachineBase, entropy::JitterRng, time::Instant},
    secret::SecretText,
};

/// How long the platform may hold its answer back.
const WAIT: &str = "wait=2";
/// How long a request may take: what the platform may wait, and the way.
pub const TIMEOUT: Duration = Duration::from_secs(4);
/// The longest answer.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// The least time between the starts of two requests the first of which brought nothing, for platforms that do not hold their
/// answer back.
pub const QUIET: Duration = Duration::from_secs(1);
/// The waits after requests that failed. They stay short, because what is revoked meanwhile waits for them.
pub const BACKOFF: Backoff = Backoff { base: Duration::from_millis(250), cap: Duration::from_secs(1) };

/// The feed of one platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RevocationFeed {
    url: String,
    internal_key: SecretText,
    place: FeedCursor,
    request: Request,
    requests: Unhashed<u64>,
    jitter: JitterRng,
    port: MachineBase<Output>,
}

impl RevocationFeed {
    /// Asks `url` at once, as the relay that knows `internal_key`. `jitter` spreads the attempts of many relays.
    pub fn new(now: Instant, url: String, internal_key: SecretText, jitter: JitterRng) -> Self {
        let mut machine = Self {
            url,
            internal_key,
            place: FeedCursor::Unknown,
            request: Request::Idle { next: now, failures: 0 },
            requests: Unhashed(0),
            jitter,
            port: MachineBase::new(now),
        };
        machine.ask_if_due(now);
        machine
    }

    /// How far the feed was read.
    pub const fn place(&self) -> FeedCursor {
        self.place
    }

    fn ask_if_due(&mut self, now: Instant) {
        let Request::Idle { next, failures } = self.request else { return };
        if next > now {
            return;
        }
        self.requests = Unhashed(self.requests.0.wrapping_add(1));
        let id = EffectId(self.requests.0);
        self.request = Request::Asked { id: Unhashed(id), started: now, failures };
        let url = match self.place {
            FeedCursor::Unknown => self.url.clone(),
            FeedCursor::After(after) => format!("{}?after={after}", self.url),
        };
        let authorization = SecretText::new(format!("Bearer {}", self.internal_key.expose()));
        let request = HttpRequest {
            method: Method::Get,
            url,
            headers: vec![("Authorization", authorization), ("Prefer", SecretText::new(WAIT))],
            body: None,
            timeout: TIMEOUT,
            max_answer: MAX_ANSWER,
        };
        self.port.push(Output::Effect(Effect::Http(id, request)));
    }

    fn io_event(&mut self, now: Instant, event: IoEvent<EffectId>) {
        let (id, event) = event.take_id();
        match self.request {
            Request::Asked { id: Unhashed(asked), started, failures } if asked == id => match read(event) {
                Ok(news) => self.hear(now, started, failures, news),
                Err(reason) => self.lose(now, failures, reason),
            },
            Request::Asked { .. } | Request::Idle { .. } => self.port.ignore(),
        }
    }

    fn hear(&mut self, now: Instant, started: Instant, failures: u32, news: Revocations) {
        let Revocations { last, runtime_targets: targets, organizations: orgs } = news;
        let begins_anew = match self.place {
            FeedCursor::Unknown => true,
            FeedCursor::After(after) => last < after,
        };
        let brought = !(targets.is_empty() && orgs.is_empty());
        if begins_anew || failures > 0 {
            self.port.push(Output::Connected);
        }
        if brought {
            self.port.push(Output::Revoked { targets, orgs });
        }
        if begins_anew {
            self.port.push(Output::Revalidate);
        }
        self.place = FeedCursor::After(last);
        let next = if brought { now } else { started.after(QUIET).max(now) };
        self.request = Request::Idle { next, failures: 0 };
        self.ask_if_due(now);
    }

    fn lose(&mut self, now: Instant, failures: u32, reason: Reason) {
        if failures == 0 {
            self.port.push(Output::Lost(reason));
        }
        let failures = failures.saturating_add(1);
        // Not at once, however the draw falls: the answer may have come at once, too.
        let wait = BACKOFF.wait(failures, &mut self.jitter).max(BACKOFF.base / 2);
        self.request = Request::Idle { next: now.after(wait), failures };
    }
}

fn read(event: IoEvent<()>) -> Result<Revocations, Reason> {
    let IoEvent::Answered((), HttpAnswer { status, body, .. }) = event else { return Err(Reason::ValidateUnreachable) };
    match status {
        200 => serde_json::from_slice(body.expose()).map_err(|_| Reason::PlatformAnswerInvalid),
        401 => Err(Reason::InternalKeyMismatch),
        _ => Err(Reason::ValidateUnreachable),
    }
}

impl Machine for RevocationFeed {
    type Input = Input;
    type Output = Output;
    type Failure = Infallible;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        let now = self.port.enter(now)?;
        self.ask_if_due(now);
        let Input::Io(event) = input;
        self.io_event(now, event);
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.port.advance(now);
        self.ask_if_due(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        match self.request {
            Request::Idle { next, .. } => Some(Deadline::new(next, Timer::Poll)),
            Request::Asked { .. } => None,
        }
    }

    fn status(&self) -> Status<'_, Infallible> {
        match self.request {
            Request::Idle { .. } => Status::Running { waiting_for: "the next request" },
            Request::Asked { .. } => Status::Running { waiting_for: "the platform's answer" },
        }
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
