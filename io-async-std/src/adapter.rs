//! What a machine can do on async-std.

use std::{
    fmt::{self, Debug},
    future::poll_fn,
    hash::Hash,
    pin::Pin,
    task::{Context, Poll},
};

use async_std::channel::{Sender, unbounded};
use futures_util::stream::{FuturesUnordered, SelectAll, Stream, StreamExt};
use io_engine::{FileJob, Home, Network, SocketTable};
use proto_core::effect::{Close, Connect, Effect, HttpRequest, IoEvent};

use crate::{
    client, files,
    link::{self, Order},
};

/// Performs a machine's effects, each named by an `I`, and reports what came of them.
///
/// It owns all of its work and spawns no task: everything goes on while the caller waits for [`Adapter::next`], nothing piles up
/// while it does not, and dropping the adapter ends it all and closes its sockets. [`Adapter::shutdown`] does so in good order.
pub struct Adapter<I> {
    network: Network,
    /// The orders for each WebSocket whose end was not reported here. Without them it is dropped.
    links: SocketTable<I, Sender<Order>>,
    files: Sender<(I, FileJob)>,
    requests: FuturesUnordered<Pin<Box<dyn Future<Output = IoEvent<I>> + Send>>>,
    /// The WebSockets and the files: what a shutdown waits for.
    lasting: SelectAll<Pin<Box<dyn Stream<Item = Told<I>> + Send>>>,
}

/// What was reported, and of which generation of WebSockets; 0 for everything else.
type Told<I> = (u64, IoEvent<I>);

impl<I: Clone + Debug + Eq + Hash + Send + 'static> Adapter<I> {
    /// An adapter whose files live in `home` (none can be stored without one) and whose clients go by `network`.
    pub fn new(home: Option<Home>, network: Network) -> Self {
        let (files, jobs) = unbounded();
        let mut lasting = SelectAll::<Pin<Box<dyn Stream<Item = Told<I>> + Send>>>::new();
        lasting.push(Box::pin(files::work(home, jobs).map(|event| (0, event))));
        Self { network, links: SocketTable::default(), files, requests: FuturesUnordered::new(), lasting }
    }

    /// Begins to carry out `effect`. Returns at once; what comes of it comes out of [`Adapter::next`].
    pub fn perform(&mut self, effect: Effect<I>) {
        match effect {
            Effect::Http(id, request) => self.request(id, request),
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
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Finishes what was to be stored, closes the WebSockets normally, and drops HTTP requests.
    pub async fn shutdown(self) {
        let Self { links, files, requests, mut lasting, .. } = self;
        for orders in links.iter() {
            // Its end may be there and not have been reported yet.
            let _ = orders.try_send(Order::Close(Close::Normal));
        }
        drop((files, requests));
        while lasting.next().await.is_some() {}
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<IoEvent<I>> {
        if let Poll::Ready(Some(event)) = self.requests.poll_next_unpin(cx) {
            return Poll::Ready(event);
        }
        while let Poll::Ready(Some((generation, event))) = self.lasting.poll_next_unpin(cx) {
            if let Some(event) = self.links.told(generation, event) {
                return Poll::Ready(event);
            }
        }
        Poll::Pending
    }

    fn request(&self, id: I, request: HttpRequest) {
        let network = self.network.clone();
        self.requests.push(Box::pin(async move {
            match client::request(&request, &network).await {
                Ok(answer) => IoEvent::Answered(id, answer),
                Err(fault) => IoEvent::Unanswered(id, fault),
            }
        }));
    }

    fn open(&mut self, id: I, connect: Connect) {
        let Self { network, links, lasting, .. } = self;
        links.open(id.clone(), |generation| {
            let (orders, taken) = unbounded();
            let told = link::serve(connect, network.clone(), taken);
            lasting.push(Box::pin(told.map(move |event| (generation, event.with_id(id.clone())))));
            orders
        });
    }

    /// An order for a WebSocket whose end is known came too late and has no effect.
    fn order(&self, id: &I, order: Order) {
        if let Some(orders) = self.links.get(id) {
            // Its end may be there and not have been reported yet.
            let _ = orders.try_send(order);
        } else {
            tracing::debug!(?id, "no such WebSocket any more");
        }
    }

    fn file(&self, id: I, job: FileJob) {
        // The other end lives in `lasting`.
        let _ = self.files.try_send((id, job));
    }
}

impl<I> Debug for Adapter<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, lasting) = (self.requests.len(), self.lasting.len());
        f.debug_struct("Adapter").field("requests", &requests).field("lasting", &lasting).finish_non_exhaustive()
    }
}
