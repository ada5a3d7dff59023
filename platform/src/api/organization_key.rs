//! The organization's key (WIRE section 12.1): for devices, each with its credential and the proof of its own key.

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
};
use proto_core::{
    Reason,
    api::{
        Handover, KEY_DEVICE_PATH, KEY_HANDOVERS_PATH, KEY_STATEMENTS_PATH, KeyView, ORGANIZATION_KEY_PATH, Publication,
        Registration,
    },
    jose::Claims,
    secret::SecretText,
};
use serde::Deserialize;

use super::{ApiError, Body, authorization};
use crate::{
    app::{App, Shared},
    credentials::{self, Presented},
    error::Error,
    organization_key,
};

#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u32,
    #[serde(default)]
    machines: bool,
}

pub(super) async fn view(
    State(app): State<Shared>,
    headers: HeaderMap,
    Query(After { after, machines }): Query<After>,
) -> Result<Json<KeyView>, ApiError> {
    let device = device(&app, &headers, "GET", ORGANIZATION_KEY_PATH).await?;
    Ok(Json(organization_key::view(&app, &device, after, machines).await?))
}

pub(super) async fn register(
    State(app): State<Shared>,
    headers: HeaderMap,
    Body(registration): Body<Registration>,
) -> Result<StatusCode, ApiError> {
    let device = device(&app, &headers, "POST", KEY_DEVICE_PATH).await?;
    organization_key::register(&app, &device, &registration).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn publish(
    State(app): State<Shared>,
    headers: HeaderMap,
    Body(publication): Body<Publication>,
) -> Result<StatusCode, ApiError> {
    let device = device(&app, &headers, "POST", KEY_STATEMENTS_PATH).await?;
    organization_key::publish(&app, &device, &publication).await?;
    Ok(StatusCode::CREATED)
}

pub(super) async fn hand_over(
    State(app): State<Shared>,
    headers: HeaderMap,
    Body(handover): Body<Handover>,
) -> Result<StatusCode, ApiError> {
    let device = device(&app, &headers, "POST", KEY_HANDOVERS_PATH).await?;
    organization_key::hand_over(&app, &device, &handover).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn device(app: &App, headers: &HeaderMap, method: &'static str, path: &str) -> Result<Claims, Error> {
    let missing = || Error::refused(StatusCode::UNAUTHORIZED, Reason::TokenMalformed);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let presented = Presented {
        token: authorization(headers, "dpop").ok_or_else(missing)?,
        proof: text(header::HeaderName::from_static("dpop")).map(SecretText::new).ok_or_else(missing)?,
        method,
        urls: credentials::urls_of(app, path, text(header::HOST)),
    };
    credentials::authenticate(app, &presented).await
}
