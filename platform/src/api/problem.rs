//! Errors as problem documents (RFC 9457).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use proto_core::api::Problem;
use viewport_server::http::problem;

use crate::error::Error;

/// When to ask again where the platform cannot answer now, in seconds.
const RETRY_UNAVAILABLE: u64 = 60;

/// An [`Error`] as devices and relays receive it.
#[derive(Debug)]
pub(crate) struct ApiError(pub(crate) Error);

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl ApiError {
    fn problem(&self) -> Problem {
        let status = self.0.status();
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        let plain = Problem { status: status.as_u16(), title, reason: None, detail: None };
        match &self.0 {
            Error::Refused { reason, .. } => Problem::because(status.as_u16(), *reason),
            Error::Invalid(detail) => Problem { detail: Some(detail.clone()), ..plain },
            Error::Forbidden(detail) | Error::Conflict(detail) | Error::Unavailable(detail) => {
                Problem { detail: Some((*detail).to_owned()), ..plain }
            }
            Error::Limited(_)
            | Error::NotFound
            | Error::WrongMethod
            | Error::Database(_)
            | Error::Random(_)
            | Error::Internal(_) => plain,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.0.log();
        let status = self.0.status();
        let mut response = problem(&self.problem()).into_response();
        let headers = response.headers_mut();
        match self.0 {
            Error::Limited(seconds) => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds))),
            Error::Unavailable(_) => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_UNAVAILABLE))),
            _ => {}
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer, DPoP algs=\"EdDSA\""));
        }
        response
    }
}
