//! A platform of three endpoints that answers what a test wants.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use proto_core::{
    api::{JWKS_PATH, REVOCATIONS_PATH, VALIDATE_PATH, ValidateRequest},
    jose::{JwkSet, SigningKey},
    secret::Secret,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, time::timeout};

pub(crate) const INTERNAL_KEY: &str = "internal key of the tests";

/// The key that signs credentials.
pub(crate) fn signer() -> SigningKey {
    SigningKey::from_seed(&Secret::new([9; 32]))
}

#[derive(Clone, Debug)]
pub(crate) struct Platform {
    pub(crate) url: String,
    pub(crate) jwks: Arc<Mutex<Option<String>>>,
    pub(crate) verdict: Arc<Mutex<(StatusCode, Value)>>,
    /// Whether the feed of revocations answers.
    pub(crate) feeds: Arc<AtomicBool>,
    revoked: Arc<watch::Sender<Vec<Value>>>,
}

impl Platform {
    pub(crate) async fn start() -> Self {
        let keys: JwkSet = [signer().public_key()].into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let platform = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            jwks: Arc::new(Mutex::new(Some(keys.to_json()))),
            verdict: Arc::new(Mutex::new((StatusCode::OK, json!({"active": true, "policy_mode": "standard"})))),
            feeds: Arc::new(AtomicBool::new(true)),
            revoked: Arc::new(watch::Sender::new(Vec::new())),
        };
        let router = Router::new()
            .route(JWKS_PATH, get(jwks))
            .route(VALIDATE_PATH, post(validate))
            .route(REVOCATIONS_PATH, get(revocations))
            .with_state(platform.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        platform
    }

    pub(crate) fn answers(&self, status: StatusCode, verdict: Value) {
        *self.verdict.lock().unwrap() = (status, verdict);
    }

    pub(crate) fn refuses(&self, reason: &str) {
        self.answers(StatusCode::OK, json!({"active": false, "reason": reason}));
    }

    pub(crate) fn revokes(&self, target: &str) {
        self.revoked.send_modify(|events| events.push(json!(target)));
    }

    /// Whether a relay waits for revocations.
    pub(crate) async fn is_watched(&self) {
        while self.revoked.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn jwks(State(platform): State<Platform>) -> Response {
    match platform.jwks.lock().unwrap().clone() {
        Some(keys) => keys.into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn knows_the_key(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|given| given.as_bytes() == format!("Bearer {INTERNAL_KEY}").as_bytes())
}

async fn validate(State(platform): State<Platform>, headers: HeaderMap, Json(_): Json<ValidateRequest>) -> Response {
    if !knows_the_key(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let (status, verdict) = platform.verdict.lock().unwrap().clone();
    (status, Json(verdict)).into_response()
}

async fn revocations(
    State(platform): State<Platform>,
    Query(query): Query<BTreeMap<String, usize>>,
    headers: HeaderMap,
) -> Response {
    if !knows_the_key(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if !platform.feeds.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let Some(after) = query.get("after").copied() else {
        let last = platform.revoked.borrow().len();
        return Json(json!({"last": last, "runtime_targets": [], "organizations": []})).into_response();
    };
    let mut events = platform.revoked.subscribe();
    let _ = timeout(Duration::from_secs(2), events.wait_for(|events| events.len() > after)).await;
    let events = events.borrow().clone();
    Json(json!({"last": events.len(), "runtime_targets": events.get(after..), "organizations": []})).into_response()
}
