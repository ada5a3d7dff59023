//! The control socket: HTTP and JSON to questions for the daemon's loop. The table of requests is in [`crate::control`].

use std::{convert::Infallible, path::PathBuf};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use proto_core::{
    Reason,
    api::Problem,
    device::control::{BindRequest, PairEvent, PairRequest, UnbindRequest, UnpairRequest},
    reason::Family,
};
use serde::Serialize;
use tokio::{
    fs,
    sync::{mpsc, oneshot},
};

use super::{
    attach,
    question::{Question, Questions, Reply},
};

/// All of the local interface.
pub(super) fn router(questions: Questions) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/pair", post(pair).delete(cancel_pairing))
        .route("/v1/unpair", post(unpair))
        .route("/v1/bind", post(bind))
        .route("/v1/unbind", post(unbind))
        .route("/v1/reconnect", post(reconnect))
        .route("/v1/stop", post(stop))
        .route("/v1/attach", get(attach::upgrade))
        .with_state(questions)
}

/// A reason as a problem document.
#[derive(Debug)]
pub(super) struct Refusal(Reason);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.0.family() {
            Family::Request => StatusCode::CONFLICT,
            Family::Network => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let problem = Problem::because(status.as_u16(), self.0);
        (status, [(header::CONTENT_TYPE, Problem::MEDIA_TYPE)], Json(problem)).into_response()
    }
}

async fn status(State(questions): State<Questions>) -> Response {
    let (reply, answer) = oneshot::channel();
    let _ = questions.send(Question::Status(reply)).await;
    match answer.await {
        Ok(report) => Json(report).into_response(),
        Err(_) => Refusal(Reason::DaemonNotRunning).into_response(),
    }
}

/// Answers with one line of JSON per event, until the pairing has ended.
async fn pair(State(questions): State<Questions>, Json(request): Json<PairRequest>) -> Response {
    let (events, received) = mpsc::unbounded_channel();
    if let Err(refusal) = ask(&questions, |reply| Question::Pair(request, events, reply)).await {
        return refusal.into_response();
    }
    let lines =
        stream::unfold(received, async |mut received| Some((Ok::<_, Infallible>(line(&received.recv().await?)), received)));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

fn line(event: &PairEvent) -> Bytes {
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

async fn cancel_pairing(State(questions): State<Questions>) -> Result<StatusCode, Refusal> {
    ask(&questions, Question::CancelPairing).await.map(|()| StatusCode::NO_CONTENT)
}

async fn unpair(State(questions): State<Questions>, Json(request): Json<UnpairRequest>) -> Response {
    answer(ask(&questions, |reply| Question::Unpair(request, reply)).await)
}

async fn bind(State(questions): State<Questions>, Json(request): Json<BindRequest>) -> Response {
    match existing(&request.directory).await {
        Ok(directory) => answer(ask(&questions, |reply| Question::Bind(directory, request, reply)).await),
        Err(refusal) => refusal.into_response(),
    }
}

async fn unbind(State(questions): State<Questions>, Json(request): Json<UnbindRequest>) -> Response {
    // One that was removed can still be taken back, under the name it was bound with.
    let directory = existing(&request.directory).await.unwrap_or_else(|_| request.directory.into());
    answer(ask(&questions, |reply| Question::Unbind(directory, reply)).await)
}

async fn reconnect(State(questions): State<Questions>) -> Result<StatusCode, Refusal> {
    ask(&questions, Question::Reconnect).await.map(|()| StatusCode::NO_CONTENT)
}

async fn stop(State(questions): State<Questions>) -> StatusCode {
    let _ = questions.send(Question::Stop).await;
    StatusCode::NO_CONTENT
}

/// The canonical path of a directory that is there.
async fn existing(directory: &str) -> Result<PathBuf, Refusal> {
    let missing = |_| Refusal(Reason::DirectoryMissing);
    let path = fs::canonicalize(directory).await.map_err(missing)?;
    let metadata = fs::metadata(&path).await.map_err(missing)?;
    metadata.is_dir().then_some(path).ok_or(Refusal(Reason::DirectoryMissing))
}

async fn ask<T>(questions: &Questions, question: impl FnOnce(Reply<T>) -> Question) -> Result<T, Refusal> {
    let (reply, answer) = oneshot::channel();
    let _ = questions.send(question(reply)).await;
    // A loop that has ended drops the questions.
    answer.await.unwrap_or(Err(Reason::DaemonNotRunning)).map_err(Refusal)
}

fn answer<T: Serialize>(result: Result<T, Refusal>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}
