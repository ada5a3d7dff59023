//! What devices and relays ask, in JSON (WIRE sections 2 and 3).

mod credentials;
mod keys;
mod organization_key;
mod pairing;
mod problem;
mod relay;

use axum::{
    Router,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, header},
    response::IntoResponse,
    routing::{get, post},
};
use bytes::Bytes;
use proto_core::{
    api::{
        HEALTH_PATH, JWKS_PATH, KEY_DEVICE_PATH, KEY_HANDOVERS_PATH, KEY_STATEMENTS_PATH, ORGANIZATION_KEY_PATH,
        PAIRING_CODES_PATH, REVOCATIONS_PATH, ROTATE_PATH, VALIDATE_PATH,
    },
    secret::SecretText,
};
use serde::de::DeserializeOwned;

use crate::{app::Shared, error::Error, health};
use problem::ApiError;

/// The routes below `/api`.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route(PAIRING_CODES_PATH, post(pairing::mint))
        .route(&format!("{PAIRING_CODES_PATH}/{{code}}"), get(pairing::poll).delete(pairing::cancel))
        .route(ROTATE_PATH, post(credentials::rotate))
        .route(ORGANIZATION_KEY_PATH, get(organization_key::view))
        .route(KEY_DEVICE_PATH, post(organization_key::register))
        .route(KEY_STATEMENTS_PATH, post(organization_key::publish))
        .route(KEY_HANDOVERS_PATH, post(organization_key::hand_over))
        .route(JWKS_PATH, get(keys::jwks))
        .route(HEALTH_PATH, get(health))
        .route("/api/openapi.json", get(openapi))
        .route(VALIDATE_PATH, post(relay::validate))
        .route(REVOCATIONS_PATH, get(relay::revocations))
        .route("/api/{*rest}", axum::routing::any(async || ApiError(Error::NotFound)))
        .method_not_allowed_fallback(async || ApiError(Error::WrongMethod))
}

async fn health(State(app): State<Shared>) -> Result<axum::Json<serde_json::Value>, ApiError> {
    if health::is_healthy(&app).await {
        return Ok(axum::Json(serde_json::json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") })));
    }
    Err(ApiError(Error::Unavailable("The database takes no write: see the log, and whether its disk is full.")))
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
}

/// A body of JSON; whatever is wrong with it is told as a problem.
struct Body<T>(T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, app).await.map_err(|error| Error::invalid(error.body_text()))?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| ApiError(Error::invalid(error.to_string())))
    }
}

/// What follows `scheme` in the `Authorization` header.
fn authorization(headers: &HeaderMap, scheme: &str) -> Option<SecretText> {
    viewport_server::http::authorization(headers, scheme).map(SecretText::new)
}

/// The seconds of `Prefer: wait=N` (RFC 7240), 0 where nothing is said.
fn preferred_wait(headers: &HeaderMap) -> u64 {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';'])).filter_map(|preference| preference.split_once('='));
    let wait = preferences.find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"));
    wait.and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read_as_rfc_7240_writes_them() {
        for (value, expected) in [
            ("wait=25", 25),
            ("respond-async, wait=10", 10),
            ("handling=lenient; wait=7", 7),
            ("Wait=\"3\"", 3),
            ("wait", 0),
            ("wait=soon", 0),
        ] {
            let headers = [("prefer".parse().unwrap(), value.parse().unwrap())].into_iter().collect();
            assert_eq!(preferred_wait(&headers), expected, "{value}");
        }
        assert_eq!(preferred_wait(&HeaderMap::new()), 0);
    }
}
