//! Hears of revocations as they happen: one request to the platform is always open (D3).

use std::{sync::Arc, time::Duration};

use io_tokio::Roots;
use proto_core::{
    Jitter, Reason,
    api::Revocations,
    effect::{HttpRequest, Method},
    machine::backoff::Backoff,
    relay::hub::Input,
    secret::SecretText,
};
use tokio::time;

use crate::{
    hub::{HubHandle, ToHub},
    journal::{Entry, Journal},
};

/// How long the platform may hold its answer back, and a little more for the way.
const WAIT: &str = "wait=25";
const TIMEOUT: Duration = Duration::from_secs(35);
/// The longest answer.
const ANSWER_MAX: usize = 4 * 1024 * 1024;
/// The least time between two requests that brought nothing, for platforms that do not hold their answer back.
const QUIET: Duration = Duration::from_secs(1);
/// When the platform cannot be asked. Short, because a revocation must not wait for longer than 5 s once it can.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(4) };

/// Asks for ever.
pub(crate) struct Watch {
    pub(crate) url: String,
    pub(crate) internal_key: SecretText,
    pub(crate) roots: Roots,
    pub(crate) hub: HubHandle,
    pub(crate) journal: Arc<Journal>,
    pub(crate) jitter: Jitter,
}

impl Watch {
    pub(crate) async fn run(mut self) {
        let mut after = None;
        let mut failures = 0;
        loop {
            let asked = time::Instant::now();
            match self.ask(after).await {
                Ok(news) => {
                    if failures > 0 {
                        self.journal.record(Entry::new("revocations are heard of again"));
                    }
                    failures = 0;
                    after = Some(news.last);
                    if !self.pass_on(news).await {
                        time::sleep_until(asked + QUIET).await;
                    }
                }
                Err(reason) => {
                    if failures == 0 {
                        self.journal.record(Entry { reason: Some(reason), ..Entry::new("revocations are not heard of") });
                    }
                    failures += 1;
                    time::sleep(BACKOFF.wait(failures, &mut self.jitter)).await;
                }
            }
        }
    }

    async fn ask(&self, after: Option<u64>) -> Result<Revocations, Reason> {
        let url = after.map_or_else(|| self.url.clone(), |after| format!("{}?after={after}", self.url));
        let authorization = SecretText::new(format!("Bearer {}", self.internal_key.expose()));
        let request = HttpRequest {
            method: Method::Get,
            url,
            headers: vec![("Authorization", authorization), ("Prefer", SecretText::new(WAIT))],
            body: None,
            timeout: TIMEOUT,
            max_answer: ANSWER_MAX,
        };
        let answer = io_tokio::request(&request, &self.roots).await.map_err(|_| Reason::ValidateUnreachable)?;
        match answer.status {
            200 => serde_json::from_slice(answer.body.expose()).map_err(|_| Reason::PlatformAnswerInvalid),
            401 => Err(Reason::InternalKeyMismatch),
            _ => Err(Reason::ValidateUnreachable),
        }
    }

    /// Tells the hub; says whether there was anything to tell.
    async fn pass_on(&self, news: Revocations) -> bool {
        let Revocations { runtime_targets: targets, organizations: orgs, .. } = news;
        let count = targets.len() + orgs.len();
        if count > 0 {
            self.journal.record(Entry { count: Some(count), ..Entry::new("revoked") });
            self.hub.send(ToHub::Inputs(vec![Input::Revoked { targets, orgs }])).await;
        }
        count > 0
    }
}
