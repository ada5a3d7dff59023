//! Accepts connections, answers what is plain HTTP, and upgrades the rest.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Extension, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use hyper::{
    server::conn::http1,
    upgrade::{OnUpgrade, Parts},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use io_engine::answer_upgrade;
use proto_core::{Reason, api::Problem};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time,
};

use crate::{
    address, admin,
    answer::problem,
    connection,
    journal::Entry,
    shared::{Door, Shared, Slot},
};

/// How long a peer may take for the head of a request (ADM-1).
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// And until it has the answer.
const HTTP_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest head of a request.
const HEAD_MAX: usize = 16 * 1024;
/// How many connections may speak HTTP at once, besides those that are upgraded; more wait to be accepted.
const HTTP_MAX: usize = 1024;
/// After an accept that failed, say for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `shutdown` ends. What it gives is closed once all connections have ended.
pub(crate) async fn accept_until(
    listener: TcpListener,
    shared: &Arc<Shared>,
    shutdown: impl Future<Output = ()>,
) -> mpsc::Receiver<()> {
    let (alive, all_ended) = mpsc::channel(1);
    let door = Door { shared: Arc::clone(shared), alive };
    let router = router(door.clone());
    let speaking = Arc::new(Semaphore::new(HTTP_MAX));
    let accept = async {
        loop {
            // The semaphore is never closed.
            let permit = Arc::clone(&speaking).acquire_owned().await.ok();
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (router, alive) = (router.clone(), door.alive.clone());
                    let mut shutdown = door.shared.shutdown.clone();
                    tokio::spawn(async move {
                        tokio::select! {
                            () = speak_http(stream, peer, router) => {}
                            _ = shutdown.wait_for(|stop| *stop) => {}
                        }
                        drop((permit, alive));
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
    all_ended
}

/// One request, and its answer.
async fn speak_http(stream: TcpStream, peer: SocketAddr, router: Router) {
    // Small frames go out at once; where that cannot be said it is only slower.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router.layer(Extension(Peer(peer.ip()))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Ok(Err(error)) = time::timeout(HTTP_TIMEOUT, connection).await {
        tracing::debug!(%error, %peer, "http");
    }
}

/// Who is at the other end of the socket.
#[derive(Clone, Copy, Debug)]
struct Peer(IpAddr);

fn router(door: Door) -> Router {
    let admin = Router::new()
        .route("/logs", get(admin::logs))
        .route("/state", get(admin::state))
        .route("/metrics", get(admin::metrics))
        .route_layer(axum::middleware::from_fn_with_state(door.clone(), admin::guard));
    Router::new()
        .route("/ws", get(upgrade))
        .route("/health", get(admin::health))
        .route("/ready", get(admin::ready))
        .merge(admin)
        .with_state(door)
}

/// `GET /ws`: the limits first, then the upgrade (WIRE section 4).
async fn upgrade(State(door): State<Door>, Extension(Peer(peer)): Extension<Peer>, mut request: Request) -> Response {
    let shared = &door.shared;
    let address = address::client(peer, request.headers(), &shared.config.trusted_proxies);
    let slot = match admit(shared, address) {
        Ok(slot) => slot,
        Err(refusal) => return refuse(shared, address, &refusal),
    };
    let answer = match answer_upgrade::<_, Body>(&request) {
        Ok(answer) => answer,
        Err(refused) => return (StatusCode::BAD_REQUEST, refused.to_string()).into_response(),
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Door { shared, alive } = door;
        go_on_after(upgraded, shared, address, slot).await;
        drop(alive);
    });
    answer
}

/// Why somebody is not even upgraded.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    reason: Reason,
    /// Seconds.
    retry_after: u64,
}

fn admit(shared: &Shared, address: IpAddr) -> Result<Slot, Refusal> {
    shared.rate_limit(address).map_err(|wait| Refusal {
        status: StatusCode::TOO_MANY_REQUESTS,
        reason: Reason::RateLimited,
        retry_after: wait.as_secs() + u64::from(wait.subsec_nanos() > 0),
    })?;
    let full = Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason: Reason::RelayFull, retry_after: 30 };
    shared.slot().ok_or(full)
}

fn refuse(shared: &Shared, address: IpAddr, refusal: &Refusal) -> Response {
    let Refusal { status, reason, retry_after } = *refusal;
    let entry = Entry { reason: Some(reason), stage: Some("upgrade"), address: Some(address), ..Entry::new("refused") };
    shared.journal.record(entry);
    let mut answer = problem(&Problem::because(status.as_u16(), reason));
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
    answer
}

async fn go_on_after(upgraded: OnUpgrade, shared: Arc<Shared>, address: IpAddr, slot: Slot) {
    // The peer left before it had the answer.
    let Ok(upgraded) = upgraded.await else { return };
    // It is what speak_http was given.
    let Ok(Parts { io, read_buf, .. }) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
    connection::serve(shared, io.into_inner(), read_buf, address, slot).await;
}
