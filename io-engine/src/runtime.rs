//! What a client needs of a runtime: its sockets, its timers, its resolver.

use std::{future::poll_fn, io, net::SocketAddr, pin::pin, task::Poll, time::Duration};

use proto_core::effect::NetFault;

use crate::ByteStream;

/// A runtime with futures, as far as clients need one.
pub trait Runtime {
    /// A connected TCP socket.
    type Tcp: ByteStream + Send;

    /// A timer that runs out once.
    type Sleep: Future<Output = ()> + Send + Unpin;

    /// A timer that runs out after `time`.
    fn sleep(time: Duration) -> Self::Sleep;

    /// The addresses of a name, best first; an IP address stands for itself.
    fn resolve(host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// A connection to `address`, without Nagle's delay. Dropping the future gives up.
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send;
}

/// What comes of `work`, or `None` when `end` comes first. What is ready by then wins.
pub(crate) async fn before<A>(end: impl Future<Output = ()>, work: impl Future<Output = A>) -> Option<A> {
    let (mut work, mut end) = (pin!(work), pin!(end));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => end.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// `work`, which takes no longer than `limit`.
pub(crate) async fn within<R: Runtime, A, E: From<NetFault>>(
    limit: Duration,
    work: impl Future<Output = Result<A, E>>,
) -> Result<A, E> {
    before(R::sleep(limit), work).await.unwrap_or(Err(NetFault::TimedOut.into()))
}
