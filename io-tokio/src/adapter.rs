//! What a machine can do on tokio.

use std::{fmt::Debug, hash::Hash};

use io_engine::{FileJob, Home, Network, SocketTable};
use proto_core::effect::{Close, Connect, Effect, IoEvent};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};

use crate::{
    client, files,
    link::{self, Link, Order},
    reports::{Reports, Told},
};

/// How many events wait for the machine. When it does not keep up, reading from sockets stops.
const WAITING: usize = 32;

/// Performs a machine's effects, each named by an `I`, and reports what came of them.
///
/// One task for each HTTP request and each WebSocket, one for all files. Dropping the adapter ends them all and closes their
/// sockets; [`Adapter::shutdown`] does so in good order.
#[derive(Debug)]
pub struct Adapter<I> {
    network: Network,
    tasks: Tasks<I>,
    /// The orders for each WebSocket whose end was not reported here. Without them its task drops it.
    links: SocketTable<I, mpsc::UnboundedSender<Order>>,
    events: mpsc::Receiver<Told<I>>,
}

#[derive(Debug)]
struct Tasks<I> {
    requests: JoinSet<()>,
    /// The WebSockets and the files: what a shutdown waits for.
    lasting: JoinSet<()>,
    files: mpsc::UnboundedSender<(I, FileJob)>,
    reports: Reports<I>,
}

impl<I: Clone + Debug + Eq + Hash + Send + Sync + 'static> Adapter<I> {
    /// An adapter whose files live in `home` (none can be stored without one) and whose clients go by `network`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(home: Option<Home>, network: Network) -> Self {
        let (sender, events) = mpsc::channel(WAITING);
        let (files, jobs) = mpsc::unbounded_channel();
        let reports = Reports::new(sender);
        let mut lasting = JoinSet::new();
        lasting.spawn(files::work(home, jobs, reports.clone()));
        let tasks = Tasks { requests: JoinSet::new(), lasting, files, reports };
        Self { network, tasks, links: SocketTable::default(), events }
    }

    /// Begins to carry out `effect`. Returns at once; what comes of it comes out of [`Adapter::next`].
    pub fn perform(&mut self, effect: Effect<I>) {
        match effect {
            Effect::Http(id, request) => {
                let (network, reports) = (self.network.clone(), self.tasks.reports.clone());
                self.tasks.requests.spawn(async move {
                    let event = match client::request(&request, &network).await {
                        Ok(answer) => IoEvent::Answered(id, answer),
                        Err(fault) => IoEvent::Unanswered(id, fault),
                    };
                    let _ = reports.tell(event).await;
                });
            }
            Effect::Connect(id, connect) => self.open(id, connect),
            Effect::Send(id, message) => self.order(&id, Order::Send(message)),
            Effect::Close(id, close) => self.order(&id, Order::Close(close)),
            Effect::Store(id, file, contents) => self.file(id, FileJob::Store(file, contents)),
            Effect::Remove(id, file) => self.file(id, FileJob::Remove(file)),
            Effect::Load(id, file) => self.file(id, FileJob::Load(file)),
        }
    }

    /// What happens next. Waits for ever when nothing is under way. Safe to cancel.
    pub async fn next(&mut self) -> IoEvent<I> {
        loop {
            tokio::select! {
                Some((generation, event)) = self.events.recv() => {
                    if let Some(event) = self.links.told(generation, event) {
                        return event;
                    }
                }
                Some(ended) = self.tasks.requests.join_next() => surface(ended),
                Some(ended) = self.tasks.lasting.join_next() => surface(ended),
            }
        }
    }

    /// Finishes what was to be stored, closes the WebSockets normally, and drops HTTP requests.
    pub async fn shutdown(mut self) {
        for orders in self.links.iter() {
            // The task may have ended with its report still on its way.
            let _ = orders.send(Order::Close(Close::Normal));
        }
        self.events.close();
        let Tasks { mut lasting, files, .. } = self.tasks;
        drop(files);
        while let Some(ended) = lasting.join_next().await {
            surface(ended);
        }
    }

    fn open(&mut self, id: I, connect: Connect) {
        let Self { network, tasks, links, .. } = self;
        links.open(id.clone(), |generation| {
            let (orders, taken) = mpsc::unbounded_channel();
            let link = Link { connect, network: network.clone(), orders: taken };
            let reports = tasks.reports.of_generation(generation);
            tasks.lasting.spawn(link::serve(id, link, reports));
            orders
        });
    }

    /// An order for a WebSocket whose end is known came too late and has no effect.
    fn order(&self, id: &I, order: Order) {
        if let Some(orders) = self.links.get(id) {
            // The task may have ended with its report still on its way.
            let _ = orders.send(order);
        } else {
            tracing::debug!(?id, "no such WebSocket any more");
        }
    }

    fn file(&self, id: I, job: FileJob) {
        // The worker lives as long as this sender.
        let _ = self.tasks.files.send((id, job));
    }
}

/// A task that panicked must not look like one that has nothing to report.
fn surface(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}
