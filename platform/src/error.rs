//! Why a request failed. The API reports it as a problem document, the pages as a page.

use axum::http::StatusCode;
use proto_core::Reason;

/// Why the platform did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The operating system gave no random bytes.
    #[error("randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// An internal invariant is violated; the text says what.
    #[error("internal: {0}")]
    Internal(String),
    /// There is no such thing, or it is none of the asker's business.
    #[error("not found")]
    NotFound,
    /// There is such a thing, but not to do that with.
    #[error("method not allowed")]
    WrongMethod,
    /// The account may not do that.
    #[error("{0}")]
    Forbidden(&'static str),
    /// What was sent is not acceptable; the text is for the person who sent it.
    #[error("{0}")]
    Invalid(String),
    /// It is too late for that; the text says why.
    #[error("{0}")]
    Conflict(&'static str),
    /// Too often; again in this many seconds.
    #[error("too many requests")]
    Limited(u64),
    /// Temporarily unavailable; the text is for the server's operator.
    #[error("{0}")]
    Unavailable(&'static str),
    /// Refused for a reason of the catalogue.
    #[error("{reason}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// Why.
        reason: Reason,
    },
}

impl Error {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    pub(crate) const fn refused(status: StatusCode, reason: Reason) -> Self {
        Self::Refused { status, reason }
    }

    /// The HTTP status of the answer.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Database(_) | Self::Random(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused { status, .. } => *status,
        }
    }

    /// Faults of ours go to the log in full; the caller learns only that there was one.
    pub(crate) fn log(&self) {
        if self.status().is_server_error() {
            tracing::error!(error = %self, "request failed");
        }
    }
}
