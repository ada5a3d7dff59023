//! Errors over HTTP: RFC 9457 `application/problem+json` with our reason code.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::{
    Reason,
    effect::{HttpAnswer, NetFault},
};

/// The body of every answer of 400 and above.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status again.
    pub status: u16,
    /// What happened, for people.
    pub title: String,
    /// Why, for programs; absent for plain HTTP errors such as a wrong path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What exactly was wrong in this case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Problem {
    /// What such a body is, as `Content-Type` says it (RFC 9457 section 3).
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// The problem of `reason`, answered with `status`.
    pub fn because(status: u16, reason: Reason) -> Self {
        Self { status, title: reason.summary().into(), reason: Some(reason), detail: None }
    }
}

/// Why an answer that is not the one hoped for is not: the problem's reason where there is one.
pub fn refusal(answer: &HttpAnswer) -> Reason {
    let problem = serde_json::from_slice::<Problem>(answer.body.expose()).ok();
    match (answer.status, problem.and_then(|problem| problem.reason)) {
        (500.., _) => Reason::PlatformUnreachable,
        (400.., Some(reason)) => reason,
        (429, None) => Reason::RateLimited,
        _ => Reason::PlatformAnswerInvalid,
    }
}

/// Why there was no answer of the platform.
pub const fn unanswered(fault: NetFault) -> Reason {
    match fault {
        NetFault::NotUnderstood | NetFault::TooLarge => Reason::PlatformAnswerInvalid,
        _ => Reason::PlatformUnreachable,
    }
}
