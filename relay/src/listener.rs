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
    sync::mpsc,
    task::AbortHandle,
    time,
};
use viewport_server::http::problem;

use crate::{
    address, admin, connection,
    event_log::Entry,
    host,
    shared::{AppState, PendingSlot, Shared, Slot},
};

/// How long a peer may take for the head of a request (ADM-1).
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// And until it has the answer.
const HTTP_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest head of a request.
const MAX_HEAD: usize = 16 * 1024;
/// After an accept that failed, say for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `shutdown` ends. What it gives is closed once all connections have ended.
pub(crate) async fn accept_until(
    listener: TcpListener,
    shared: &Arc<Shared>,
    shutdown: impl Future<Output = ()>,
) -> mpsc::Receiver<()> {
    let (alive, all_ended) = mpsc::channel(1);
    let door = AppState { shared: Arc::clone(shared), alive };
    let router = router(door.clone());
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let serve = |place| serve(stream, peer, &router, &door, place);
                    if door.shared.enter(peer.ip(), serve).is_none() {
                        record_refusal(shared, "accept", peer.ip(), Reason::RateLimited);
                    }
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

/// Serves what was accepted, in a task of its own.
fn serve(stream: TcpStream, peer: SocketAddr, router: &Router, door: &AppState, place: Arc<PendingSlot>) -> AbortHandle {
    let (router, alive) = (router.clone(), door.alive.clone());
    let mut shutdown = door.shared.shutdown.clone();
    let task = tokio::spawn(async move {
        tokio::select! {
            () = speak_http(stream, peer, router, place) => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
        drop(alive);
    });
    task.abort_handle()
}

/// One request, and its answer.
async fn speak_http(stream: TcpStream, peer: SocketAddr, router: Router, place: Arc<PendingSlot>) {
    // Small frames go out at once; where that cannot be said it is only slower.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router.layer(Extension(Peer { address: peer.ip(), place })));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Ok(Err(error)) = time::timeout(HTTP_TIMEOUT, connection).await {
        tracing::debug!(%error, %peer, "http");
    }
}

/// The peer at the other end of the socket.
#[derive(Clone, Debug)]
struct Peer {
    address: IpAddr,
    place: Arc<PendingSlot>,
}

fn router(door: AppState) -> Router {
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
        .layer(axum::middleware::from_fn(host::guard))
        .with_state(door)
}

/// `GET /ws`: the limits first, then the upgrade (WIRE section 4).
async fn upgrade(State(door): State<AppState>, Extension(peer): Extension<Peer>, mut request: Request) -> Response {
    let shared = &door.shared;
    let Peer { address, place } = peer;
    let address = address::client(address, request.headers(), &shared.config.trusted_proxies);
    let slot = match admit(shared, address, Arc::clone(&place)) {
        Ok(slot) => slot,
        Err(refusal) => return refuse(shared, address, &refusal),
    };
    let answer = match answer_upgrade::<_, Body>(&request) {
        Ok(answer) => answer,
        Err(refused) => return (StatusCode::BAD_REQUEST, refused.to_string()).into_response(),
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let task = tokio::spawn(async move {
        let AppState { shared, alive } = door;
        go_on_after(upgraded, shared, address, slot).await;
        drop(alive);
    });
    place.is_held_by(task.abort_handle());
    answer
}

/// Why an upgrade is refused.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    reason: Reason,
    /// Seconds.
    retry_after: u64,
}

fn admit(shared: &Shared, address: IpAddr, place: Arc<PendingSlot>) -> Result<Slot, Refusal> {
    shared.rate_limit(address).map_err(|wait| Refusal {
        status: StatusCode::TOO_MANY_REQUESTS,
        reason: Reason::RateLimited,
        retry_after: wait.as_secs() + u64::from(wait.subsec_nanos() > 0),
    })?;
    let full = Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason: Reason::RelayFull, retry_after: 30 };
    shared.slot(place).ok_or(full)
}

fn refuse(shared: &Shared, address: IpAddr, refusal: &Refusal) -> Response {
    let Refusal { status, reason, retry_after } = *refusal;
    record_refusal(shared, "upgrade", address, reason);
    let mut answer = problem(&Problem::because(status.as_u16(), reason)).into_response();
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
    answer
}

fn record_refusal(shared: &Shared, stage: &'static str, address: IpAddr, reason: Reason) {
    let entry = Entry { reason: Some(reason), stage: Some(stage), address: Some(address), ..Entry::new("refused") };
    shared.event_log.record(entry);
}

async fn go_on_after(upgraded: OnUpgrade, shared: Arc<Shared>, address: IpAddr, slot: Slot) {
    // The peer left before it had the answer.
    let Ok(upgraded) = upgraded.await else { return };
    // It is what speak_http was given.
    let Ok(Parts { io, read_buf, .. }) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
    connection::serve(shared, io.into_inner(), read_buf, address, slot).await;
}
