//! The platform's key set, in a task that all connections ask.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use io_tokio::{Clock, Roots};
use proto_core::{
    Jitter, Machine as _, Reason,
    effect::{Effect, Happening},
    jose::Thumbprint,
    keyset::{FetchId, Input, KeySet, LookupId, Output},
    relay::admission::KeyAnswer,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::journal::{Entry, Journal};

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
    pub(crate) fn start(url: String, roots: Roots, journal: Arc<Journal>, jitter: Jitter, tasks: &mut JoinSet<()>) -> Self {
        let (questions, asked) = mpsc::channel(WAITING);
        let held = Arc::new(AtomicBool::new(false));
        let clock = Clock::start();
        let machine = KeySet::new(clock.now(), url, jitter);
        let desk = Desk { clock, machine, asked, roots, journal, held: Arc::clone(&held), waiting: Vec::new(), next: 0 };
        tasks.spawn(desk.run());
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

struct Desk {
    clock: Clock,
    machine: KeySet,
    asked: mpsc::Receiver<(Thumbprint, oneshot::Sender<KeyAnswer>)>,
    roots: Roots,
    journal: Arc<Journal>,
    held: Arc<AtomicBool>,
    waiting: Vec<(LookupId, oneshot::Sender<KeyAnswer>)>,
    next: u64,
}

impl Desk {
    async fn run(mut self) {
        let mut fetches: JoinSet<Happening<FetchId>> = JoinSet::new();
        loop {
            self.drain(&mut fetches);
            let input = tokio::select! {
                Some((kid, answer)) = self.asked.recv() => {
                    self.next += 1;
                    self.waiting.push((LookupId(self.next), answer));
                    Some(Input::Look { lookup: LookupId(self.next), kid })
                }
                Some(Ok(happening)) = fetches.join_next() => Some(Input::Happened(happening)),
                () = self.clock.sleep_until(self.machine.poll_timeout()) => None,
            };
            let now = self.clock.now();
            self.machine.handle_timeout(now);
            if let Some(input) = input {
                // Drained every time, so never full.
                let _ = self.machine.handle_input(now, input);
            }
        }
    }

    fn drain(&mut self, fetches: &mut JoinSet<Happening<FetchId>>) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Effect(Effect::Http(id, request)) => {
                    let roots = self.roots.clone();
                    fetches.spawn(async move {
                        match io_tokio::request(&request, &roots).await {
                            Ok(answer) => Happening::Answered(id, answer),
                            Err(fault) => Happening::Unanswered(id, fault),
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
        self.held.store(self.machine.keys(self.clock.now()).is_some(), Ordering::Relaxed);
    }

    fn answer(&mut self, lookup: LookupId, answer: KeyAnswer) {
        if let Some(place) = self.waiting.iter().position(|(waiting, _)| *waiting == lookup) {
            // Who asked may be gone.
            let _ = self.waiting.swap_remove(place).1.send(answer);
        }
    }

    fn refreshed(&self, keys: usize) {
        self.journal.record(Entry { count: Some(keys), ..Entry::new("key set fetched") });
    }

    fn stale(&self, reason: Reason) {
        self.journal.record(Entry { reason: Some(reason), ..Entry::new("key set not fetched") });
    }
}
