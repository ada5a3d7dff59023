//! A daemon that does just what a test needs, with its relay in one.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use io_tokio::{Socket, accept};
use proto_core::{
    Reason, SessionId,
    api::Workspace,
    crypto::{
        Cipher, PureRust,
        seal::{EpochSecret, Opener, Scope},
    },
    device::control::{Attach, Attached},
    effect::IoEvent,
    secret::Secret,
    wire::{Content, Frame, Head, MAX_FRAME_DEFAULT, Outcome, Record},
};
use tokio::{net::UnixListener, runtime::Runtime};

use super::Home;

/// The session that it always names.
pub(crate) const SESSION: SessionId = SessionId([7; 16]);
const CIPHER: Cipher = Cipher::Aes256Gcm;

/// What the daemon saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) attaches: Vec<Attach>,
    /// Sealed records in order, with their epochs: what a relay would have made durable.
    pub(crate) records: Vec<(u32, Bytes)>,
    pub(crate) ended: Option<Outcome>,
}

/// A daemon with its relay in one, which drops the connection when it has so many records, once for each number.
#[derive(Clone, Default)]
pub(crate) struct FakeDaemon {
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) drops: Arc<Mutex<Vec<usize>>>,
    pub(crate) answer: Answer,
}

/// What becomes of a session that asks.
#[derive(Clone, Copy, Default)]
pub(crate) enum Answer {
    #[default]
    Streams,
    /// It does, and the relay is away: nothing becomes durable.
    StreamsNowhere,
    LocalOnly(Option<Reason>),
}

impl FakeDaemon {
    /// Serves on the socket of `home` as long as the runtime lives.
    pub(crate) fn serve(&self, home: &Home) -> Runtime {
        let runtime = Runtime::new().unwrap();
        let path: PathBuf = home.path().join("vpd.sock");
        let daemon = self.clone();
        let attach = get(move |request: Request| async move { daemon.upgrade(request) });
        let router = Router::new().route("/v1/attach", attach);
        let listener = runtime.block_on(async { UnixListener::bind(path).unwrap() });
        runtime.spawn(async { axum::serve(listener, router).await.unwrap() });
        runtime
    }

    fn upgrade(self, mut request: Request) -> Response {
        let response = io_engine::answer_upgrade(&request).unwrap();
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let stream = TokioIo::new(upgrade.await.unwrap());
            self.attend(accept(stream, Bytes::new(), MAX_FRAME_DEFAULT)).await;
        });
        response.map(|()| Body::empty())
    }

    async fn attend(self, mut socket: Socket<TokioIo<hyper::upgrade::Upgraded>>) {
        while let event = socket.next().await
            && !matches!(event, IoEvent::Closed(..))
        {
            let IoEvent::Received((), message) = event else { continue };
            match serde_json::from_slice::<Attach>(&message) {
                Ok(attach) => {
                    let mut seen = self.seen.lock().unwrap();
                    if matches!(attach, Attach::Start { .. }) {
                        // Another session, although it has the same name.
                        seen.records.clear();
                        seen.ended = None;
                    }
                    seen.attaches.push(attach);
                    drop(seen);
                    socket.send(serde_json::to_vec(&self.attached()).unwrap().into());
                }
                Err(_) => match self.answer(Frame::decode(&message).unwrap()) {
                    Some(frame) => socket.send(frame.encode().into()),
                    None => return,
                },
            }
        }
    }

    fn attached(&self) -> Attached {
        if let Answer::LocalOnly(reason) = self.answer {
            return Attached::LocalOnly { reason };
        }
        let org = Workspace { id: "01J7".parse().unwrap(), slug: "acme".into(), name: "Acme".into() };
        Attached::Streaming { session: SESSION, org, secret: Secret::new([3; 32]), cipher: CIPHER as u8 }
    }

    /// What a relay would say; `None` where the connection is to break.
    fn answer(&self, Frame { head, body }: Frame) -> Option<Frame> {
        let mut seen = self.seen.lock().unwrap();
        let head = match head {
            _ if matches!(self.answer, Answer::StreamsNowhere) => return Some(Head::Ping { nonce: 0 }.into()),
            Head::Open { session, .. } => Head::Resume { session, next: seen.records.len() as u64 },
            Head::Data { session, epoch, sequence } => {
                assert_eq!(sequence, seen.records.len() as u64, "no gap, no duplicate");
                seen.records.push((epoch, body));
                let mut drops = self.drops.lock().unwrap();
                if drops.first().is_some_and(|count| *count == seen.records.len()) {
                    drops.remove(0);
                    return None;
                }
                Head::Acknowledge { session, next: sequence + 1 }
            }
            Head::End { session, next, outcome } => {
                seen.ended = Some(outcome);
                Head::Acknowledge { session, next: next + 1 }
            }
            other => panic!("{other:?}"),
        };
        Some(head.into())
    }

    /// The records, opened.
    pub(crate) fn contents(&self) -> Vec<Content> {
        let scope = Scope { org: "01J7".parse().unwrap(), session: SESSION, cipher: CIPHER };
        let mut opener = Opener::new(&PureRust, scope, 0, EpochSecret::new(Secret::new([3; 32])));
        let seen = self.seen.lock().unwrap();
        let open = |(sequence, (epoch, sealed)): (usize, &(u32, Bytes))| {
            let mut plaintext = Vec::new();
            opener.open(*epoch, sequence as u64, sealed, &mut plaintext).unwrap();
            Record::decode(&plaintext.into()).unwrap().content
        };
        seen.records.iter().enumerate().map(open).collect()
    }
}
