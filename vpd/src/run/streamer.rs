//! What surrounds a session's machine: content in, frames to and from the daemon, for as long as it takes.
//!
//! It outlives every daemon: when one goes away, it waits for the next and goes on where that says. What the relay does not take in
//! time the daemon keeps on the disk (D17), so only a daemon that is not there, or a disk that is full, can fill the buffer: when
//! nothing was taken for [`STALL`] then, the stream is ended, so that the command can go on.

use std::{
    future::{pending, ready},
    pin::Pin,
    time::Duration,
};

use io_tokio::{Clock, DriverLoop, MachineIo, Next, Perform, drive};
use proto_core::{
    Machine as _, Misuse, Reason, SessionId, Status,
    crypto::{
        Cipher, Primitives,
        seal::{EpochSecret, Scope},
    },
    device::session::{Input, Output, Session},
    machine::backoff::Backoff,
    wire::{Content, Outcome},
};
use tokio::{
    sync::{mpsc, watch},
    time,
};

use super::attachment::Attachment;
use crate::{
    client::Client,
    control::{Attach, Attached},
};

/// How long a command is held up while neither relay nor disk take anything.
const STALL: Duration = Duration::from_secs(2);
/// The waits before the daemon's socket is tried again.
const AGAIN: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_millis(500) };

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// All of it is durable: at the relay, or on this machine until the relay takes it.
    Delivered,
    /// All of it up to the point where nothing was taken for too long.
    Stalled,
    /// It was cut.
    Cut(Reason),
}

/// One session's stream.
pub(super) struct Streamer {
    clock: Clock,
    turns: DriverLoop,
    session: Session,
    ends: Ends,
}

/// What surrounds a session's machine: content on one end, the way to the daemon on the other.
struct Ends {
    client: Client,
    id: SessionId,
    way: OutputPipe,
    source: Source,
    /// How many bytes are not durable yet.
    pending_bytes: watch::Sender<usize>,
    /// Why it was cut, if the daemon that was found does not go on with it.
    cut: Option<Reason>,
}

/// The way to the daemon.
enum OutputPipe {
    Open(Box<Attachment>),
    /// The next one is being looked for.
    Lost(Search),
}

type Search = Pin<Box<dyn Future<Output = Result<Attachment, Reason>> + Send>>;

/// What came along the way.
enum Along {
    Frame(proto_core::wire::Frame),
    Lost,
    StoredState(Box<Attachment>),
    Over(Reason),
}

/// Where content comes from.
enum Source {
    Recorder(mpsc::Receiver<Content>),
    /// The stream stalled; what still comes is dropped.
    LetGo(mpsc::Receiver<Content>),
    /// The command ended.
    Dry {
        stalled: bool,
    },
}

impl Streamer {
    /// A stream over an attachment on which the daemon agreed to it; `None` if it named a cipher that this version does not know.
    /// `pending_bytes` always shows how many bytes are not durable yet.
    pub(super) fn new(
        client: Client,
        primitives: &'static dyn Primitives,
        attachment: Attachment,
        attached: Attached,
        content: mpsc::Receiver<Content>,
        pending_bytes: watch::Sender<usize>,
    ) -> Option<Self> {
        let Attached::Streaming { session: id, org, secret, cipher } = attached else { return None };
        let clock = Clock::start();
        let wall = clock.wall();
        let scope = Scope { org: org.id, session: id, cipher: Cipher::from_byte(cipher)? };
        let session = Session::new(primitives, scope, EpochSecret::new(secret), wall.at());
        // The way that is open already is found at once.
        let way = OutputPipe::Lost(Box::pin(ready(Ok(attachment))));
        let ends = Ends { client, id, way, source: Source::Recorder(content), pending_bytes, cut: None };
        Some(Self { clock, turns: DriverLoop::new(wall), session, ends })
    }

    /// Streams until all is delivered or the stream is cut.
    pub(super) async fn stream(mut self) -> Ending {
        drive(&mut self.session, &mut self.turns, &mut self.clock, &mut self.ends).await;
        match (self.session.status(), self.ends.cut) {
            (Status::Failed(reason), _) => Ending::Cut(*reason),
            (Status::Running { .. }, reason) => Ending::Cut(reason.unwrap_or(Reason::SessionCut)),
            (Status::Finished, _) => self.ends.delivered(),
        }
    }
}

impl MachineIo<Session> for Ends {
    async fn inputs(&mut self, session: &Session, inputs: &mut Vec<Input>) -> Next {
        let has_room = session.has_room();
        let is_held_up = !has_room && matches!(self.source, Source::Recorder(_));
        inputs.push(tokio::select! {
            content = self.source.next(has_room) => self.take(content),
            () = time::sleep(STALL), if is_held_up => self.let_go(),
            along = self.way.next() => match along {
                Along::Frame(frame) => Input::Frame(frame),
                Along::Lost => self.look_again(),
                Along::StoredState(attachment) => {
                    self.way = OutputPipe::Open(attachment);
                    Input::Attached
                }
                Along::Over(reason) => {
                    self.cut = Some(reason);
                    return Next::Stop;
                }
            },
        });
        Next::GoOn
    }

    async fn flush(&mut self, session: &Session) {
        self.pending_bytes.send_replace(session.pending_bytes());
    }
}

impl Perform<Session> for Ends {
    fn perform(&mut self, output: Output) {
        let Output::Send(frame) = output;
        if let OutputPipe::Open(attachment) = &mut self.way {
            attachment.send(&frame);
        }
    }

    /// Content is offered only while there is room; nothing else can be refused.
    fn refused(&mut self, misuse: Misuse) {
        tracing::error!(%misuse, "the session did not take an input");
    }
}

impl Ends {
    fn take(&mut self, content: Option<Content>) -> Input {
        let Some(content) = content else {
            let stalled = matches!(self.source, Source::LetGo(_));
            self.source = Source::Dry { stalled };
            return Input::End(Outcome::Exited);
        };
        Input::Push(content)
    }

    /// Ends the stream where it is; the terminal goes on without it.
    fn let_go(&mut self) -> Input {
        let source = std::mem::replace(&mut self.source, Source::Dry { stalled: true });
        if let Source::Recorder(content) = source {
            self.source = Source::LetGo(content);
        }
        Input::End(Outcome::Cut)
    }

    fn look_again(&mut self) -> Input {
        self.way = OutputPipe::Lost(Box::pin(find(self.client.clone(), self.id)));
        Input::Detached
    }

    const fn delivered(&self) -> Ending {
        match self.source {
            Source::LetGo(_) | Source::Dry { stalled: true } => Ending::Stalled,
            Source::Recorder(_) | Source::Dry { stalled: false } => Ending::Delivered,
        }
    }
}

impl Source {
    /// The next content for the session, `None` at the end.
    async fn next(&mut self, has_room: bool) -> Option<Content> {
        match self {
            Self::Recorder(content) if has_room => content.recv().await,
            Self::LetGo(content) => {
                while content.recv().await.is_some() {}
                None
            }
            Self::Recorder(_) | Self::Dry { .. } => pending().await,
        }
    }
}

impl OutputPipe {
    async fn next(&mut self) -> Along {
        match self {
            Self::Open(attachment) => attachment.next().await.map_or(Along::Lost, Along::Frame),
            Self::Lost(search) => match search.await {
                Ok(attachment) => Along::StoredState(Box::new(attachment)),
                Err(reason) => Along::Over(reason),
            },
        }
    }
}

/// Looks for the daemon until there is one that goes on with the session.
///
/// # Errors
/// Why it does not.
async fn find(client: Client, session: SessionId) -> Result<Attachment, Reason> {
    for attempt in 1.. {
        match Attachment::ask(&client, &Attach::Again { session }).await {
            Ok((attachment, Attached::Streaming { .. })) => return Ok(attachment),
            Ok((_, Attached::LocalOnly { reason })) => return Err(reason.unwrap_or(Reason::SessionCut)),
            Err(_) => time::sleep(AGAIN.ceiling(attempt)).await,
        }
    }
    pending().await
}
