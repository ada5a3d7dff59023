//! What relays ask, with the key that only they and the platform know (WIRE section 3).

use axum::{
    Json,
    extract::{FromRequestParts, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, request::Parts},
};
use proto_core::{
    Reason,
    api::{Revocations, ValidateAnswer, ValidateRequest},
};
use serde::Deserialize;

use super::{ApiError, Body, authorization, preferred_wait};
use crate::{app::Shared, credentials, error::Error, machines};

/// Proof that a relay asks (S199, S200). Extracted before the body is read.
pub(super) struct FromRelay;

impl FromRequestParts<Shared> for FromRelay {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, ApiError> {
        let key = authorization(&parts.headers, "bearer");
        let fits = key.is_some_and(|key| app.is_internal_key(key.expose()));
        if fits { Ok(Self) } else { Err(ApiError(Error::refused(StatusCode::UNAUTHORIZED, Reason::InternalKeyMismatch))) }
    }
}

pub(super) async fn validate(
    _: FromRelay,
    State(app): State<Shared>,
    Body(request): Body<ValidateRequest>,
) -> Result<Json<ValidateAnswer>, ApiError> {
    Ok(Json(credentials::validate(&app, &request).await?))
}

#[derive(Deserialize)]
pub(super) struct After {
    after: Option<u64>,
}

pub(super) async fn revocations(
    _: FromRelay,
    State(app): State<Shared>,
    headers: HeaderMap,
    query: Result<Query<After>, QueryRejection>,
) -> Result<Json<Revocations>, ApiError> {
    let Query(After { after }) = query.map_err(|error| Error::invalid(error.body_text()))?;
    Ok(Json(machines::revocations(&app, after, preferred_wait(&headers)).await?))
}
