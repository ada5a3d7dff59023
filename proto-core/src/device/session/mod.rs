//! One streamed session, where its bytes are made: numbers, seals, keeps and sends its records until they are durable.
//!
//! It runs in the process that owns the terminal (`vpd run`), so a daemon that restarts, updates or crashes loses nothing: the one
//! copy that counts is here until the relay acknowledged it. Which organization it streams to was decided by the daemon, once,
//! before this machine was made (S112, S113): it knows one org and never learns of another.
//!
//! ```text
//!                     Attached                 Resume{next}
//!        ┌──────────┐ ───────► ┌─────────┐ ────────────────► ┌─────────┐ ◄─┐ Acknowledge, Resume:
//!   ───► │ Detached │   Open   │ Opening │   Data, Data, …   │ Flowing │ ──┘ forget, rewind, send on
//!        └──────────┘ ◄─────── └─────────┘                   └─────────┘
//!              ▲        Detached                                  │
//!              └──────────────────────────────────────────────────┤ Detached
//!                                                                 │
//!        any ── Revoke ──► Failed(reason)       ended and all acknowledged ──► Finished
//! ```
//!
//! To the daemon, the body of `Open` says the first record that is still here (8 bytes big-endian): where a
//! [spool](super::spool) can begin. What the spool has made durable is acknowledged as what the relay has.
//!
//! Driver: push content as it comes while [`Session::has_room`]; hand frames from the daemon in; send what comes out. There
//! is no deadline: everything this machine waits for comes from outside.

mod event;
mod retained;
mod state;
#[cfg(test)]
mod tests;

use core::convert::Infallible;

use bytes::Bytes;

pub use event::{Input, Output};
use retained::Retained;
pub use state::Stats;
use state::{Path, State, Stream};

use crate::{
    BufferPool, Deadline, Instant, Machine, MachineBase, Misuse, Reason, SessionId, Status, Unhashed,
    crypto::{
        Cipher, Primitives, TAG_LEN,
        seal::{EpochSecret, Scope, Sealer},
    },
    wire::{Content, Frame, Head, MAX_RECORD_CONTENT, Outcome, Record},
};

/// The most sealed bytes kept for the relay; from there on [`Session::has_room`] says no, and the terminal is slowed down
/// rather than anything dropped (SES-3).
pub const MAX_RETAINED: usize = 64 * 1024 * 1024;

/// The most sealed bytes on their way, sent and not acknowledged.
pub const MAX_IN_FLIGHT: usize = 4 * 1024 * 1024;

/// The machine. See the [module page](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    id: SessionId,
    cipher: Cipher,
    started: Instant,
    sealer: Sealer,
    state: State,
    retained: Retained,
    /// Records that were forgotten.
    buffers: BufferPool,
    port: MachineBase<Output>,
    stats: Unhashed<Stats>,
}

impl Session {
    /// A session that starts at `now`, pinned to `scope`, its records sealed from epoch 0's `secret` on.
    pub fn new(primitives: &'static dyn Primitives, scope: Scope, secret: EpochSecret, now: Instant) -> Self {
        Self {
            id: scope.session,
            cipher: scope.cipher,
            started: now,
            sealer: Sealer::new(primitives, scope, 0, secret, 0),
            state: State::Live { path: Path::Detached, stream: Stream::Open },
            retained: Retained::default(),
            buffers: BufferPool::default(),
            port: MachineBase::new(now),
            stats: Unhashed(Stats::default()),
        }
    }

    /// Whether [`Input::Push`] is taken at the moment. When not, wait for the relay: read nothing more from the terminal.
    pub fn has_room(&self) -> bool {
        self.retained.bytes() < MAX_RETAINED
    }

    /// Sealed bytes that are not durable at the relay yet.
    pub fn pending_bytes(&self) -> usize {
        self.retained.bytes()
    }

    /// What was ignored so far, and why.
    pub const fn stats(&self) -> &Stats {
        &self.stats.0
    }

    const fn is_open(&self) -> bool {
        matches!(self.state, State::Live { stream: Stream::Open, .. })
    }

    const fn has_ended(&self) -> bool {
        !matches!(self.state, State::Live { .. })
    }

    fn push(&mut self, content: Content) {
        let State::Live { path, stream: stream @ Stream::Open } = self.state else {
            self.stats.0.pushed_after_end += 1;
            return;
        };
        if pieces(content).all(|piece| self.retain(piece)) {
            self.send_on(path, stream);
        } else {
            self.fail(Reason::SessionTooLong);
        }
    }

    /// Seals one record and keeps it. False when no record can be sealed any more, after 2^32 epochs.
    fn retain(&mut self, content: Content) -> bool {
        let record = Record { at: self.port.now().since(self.started), content };
        let mut room = [0; _];
        let (start, content) = record.parts(&mut room);
        let len = start.len().saturating_add(content.len());
        if self.sealer.is_spent(len) {
            // Where no epoch follows the record is refused below.
            let _ = self.sealer.advance();
        }
        let mut sealed = self.buffers.buffer(len.saturating_add(TAG_LEN));
        let done = self.sealer.seal_to(self.retained.next(), [&start, content], &mut sealed);
        done.map(|()| self.retained.push(self.sealer.epoch(), sealed.freeze())).is_ok()
    }

    fn attached(&mut self) {
        if let State::Live { path, .. } = &mut self.state {
            *path = Path::Opening;
            let head = Head::Open { session: self.id, cipher: self.cipher as u8 };
            let body = Bytes::copy_from_slice(&self.retained.first().to_be_bytes());
            self.port.push(Output::Send(Frame { head, body }));
        }
    }

    fn detached(&mut self) {
        if let State::Live { path, .. } = &mut self.state {
            *path = Path::Detached;
            self.buffers = BufferPool::default();
        }
    }

    fn frame(&mut self, frame: &Frame) {
        match (&self.state, &frame.head) {
            (State::Live { stream, .. }, Head::Resume { session, next }) if *session == self.id => self.resume(*stream, *next),
            (State::Live { .. }, Head::Acknowledge { session, next }) if *session == self.id => self.acknowledged(*next),
            (State::Live { .. }, Head::Revoke { reason }) => self.fail(*reason),
            _ => self.stats.0.unexpected_frames += 1,
        }
    }

    fn resume(&mut self, stream: Stream, next: u64) {
        if self.is_whole(next) {
            self.state = State::Finished;
        } else if self.retained.reaches(next) {
            // Nothing is forgotten: what the relay has received need not be durable there.
            self.send_on(Path::Flowing { cursor: next, end_sent: false }, stream);
        } else {
            // The relay wants records that are durable already and gone here, or that never were: it lost its store.
            self.fail(Reason::RecordsLost);
        }
    }

    fn acknowledged(&mut self, next: u64) {
        let State::Live { path: path @ Path::Flowing { cursor, end_sent }, stream } = self.state else {
            self.stats.0.stale_acknowledgements += 1;
            return;
        };
        if end_sent && self.is_whole(next) {
            self.state = State::Finished;
        } else if next > cursor {
            self.fail(Reason::FrameMalformed);
        } else if self.retained.acknowledge(next, &mut self.buffers) {
            self.send_on(path, stream);
        } else {
            self.stats.0.stale_acknowledgements += 1;
        }
    }

    /// Whether `next` says that all records and the end are durable: the end counts as one more record.
    fn is_whole(&self, next: u64) -> bool {
        matches!(self.state, State::Live { stream: Stream::Ended(_), .. }) && next == self.retained.next().saturating_add(1)
    }

    fn end(&mut self, outcome: Outcome) {
        if let State::Live { path, stream: Stream::Open } = self.state {
            self.send_on(path, Stream::Ended(outcome));
        }
    }

    /// Goes on on this path: sends what the window allows, from the cursor on, and the end once all records are through.
    fn send_on(&mut self, path: Path, stream: Stream) {
        let Path::Flowing { mut cursor, mut end_sent } = path else {
            self.state = State::Live { path, stream };
            return;
        };
        while let Some((epoch, body)) = self.retained.get(cursor, MAX_IN_FLIGHT) {
            let head = Head::Data { session: self.id, epoch, sequence: cursor };
            self.port.push(Output::Send(Frame { head, body: body.clone() }));
            cursor += 1;
        }
        if let (Stream::Ended(outcome), true, false) = (stream, self.retained.is_empty(), end_sent) {
            end_sent = true;
            let head = Head::End { session: self.id, next: cursor, outcome };
            self.port.push(Output::Send(head.into()));
        }
        self.state = State::Live { path: Path::Flowing { cursor, end_sent }, stream };
    }

    fn fail(&mut self, reason: Reason) {
        self.retained = Retained::default();
        self.buffers = BufferPool::default();
        self.state = State::Failed(reason);
    }
}

impl Machine for Session {
    type Input = Input;
    type Output = Output;
    type Failure = Reason;
    type Timer = Infallible;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        if matches!(input, Input::Push(_)) && self.is_open() && !self.has_room() {
            return Err(Misuse::Full("session buffer"));
        }
        self.port.enter(now)?;
        match input {
            Input::Attached | Input::Detached | Input::End(_) if self.has_ended() => self.port.ignore(),
            Input::Push(content) => self.push(content),
            Input::Attached => self.attached(),
            Input::Detached => self.detached(),
            Input::Frame(frame) => self.frame(&frame),
            Input::End(outcome) => self.end(outcome),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Infallible>> {
        None
    }

    fn status(&self) -> Status<'_, Reason> {
        match &self.state {
            State::Live { path: Path::Detached, .. } => Status::Running { waiting_for: "the daemon" },
            State::Live { path: Path::Opening, .. } => Status::Running { waiting_for: "the relay's resume point" },
            State::Live { stream: Stream::Open, .. } => Status::Running { waiting_for: "more content" },
            State::Live { stream: Stream::Ended(_), .. } => Status::Running { waiting_for: "the relay's last acknowledgement" },
            State::Finished => Status::Finished,
            State::Failed(reason) => Status::Failed(reason),
        }
    }

    fn ignored(&self) -> u64 {
        self.stats.0.ignored().saturating_add(self.port.ignored())
    }
}

/// Splits long content so that each piece fits in a record (S206); titles, resizes and exits are short as they are.
fn pieces(content: Content) -> impl Iterator<Item = Content> {
    let mut rest = Some(content);
    core::iter::from_fn(move || {
        let mut piece = rest.take()?;
        let (bytes, wrap): (_, fn(Bytes) -> Content) = match &mut piece {
            Content::Output(bytes) => (bytes, Content::Output),
            Content::Input(bytes) => (bytes, Content::Input),
            Content::Event(bytes) => (bytes, Content::Event),
            Content::Title(_) | Content::Resize { .. } | Content::Exit { .. } => return Some(piece),
        };
        if bytes.len() > MAX_RECORD_CONTENT {
            rest = Some(wrap(bytes.split_off(MAX_RECORD_CONTENT)));
        }
        (!bytes.is_empty()).then_some(piece)
    })
}
