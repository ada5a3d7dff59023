//! Errors as pages.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::html;

use super::layout;
use crate::error::Error;

/// An [`Error`] as people see it.
#[derive(Debug)]
pub(crate) struct PageError(pub(crate) Error);

impl<E: Into<Error>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl PageError {
    fn explanation(&self) -> (&'static str, String) {
        match &self.0 {
            Error::NotFound | Error::WrongMethod => {
                ("Not found", "There is no such page, or your account has no access to it.".into())
            }
            Error::Forbidden(why) | Error::Conflict(why) => ("That is not possible", (*why).into()),
            Error::Invalid(why) => ("That is not possible", why.clone()),
            Error::Refused { reason, .. } => ("That is not possible", reason.summary().into()),
            Error::Limited(seconds) => ("Too many tries", format!("Try again in {}.", layout::duration(*seconds))),
            Error::Unavailable(why) => ("Not now", (*why).into()),
            Error::Database(_) | Error::Random(_) | Error::Internal(_) => {
                ("Something went wrong", "The server could not do that. Try again in a moment.".into())
            }
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        self.0.log();
        let (title, text) = self.explanation();
        let body = html! {
            h1 { (title) }
            p.lead { (text) }
            p { a href="/" { "Go to your workspace" } }
        };
        let mut response = (self.0.status(), layout::bare(title, &body)).into_response();
        if let (StatusCode::TOO_MANY_REQUESTS, Error::Limited(seconds)) = (self.0.status(), &self.0) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
        }
        response
    }
}
