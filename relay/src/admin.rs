//! What operators and their tools ask: liveness, recent events, current state.

mod metrics;

use std::{fmt::Write as _, sync::atomic::Ordering, time::Duration};

use axum::{
    extract::{Query, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use viewport_server::http::{authorization, plain_problem};

use crate::shared::{AppState, SOFTWARE};

/// `GET /health`: 200 while the process answers.
pub(crate) async fn health() -> &'static str {
    SOFTWARE
}

/// `GET /ready`: 200 when devices can be let in and their records kept, 503 and why when not.
pub(crate) async fn ready(State(door): State<AppState>) -> Response {
    let mut missing = Vec::new();
    if !door.shared.keys.are_held() {
        missing.push("no key set: RELAY_JWKS_URL cannot be reached\n");
    }
    if !door.shared.store_works.load(Ordering::Relaxed) {
        missing.push("records cannot be written: RELAY_DATA_DIR\n");
    }
    if !door.shared.store_reads.load(Ordering::Relaxed) {
        missing.push("records cannot be read: RELAY_DATA_DIR is damaged, see the log\n");
    }
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = if missing.is_empty() { "ready\n".to_owned() } else { missing.concat() };
    (status, body).into_response()
}

/// Lets callers through that know `RELAY_ADMIN_TOKEN` (S172, S220).
pub(crate) async fn guard(State(door): State<AppState>, request: Request, next: Next) -> Response {
    let Some(expected) = &door.shared.config.admin_token else {
        return plain_problem(StatusCode::NOT_FOUND, "disabled: RELAY_ADMIN_TOKEN is not set").into_response();
    };
    let given = authorization(request.headers(), "bearer").unwrap_or_default();
    if given.as_bytes().ct_eq(expected.expose().as_bytes()).into() {
        next.run(request).await
    } else {
        plain_problem(StatusCode::UNAUTHORIZED, "Authorization: Bearer RELAY_ADMIN_TOKEN is needed").into_response()
    }
}

/// What of the log is wanted.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    /// Unix seconds, an RFC 3339 stamp, or how long ago: `10m`, `2h`.
    since: Option<String>,
    /// With `1`, how often each reason occurred.
    summary: Option<String>,
}

/// `GET /logs?since=&summary=1`: what the relay remembers, a line each, oldest first (S171).
pub(crate) async fn logs(State(door): State<AppState>, Query(wanted): Query<Wanted>) -> Response {
    let Some(since) = since(wanted.since.as_deref().unwrap_or_default()) else {
        return plain_problem(StatusCode::BAD_REQUEST, "since: unix seconds, an RFC 3339 stamp, or 10m, 2h").into_response();
    };
    let event_log = &door.shared.event_log;
    let summary = matches!(wanted.summary.as_deref(), Some("1" | "true"));
    if summary { event_log.summary(since) } else { event_log.lines(since) }.into_response()
}

fn since(text: &str) -> Option<Timestamp> {
    if text.is_empty() {
        return Some(Timestamp::UNIX_EPOCH);
    }
    if let Ok(seconds) = text.parse() {
        return Timestamp::from_second(seconds).ok();
    }
    let ago = humantime::parse_duration(text).ok().and_then(|ago: Duration| ago.try_into().ok());
    ago.and_then(|ago: jiff::SignedDuration| Timestamp::now().checked_sub(ago).ok()).or_else(|| text.parse().ok())
}

/// `GET /state`: every org with what it has here.
pub(crate) async fn state(State(door): State<AppState>) -> Response {
    let Some(report) = door.shared.hub.report().await else {
        return plain_problem(StatusCode::SERVICE_UNAVAILABLE, "the relay is shutting down").into_response();
    };
    let mut text = format!(
        "{SOFTWARE}\nconnections {}\nunstored_bytes {}\n\n{:<30} {:>8} {:>8} {:>9} {:>8}\n",
        door.shared.connections(),
        report.unstored,
        "organization",
        "daemons",
        "viewers",
        "sessions",
        "running",
    );
    for org in &report.orgs {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<30} {:>8} {:>8} {:>9} {:>8}",
            org.org.as_str(),
            org.daemons,
            org.viewers,
            org.sessions,
            org.running
        );
    }
    text.into_response()
}

/// `GET /metrics`: in the text format of Prometheus.
pub(crate) async fn metrics(State(door): State<AppState>) -> Response {
    let Some(report) = door.shared.hub.report().await else {
        return plain_problem(StatusCode::SERVICE_UNAVAILABLE, "the relay is shutting down").into_response();
    };
    let text = metrics::text(&door.shared, &report);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_moment_or_an_age() {
        assert_eq!(since(""), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(since("1700000000"), Timestamp::from_second(1_700_000_000).ok());
        assert_eq!(since("2026-11-21T03:00:00Z"), "2026-11-21T03:00:00Z".parse().ok());
        let ten_minutes = jiff::SignedDuration::from_mins(10);
        let (before, then, after) = (Timestamp::now(), since("10m").unwrap(), Timestamp::now());
        assert!(before - ten_minutes <= then && then <= after - ten_minutes);
        assert_eq!(since("yesterday"), None);
    }
}
