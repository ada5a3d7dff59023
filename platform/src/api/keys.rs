//! The key set (S177).

use axum::{extract::State, http::header, response::IntoResponse};

use super::ApiError;
use crate::{app::Shared, keys};

pub(super) async fn jwks(State(app): State<Shared>) -> Result<impl IntoResponse, ApiError> {
    let set = keys::ring(&app).await?.published();
    // Short, so that a relay which asks again because of an unknown key gets the truth.
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=30")], set.to_json()))
}
