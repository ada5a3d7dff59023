//! Follows revocations as they happen (D3): the loop around [`Feed`], which decides when to ask and what an answer means.

use std::sync::Arc;

use io_tokio::{Clock, Host, Next, Perform, Roots, Turns, drive};
use proto_core::{
    Jitter, Misuse,
    effect::{Effect, IoEvent},
    relay::{
        hub,
        revocations::{EffectId, Feed, Input, Output},
    },
    secret::SecretText,
};
use tokio::task::JoinSet;

use crate::{
    hub::{HubHandle, ToHub},
    journal::{Entry, Journal},
};

/// What surrounds the feed: the platform, the hub, and the log.
pub(crate) struct Watch {
    pub(crate) url: String,
    pub(crate) internal_key: SecretText,
    pub(crate) roots: Roots,
    pub(crate) hub: HubHandle,
    pub(crate) journal: Arc<Journal>,
    pub(crate) jitter: Jitter,
}

impl Watch {
    /// Follows the feed for ever.
    pub(crate) async fn run(self) {
        let Self { url, internal_key, roots, hub, journal, jitter } = self;
        let mut clock = Clock::start();
        let mut feed = Feed::new(clock.now(), url, internal_key, jitter);
        let mut host = FeedHost { roots, hub, journal, requests: JoinSet::new(), for_hub: Vec::new() };
        let mut turns = Turns::new(clock.wall());
        drive(&mut feed, &mut turns, &mut clock, &mut host).await;
    }
}

struct FeedHost {
    roots: Roots,
    hub: HubHandle,
    journal: Arc<Journal>,
    requests: JoinSet<IoEvent<EffectId>>,
    /// What the hub is told after this turn.
    for_hub: Vec<hub::Input>,
}

impl Host<Feed> for FeedHost {
    async fn facts(&mut self, _feed: &Feed, facts: &mut Vec<Input>) -> Next {
        match self.requests.join_next().await {
            Some(Ok(event)) => facts.push(Input::Io(event)),
            // Nothing is asked, or the relay ends.
            Some(Err(_)) | None => std::future::pending().await,
        }
        Next::GoOn
    }

    async fn flush(&mut self, _feed: &Feed) {
        for input in self.for_hub.drain(..) {
            self.hub.send(ToHub::Inputs(vec![input])).await;
        }
    }
}

impl Perform<Feed> for FeedHost {
    fn perform(&mut self, output: Output) {
        match output {
            Output::Effect(Effect::Http(id, request)) => {
                let roots = self.roots.clone();
                self.requests.spawn(async move {
                    match io_tokio::request(&request, &roots).await {
                        Ok(answer) => IoEvent::Answered(id, answer),
                        Err(fault) => IoEvent::Unanswered(id, fault),
                    }
                });
            }
            Output::Effect(_) => {}
            Output::Followed => self.journal.record(Entry::new("revocations are heard of")),
            Output::Lost(reason) => {
                self.journal.record(Entry { reason: Some(reason), ..Entry::new("revocations are not heard of") });
            }
            Output::Revoked { targets, orgs } => {
                self.journal.record(Entry { count: Some(targets.len() + orgs.len()), ..Entry::new("revoked") });
                self.for_hub.push(hub::Input::Revoked { targets, orgs });
            }
            Output::Recheck => self.for_hub.push(hub::Input::Recheck),
        }
    }

    fn refused(&mut self, misuse: Misuse) {
        // Drained after every fact, so never full.
        tracing::error!(%misuse, "revocations");
    }
}
