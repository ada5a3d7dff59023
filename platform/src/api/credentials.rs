//! Renewing credentials (WIRE section 2.4).

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use proto_core::{
    Reason,
    api::{ROTATE_PATH, Renewed, RotateRequest},
    secret::SecretText,
};

use super::{ApiError, Body, authorization};
use crate::{
    app::Shared,
    credentials::{self, Renewal},
    error::Error,
};

pub(super) async fn rotate(
    State(app): State<Shared>,
    headers: HeaderMap,
    Body(request): Body<RotateRequest>,
) -> Result<Json<Renewed>, ApiError> {
    let missing = || Error::refused(StatusCode::UNAUTHORIZED, Reason::TokenMalformed);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let renewal = Renewal {
        token: authorization(&headers, "dpop").ok_or_else(missing)?,
        proof: text(header::HeaderName::from_static("dpop")).map(SecretText::new).ok_or_else(missing)?,
        generation: request.generation,
        urls: credentials::urls_of(&app, ROTATE_PATH, text(header::HOST)),
    };
    Ok(Json(credentials::rotate(&app, &renewal).await?))
}
