//! Minting and polling codes (WIRE sections 2.1 and 2.2).

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use proto_core::{
    api::{MintAnswer, MintRequest, PollAnswer},
    code::CodeText,
};

use super::{ApiError, Body, authorization, preferred_wait};
use crate::{address::ClientAddress, app::Shared, error::Error, pairing};

pub(super) async fn mint(
    State(app): State<Shared>,
    ClientAddress(address): ClientAddress,
    Body(request): Body<MintRequest>,
) -> Result<(StatusCode, Json<MintAnswer>), ApiError> {
    Ok((StatusCode::CREATED, Json(pairing::mint(&app, &request, &address).await?)))
}

/// A code that is none, one without its token, an expired one: all the same 404.
pub(super) async fn poll(
    State(app): State<Shared>,
    Path(code): Path<String>,
    headers: HeaderMap,
) -> Result<Json<PollAnswer>, ApiError> {
    let code: CodeText = code.parse().map_err(|_| Error::NotFound)?;
    let token = authorization(&headers, "bearer").ok_or(Error::NotFound)?;
    Ok(Json(pairing::poll(&app, code, &token, preferred_wait(&headers)).await?))
}
