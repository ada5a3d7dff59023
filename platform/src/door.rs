//! The listener: which connections are held, and for how long.
//!
//! A peer that opens connections and sends nothing, or an incomplete request, cannot starve others: an address has a share of the
//! connections, and whatever is to be said has its time. Requests that are held open on purpose ([`MAX_WAIT`]) end before.
//!
//! [`MAX_WAIT`]: crate::pairing::MAX_WAIT

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Extension, Router,
    extract::{ConnectInfo, Request},
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use ipnet::IpNet;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
    time,
};
use viewport_server::{
    address::{host, is_among},
    raise_file_limit,
};

/// How long a peer may take for the head of a request, the pause before it included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a request may take, from the end of its head to its answer: its body, and what it asks for.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// The longest head of a request.
const MAX_HEAD: usize = 32 * 1024;
/// How many connections are held at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 4096;
/// And how many of one address; more are closed.
pub(crate) const SHARE: usize = 256;
/// After an accept that failed, say for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long connections may take to end after the server was asked to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers on `listener` until `shutdown` ends; then requests under way are finished.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    trusted_proxies: Vec<IpNet>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    raise_file_limit();
    let router = router.layer(from_fn(in_time));
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let shares = Shares::default();
    let (closing, _) = watch::channel(false);
    let (alive, mut all_ended) = mpsc::channel::<()>(1);
    let accept = async {
        loop {
            // The semaphore is never closed.
            let seat = Arc::clone(&room).acquire_owned().await.ok();
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let is_proxy = is_among(peer.ip().to_canonical(), &trusted_proxies);
                    let Some(share) = shares.take((!is_proxy).then(|| peer.ip())) else { continue };
                    let (router, closing, alive) = (router.clone(), closing.subscribe(), alive.clone());
                    tokio::spawn(async move {
                        speak(stream, peer, router, closing).await;
                        drop((seat, share, alive));
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = shutdown => {}
    }
    drop((listener, alive));
    closing.send_replace(true);
    // What takes longer is cut off.
    let _ = time::timeout(SHUTDOWN_TIMEOUT, all_ended.recv()).await;
    Ok(())
}

/// One connection, from its first request to its last.
async fn speak(stream: TcpStream, peer: SocketAddr, router: Router, mut closing: watch::Receiver<bool>) {
    // Small answers go out at once; where that cannot be said it is only slower.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router.layer(Extension(ConnectInfo(peer))));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    // What it gives borrows the channel, so it is dropped before anything else is awaited.
    let closing = async { drop(closing.wait_for(|closing| *closing).await) };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "http");
    }
}

/// Ends a request that does not come to an end.
async fn in_time(request: Request, next: Next) -> Response {
    time::timeout(REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| {
        let mut response = StatusCode::REQUEST_TIMEOUT.into_response();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    })
}

/// How many connections each address has.
#[derive(Clone, Debug, Default)]
struct Shares(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of an address, counted until it is dropped.
#[derive(Debug)]
struct Share {
    shares: Shares,
    /// None where connections are not counted.
    address: Option<IpAddr>,
}

impl Shares {
    /// One more connection of `address`, unless it has its share.
    fn take(&self, address: Option<IpAddr>) -> Option<Share> {
        let address = address.map(host);
        if let Some(address) = address {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_default();
            if *count >= SHARE {
                return None;
            }
            *count += 1;
        }
        Some(Share { shares: self.clone(), address })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut counts = self.shares.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let shares = Shares::default();
        let address = |text: &str| Some(text.parse().unwrap());
        let held: Vec<_> = (0..SHARE).map(|_| shares.take(address("192.0.2.1")).unwrap()).collect();
        assert!(shares.take(address("192.0.2.1")).is_none() && shares.take(address("::ffff:192.0.2.1")).is_none());
        assert!(shares.take(address("192.0.2.2")).is_some());
        assert!((0..2 * SHARE).map(|_| shares.take(None)).all(|share| share.is_some()), "a proxy has none");
        drop(held);
        assert!(shares.0.lock().unwrap().is_empty());
        assert!(shares.take(address("192.0.2.1")).is_some());
    }
}
