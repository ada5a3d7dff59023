//! Answers that say what is wrong.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use proto_core::api::Problem;

/// A problem document (RFC 9457).
pub(crate) fn problem(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}
