//! From a host name to a connected TCP socket.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use proto_core::effect::NetFault;

use crate::{Hop, Runtime, connect_fault};

/// How long an address of a name gets before the next one is tried beside it (RFC 8305 section 8, "Connection Attempt Delay").
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the first address of `hop` that answers. Bounded in time by the caller.
pub(crate) async fn dial<R: Runtime>(hop: &Hop) -> Result<R::Tcp, NetFault> {
    let addresses = R::resolve(&hop.host, hop.port).await.map_err(|error| {
        tracing::debug!(host = hop.host, %error, "no address");
        hop.fault(NetFault::Dns)
    })?;
    first_to_answer::<R>(addresses).await.map_err(|fault| hop.fault(fault))
}

/// One address after the other, each beside those before it once they have had [`ATTEMPT_DELAY`], or have failed (RFC 8305).
async fn first_to_answer<R: Runtime>(addresses: Vec<SocketAddr>) -> Result<R::Tcp, NetFault> {
    let mut addresses = addresses.into_iter();
    let mut attempts = Vec::new();
    let mut fault = NetFault::Dns;
    loop {
        attempts.extend(addresses.next().map(|address| Box::pin(R::connect(address))));
        if attempts.is_empty() {
            return Err(fault);
        }
        let mut pause = (addresses.len() > 0).then(|| R::sleep(ATTEMPT_DELAY));
        let ended = poll_fn(|cx| match (poll_any(&mut attempts, cx), &mut pause) {
            (Poll::Ready(ended), _) => Poll::Ready(Some(ended)),
            (Poll::Pending, Some(pause)) => Pin::new(pause).poll(cx).map(|()| None),
            (Poll::Pending, None) => Poll::Pending,
        });
        match ended.await {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => fault = connect_fault(&error),
            None => {} // The next address gets its turn beside this one.
        }
    }
}

/// The first of the attempts that has ended, which is taken out.
fn poll_any<F: Future<Output = io::Result<S>> + Unpin, S>(attempts: &mut Vec<F>, cx: &mut Context<'_>) -> Poll<io::Result<S>> {
    for at in 0..attempts.len() {
        if let Poll::Ready(ended) = Pin::new(&mut attempts[at]).poll(cx) {
            drop(attempts.remove(at));
            return Poll::Ready(ended);
        }
    }
    Poll::Pending
}

#[cfg(test)]
mod tests;
