//! Follows revocations as they happen (D3): the loop around [`RevocationFeed`], which decides when to ask and what an answer means.

use std::sync::Arc;

use io_tokio::{Clock, DriverLoop, MachineIo, Network, Next, Perform, drive};
use proto_core::{
    JitterRng, Misuse,
    effect::{Effect, IoEvent},
    relay::{
        hub,
        revocations::{EffectId, Input, Output, RevocationFeed},
    },
    secret::SecretText,
};
use tokio::task::JoinSet;

use crate::{
    event_log::{Entry, EventLog},
    hub::{HubHandle, ToHub},
};

/// What surrounds the feed: the platform, the hub, and the log.
pub(crate) struct RevocationTask {
    pub(crate) url: String,
    pub(crate) internal_key: SecretText,
    pub(crate) network: Network,
    pub(crate) hub: HubHandle,
    pub(crate) event_log: Arc<EventLog>,
    pub(crate) jitter: JitterRng,
}

impl RevocationTask {
    /// Follows the feed for ever.
    pub(crate) async fn run(self) {
        let Self { url, internal_key, network, hub, event_log, jitter } = self;
        let mut clock = Clock::start();
        let mut feed = RevocationFeed::new(clock.now(), url, internal_key, jitter);
        let mut host = FeedHost { network, hub, event_log, requests: JoinSet::new(), for_hub: Vec::new() };
        let mut turns = DriverLoop::new(clock.wall());
        drive(&mut feed, &mut turns, &mut clock, &mut host).await;
    }
}

struct FeedHost {
    network: Network,
    hub: HubHandle,
    event_log: Arc<EventLog>,
    requests: JoinSet<IoEvent<EffectId>>,
    /// What the hub is told after this turn.
    for_hub: Vec<hub::Input>,
}

impl MachineIo<RevocationFeed> for FeedHost {
    async fn inputs(&mut self, _feed: &RevocationFeed, inputs: &mut Vec<Input>) -> Next {
        match self.requests.join_next().await {
            Some(Ok(event)) => inputs.push(Input::Io(event)),
            // Nothing is asked, or the relay ends.
            Some(Err(_)) | None => std::future::pending().await,
        }
        Next::GoOn
    }

    async fn flush(&mut self, _feed: &RevocationFeed) {
        for input in self.for_hub.drain(..) {
            self.hub.send(ToHub::Inputs(vec![input])).await;
        }
    }
}

impl Perform<RevocationFeed> for FeedHost {
    fn perform(&mut self, output: Output) {
        match output {
            Output::Effect(Effect::Http(id, request)) => {
                let network = self.network.clone();
                self.requests.spawn(async move {
                    match io_tokio::request(&request, &network).await {
                        Ok(answer) => IoEvent::Answered(id, answer),
                        Err(fault) => IoEvent::Unanswered(id, fault),
                    }
                });
            }
            Output::Effect(_) => {}
            Output::Connected => self.event_log.record(Entry::new("revocation feed connected")),
            Output::Lost(reason) => {
                self.event_log.record(Entry { reason: Some(reason), ..Entry::new("revocation feed lost") });
            }
            Output::Revoked { targets, orgs } => {
                self.event_log.record(Entry { count: Some(targets.len() + orgs.len()), ..Entry::new("revoked") });
                self.for_hub.push(hub::Input::Revoked { targets, orgs });
            }
            Output::Revalidate => self.for_hub.push(hub::Input::Revalidate),
        }
    }

    fn refused(&mut self, misuse: Misuse) {
        // Drained after every fact, so never full.
        tracing::error!(%misuse, "revocations");
    }
}
