//! Minting and polling codes (WIRE sections 2.1 and 2.2).

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use proto_core::api::{CodeText, MintAnswer, MintRequest, PollAnswer};

use super::{ApiError, Body, authorization, preferred_wait};
use crate::{
    address::ClientAddress,
    app::{App, Shared},
    error::Error,
    pairing,
};

pub(super) async fn mint(
    State(app): State<Shared>,
    ClientAddress(address): ClientAddress,
    Body(request): Body<MintRequest>,
) -> Result<(StatusCode, Json<MintAnswer>), ApiError> {
    Ok((StatusCode::CREATED, Json(pairing::mint(&app, &request, &address).await?)))
}

/// The device gives its code up; a caller without its token learns nothing.
pub(super) async fn cancel(
    State(app): State<Shared>,
    ClientAddress(address): ClientAddress,
    Path(code): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let known = code.parse::<CodeText>().ok().zip(authorization(&headers, "bearer"));
    let done = match known {
        Some((code, token)) => pairing::cancel(&app, code, &token).await,
        None => Err(Error::NotFound),
    };
    count_guesses(&app, &address, done).map(|()| StatusCode::NO_CONTENT)
}

/// Limits how often an address may ask for codes that do not exist (PAIR-12).
fn count_guesses<T>(app: &App, address: &str, result: Result<T, Error>) -> Result<T, ApiError> {
    if matches!(result, Err(Error::NotFound)) {
        app.limits.poll_guesses.act(address, app.clock.now())?;
    }
    Ok(result?)
}

/// A code that is none, one without its token, an expired one: all the same 404.
pub(super) async fn poll(
    State(app): State<Shared>,
    ClientAddress(address): ClientAddress,
    Path(code): Path<String>,
    headers: HeaderMap,
) -> Result<Json<PollAnswer>, ApiError> {
    let known = code.parse::<CodeText>().ok().zip(authorization(&headers, "bearer"));
    let answer = match known {
        Some((code, token)) => pairing::poll(&app, code, &token, preferred_wait(&headers)).await,
        None => Err(Error::NotFound),
    };
    count_guesses(&app, &address, answer).map(Json)
}
