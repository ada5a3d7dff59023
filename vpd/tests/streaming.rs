//! `vpd run` in a bound directory, against a daemon that does just what the test needs: the record is what the terminal
//! showed, and nothing that happens to the daemon reaches the command.

mod program;

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
    effect::Happening,
    secret::Secret,
    wire::{Content, FRAME_MAX_DEFAULT, Frame, Head, Outcome, Record},
};
use tokio::{net::UnixListener, runtime::Runtime};

use program::Home;

const SESSION: SessionId = SessionId([7; 16]);
const CIPHER: Cipher = Cipher::Aes256Gcm;

/// What the daemon saw.
#[derive(Debug, Default)]
struct Seen {
    attaches: Vec<Attach>,
    /// Sealed records in order, with their epochs: what a relay would have made durable.
    records: Vec<(u32, Bytes)>,
    ended: Option<Outcome>,
}

/// A daemon with its relay in one, which drops the connection when it has so many records, once for each number.
#[derive(Clone, Default)]
struct FakeDaemon {
    seen: Arc<Mutex<Seen>>,
    drops: Arc<Mutex<Vec<usize>>>,
    answer: Answer,
}

/// What becomes of a session that asks.
#[derive(Clone, Copy, Default)]
enum Answer {
    #[default]
    Streams,
    LocalOnly(Option<Reason>),
}

impl FakeDaemon {
    /// Serves on the socket of `home` as long as the runtime lives.
    fn serve(&self, home: &Home) -> Runtime {
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
            self.attend(accept(stream, Bytes::new(), FRAME_MAX_DEFAULT)).await;
        });
        response.map(|()| Body::empty())
    }

    async fn attend(self, mut socket: Socket<TokioIo<hyper::upgrade::Upgraded>>) {
        while let happening = socket.next().await
            && !matches!(happening, Happening::Closed(..))
        {
            let Happening::Received((), message) = happening else { continue };
            match serde_json::from_slice::<Attach>(&message) {
                Ok(attach) => {
                    self.seen.lock().unwrap().attaches.push(attach);
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
    fn contents(&self) -> Vec<Content> {
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

fn output_of(contents: &[Content]) -> Vec<u8> {
    let bytes = contents.iter().filter_map(|content| if let Content::Output(bytes) = content { Some(&bytes[..]) } else { None });
    bytes.collect::<Vec<_>>().concat()
}

/// SES-1: title first, then every byte in order, then the exit, then the end.
#[test]
fn the_record_is_what_was_shown() {
    let (home, daemon) = (Home::new(), FakeDaemon::default());
    let _runtime = daemon.serve(&home);
    let end = home.vpd(&["run", "--", "sh", "-c", "seq 1 50000; exit 4"]);
    assert_eq!((end.code, end.stderr.as_str()), (4, ""));
    let contents = daemon.contents();
    assert!(matches!(&contents[0], Content::Title(title) if title.command == "sh -c 'seq 1 50000; exit 4'"), "{:?}", contents[0]);
    assert_eq!(contents.last(), Some(&Content::Exit { status: 4 }));
    assert!(output_of(&contents) == end.stdout.as_bytes());
    assert_eq!(daemon.seen.lock().unwrap().ended, Some(Outcome::Exited));
}

/// SES-1, SES-2 and the design's section 8: the connection breaks again and again, and nothing is lost or doubled.
#[test]
fn a_daemon_that_goes_and_comes_back_loses_nothing() {
    let (home, daemon) = (Home::new(), FakeDaemon::default());
    daemon.drops.lock().unwrap().extend([1, 2, 5, 9]);
    let _runtime = daemon.serve(&home);
    let end = home.vpd(&["run", "--", "sh", "-c", "seq 1 50000"]);
    assert_eq!((end.code, end.stderr.as_str()), (0, ""));
    assert!(output_of(&daemon.contents()) == end.stdout.as_bytes());
    let seen = daemon.seen.lock().unwrap();
    assert!(matches!(seen.attaches[0], Attach::Start { .. }));
    assert_eq!(seen.attaches[1..], [(); 4].map(|()| Attach::Again { session: SESSION }));
}

/// S94: not bound means local only, without a word; where there is a reason, it is said once.
#[test]
fn what_does_not_stream_runs_all_the_same() {
    for (reason, said) in [(None, ""), (Some(Reason::GrantMissing), "grant_missing")] {
        let home = Home::new();
        let daemon = FakeDaemon { answer: Answer::LocalOnly(reason), ..FakeDaemon::default() };
        let _runtime = daemon.serve(&home);
        let end = home.vpd(&["run", "--", "echo", "hello"]);
        assert_eq!((end.code, end.stdout.as_str()), (0, "hello\n"));
        assert_eq!(end.stderr.is_empty(), said.is_empty());
        assert!(end.stderr.contains(said), "{}", end.stderr);
        assert!(daemon.seen.lock().unwrap().records.is_empty());
    }
}
