//! One process that makes records: its WebSocket on the control socket. The first message each way is JSON, all others are
//! frames.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use io_engine::answer_upgrade;
use io_tokio::{Socket, accept};
use proto_core::{
    device::control::Attach,
    effect::{Close, IoEvent},
    wire::{Frame, MAX_FRAME_DEFAULT},
};
use tokio::sync::{mpsc, oneshot};

use super::question::{MAX_QUEUED_MESSAGES, Question, Questions, ToSource};

type Wire = Socket<TokioIo<Upgraded>>;

/// Messages that wait for the socket at most.
const MAX_UNSENT: u32 = 64;

/// `GET /v1/attach`.
pub(super) async fn upgrade(State(questions): State<Questions>, mut request: Request) -> Response {
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else { return StatusCode::BAD_REQUEST.into_response() };
    match answer_upgrade(&request) {
        Ok(answer) => {
            tokio::spawn(async move {
                if let Ok(stream) = upgrade.await {
                    let socket = accept(TokioIo::new(stream), Bytes::new(), MAX_FRAME_DEFAULT);
                    serve(socket, &questions).await;
                }
            });
            answer
        }
        Err(refused) => (StatusCode::BAD_REQUEST, refused.to_string()).into_response(),
    }
}

async fn serve(mut socket: Wire, questions: &Questions) {
    let Some(attach) = first_message(&mut socket).await else { return };
    let (to_source, told) = mpsc::channel(MAX_QUEUED_MESSAGES);
    let (number, numbered) = oneshot::channel();
    let _ = questions.send(Question::Attach(attach, to_source, number)).await;
    let Ok(source) = numbered.await else { return };
    carry(&mut socket, source, told, questions).await;
    let _ = questions.send(Question::Detach(source)).await;
}

/// Carries frames both ways until one side ends. Nothing is read while the daemon is behind, and nothing is taken for a process
/// that does not read.
async fn carry(socket: &mut Wire, source: u64, mut told: mpsc::Receiver<ToSource>, questions: &Questions) {
    let mut unsent: u32 = 0;
    loop {
        tokio::select! {
            event = socket.next() => match event {
                IoEvent::Received((), message) => match Frame::decode(&message) {
                    Ok(frame) => drop(questions.send(Question::Frame(source, frame)).await),
                    Err(_) => return,
                },
                IoEvent::Sent((), messages) => unsent = unsent.saturating_sub(messages),
                IoEvent::Closed(..) => return,
                _ => {}
            },
            word = told.recv(), if unsent < MAX_UNSENT => match word {
                Some(word) => {
                    unsent += 1;
                    socket.send(encode(word));
                }
                None => return socket.close(Close::Normal),
            },
        }
    }
}

fn encode(word: ToSource) -> Bytes {
    match word {
        ToSource::Attached(attached) => serde_json::to_vec(&attached).unwrap_or_default().into(),
        ToSource::Frame(frame) => frame.encode().into(),
    }
}

async fn first_message(socket: &mut Wire) -> Option<Attach> {
    loop {
        match socket.next().await {
            IoEvent::Received((), message) => return serde_json::from_slice(&message).ok(),
            IoEvent::Closed(..) => return None,
            _ => {}
        }
    }
}
