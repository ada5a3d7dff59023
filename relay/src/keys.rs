//! The platform's key set, in a task that all connections ask.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use io_tokio::{Clock, DriverLoop, MachineIo, Network, Next, Perform, drive};
use proto_core::{
    JitterRng, Misuse, Reason,
    effect::{Effect, IoEvent},
    jose::Thumbprint,
    keyset::{EffectId, Input, KeySet, LookupId, Output},
    relay::admission::KeyAnswer,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::event_log::{Entry, EventLog};

/// Lookups that wait for the task at most; one more waits for room.
const WAITING: usize = 1024;

/// Asks the task.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    questions: mpsc::Sender<(Thumbprint, oneshot::Sender<KeyAnswer>)>,
    held: Arc<AtomicBool>,
}

impl Keys {
    /// Starts the task, which fetches `url` at once.
    pub(crate) fn start(
        url: String,
        network: Network,
        event_log: Arc<EventLog>,
        jitter: JitterRng,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (questions, asked) = mpsc::channel(WAITING);
        let held = Arc::new(AtomicBool::new(false));
        let fetches = JoinSet::new();
        let mut host = KeysHost { asked, fetches, network, event_log, held: Arc::clone(&held), waiting: Vec::new(), next: 0 };
        let mut clock = Clock::start();
        let wall = clock.wall();
        let mut keys = KeySet::new(wall.at(), url, jitter);
        tasks.spawn(async move { drive(&mut keys, &mut DriverLoop::new(wall), &mut clock, &mut host).await });
        Self { questions, held }
    }

    /// Which key has this name?
    pub(crate) async fn look(&self, kid: Thumbprint) -> KeyAnswer {
        let (answer, answered) = oneshot::channel();
        // The task ends with the relay.
        let _ = self.questions.send((kid, answer)).await;
        answered.await.unwrap_or(KeyAnswer::Unreachable)
    }

    /// Whether there are keys to verify with.
    pub(crate) fn are_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }
}

struct KeysHost {
    asked: mpsc::Receiver<(Thumbprint, oneshot::Sender<KeyAnswer>)>,
    fetches: JoinSet<IoEvent<EffectId>>,
    network: Network,
    event_log: Arc<EventLog>,
    held: Arc<AtomicBool>,
    waiting: Vec<(LookupId, oneshot::Sender<KeyAnswer>)>,
    next: u64,
}

impl MachineIo<KeySet> for KeysHost {
    async fn inputs(&mut self, _keys: &KeySet, inputs: &mut Vec<Input>) -> Next {
        inputs.push(tokio::select! {
            Some((kid, answer)) = self.asked.recv() => {
                self.next += 1;
                self.waiting.push((LookupId(self.next), answer));
                Input::Look { lookup: LookupId(self.next), kid }
            }
            Some(Ok(event)) = self.fetches.join_next() => Input::Io(event),
            // The relay is gone.
            else => return Next::Stop,
        });
        Next::GoOn
    }

    async fn flush(&mut self, keys: &KeySet) {
        self.held.store(keys.has_keys(), Ordering::Relaxed);
    }
}

impl Perform<KeySet> for KeysHost {
    fn perform(&mut self, output: Output) {
        match output {
            Output::Effect(Effect::Http(id, request)) => {
                let network = self.network.clone();
                self.fetches.spawn(async move {
                    match io_tokio::request(&request, &network).await {
                        Ok(answer) => IoEvent::Answered(id, answer),
                        Err(fault) => IoEvent::Unanswered(id, fault),
                    }
                });
            }
            Output::Effect(_) => {}
            Output::Found { lookup, key } => self.answer(lookup, KeyAnswer::Found(key)),
            Output::Unknown { lookup } => self.answer(lookup, KeyAnswer::Unknown),
            Output::Unreachable { lookup } => self.answer(lookup, KeyAnswer::Unreachable),
            Output::Refreshed { keys } => self.refreshed(keys),
            Output::Stale { reason, .. } => self.stale(reason),
        }
    }

    /// The key set is drained after every fact, so it is never full.
    fn refused(&mut self, misuse: Misuse) {
        tracing::error!(%misuse, "the key set did not take a fact");
    }
}

impl KeysHost {
    fn answer(&mut self, lookup: LookupId, answer: KeyAnswer) {
        if let Some(place) = self.waiting.iter().position(|(waiting, _)| *waiting == lookup) {
            // The asking task may be gone.
            let _ = self.waiting.swap_remove(place).1.send(answer);
        }
    }

    fn refreshed(&self, keys: usize) {
        self.event_log.record(Entry { count: Some(keys), ..Entry::new("key set fetched") });
    }

    fn stale(&self, reason: Reason) {
        self.event_log.record(Entry { reason: Some(reason), ..Entry::new("key set not fetched") });
    }
}
