//! What stands between a process that makes records and the relay (D17): while the relay keeps up, frames pass as they are; when it
//! does not, the records go to the disk, and from there to the relay as soon as that takes them. Neither a network nor a relay ever
//! holds up a command or its end (SES-3), and what was acknowledged to the process survives a reboot (SPOOL-2).
//!
//! ```text
//!                      what was handed over is not
//!                      acknowledged in time                    the end is delivered
//!        ┌─────────┐ ───────────────────────────► ┌─────────┐ ──────────────────────────────► Finished
//!   ───► │ Passing │                              │ Spooling│                                    ▲
//!        └─────────┘ ◄─────────────────────────── └─────────┘ ─┐ all of it delivered             │
//!             │        the relay has all that       ▲   │      ▼ without an end                  │
//!             │        lies here                    │   │   ┌─────────┐   the end is delivered   │
//!             │                             a restart   │   │ Closing │ ─────────────────────────┘
//!             │                                         │   └─────────┘
//!             │ Close: the process does not come back   │        ▲
//!             └─────────────────────────────────────────│────────┘
//!                                                       └──► Failed(records_lost): the relay asks for what is gone
//! ```
//!
//! In `Spooling` the process is told what is durable on this disk as if it were durable at the relay, so it ends without waiting.
//! A segment is removed once the relay has acknowledged all of it. One that cannot be read at the moment is read again later; one
//! that is damaged ends the record where the damage begins, as cut.
//!
//! Records come sealed and stay sealed: a segment holds frames of the wire. A spool belongs to one session, that to one
//! binding: it is delivered over that binding or not at all, and its parent erases it together with the session's key.
//!
//! What lies here is bounded: [`MAX_SESSION`] for one session, [`MAX_TOTAL`] for all of a daemon, one window of the process beyond.
//! At a bound the record ends there, and the process is told so (`spool_full`).
//!
//! Driver: hand in what the process and the relay say, carry out effects in their order, and call
//! [`handle_timeout`](crate::Machine::handle_timeout) at its deadline.

mod closing;
mod delivery;
mod event;
mod keeping;
mod passing;
mod segment;
mod state;
mod tail;

#[cfg(test)]
mod tests;

use alloc::{boxed::Box, collections::VecDeque};
use core::time::Duration;

pub use event::{EffectId, Input, Output, Timer};
pub use state::Stats;
use state::{Delivery, Passing, Producer, Reading, Segment, Source, Spooling, State};

use crate::{
    Deadline, Instant, Machine, MachineBase, Misuse, Reason, SessionId, Status, Unhashed,
    crypto::Cipher,
    effect::{Effect, StateFile},
    wire::{Frame, Head},
};

/// So long the relay may take to acknowledge what was handed over to it, or to say where to go on.
pub const ACK_TIMEOUT: Duration = Duration::from_millis(500);
/// So long a process may have more to hand over than the relay takes, however fast that is.
pub const WINDOW_FULL_LIMIT: Duration = Duration::from_secs(1);
/// So long records are kept at least before they pass again: a relay that is only slow does not change the way at every turn.
pub const MIN_SPOOLING: Duration = Duration::from_secs(2);
/// The most bytes of one session that lie in its spool.
pub const MAX_SESSION: u64 = 256 * 1024 * 1024;
/// The most bytes that lie in all spools of a daemon.
pub const MAX_TOTAL: u64 = 1024 * 1024 * 1024;

/// The machine. See the [module page](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spool {
    session: SessionId,
    cipher: Cipher,
    state: State,
    /// Something of the session was kept on the disk.
    has_files: bool,
    port: MachineBase<Output>,
    stats: Unhashed<Stats>,
}

impl Spool {
    /// The spool of a session of which nothing lies on this disk.
    pub fn new(now: Instant, session: SessionId, cipher: Cipher) -> Self {
        let state = State::Passing(Passing::default());
        Self { session, cipher, state, has_files: false, port: MachineBase::new(now), stats: Unhashed(Stats::default()) }
    }

    /// After a restart: the spool of a session of which these segments were found, each with its first number and its bytes, in the
    /// order of their numbers.
    pub fn restore(now: Instant, session: SessionId, cipher: Cipher, found: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut spool = Self::new(now, session, cipher);
        let mut segments = VecDeque::<Segment>::new();
        for (first, bytes) in found {
            if let Some(before) = segments.back_mut() {
                before.next = first;
            }
            segments.push_back(Segment { first, next: u64::MAX, bytes });
        }
        if let Some(first) = segments.front().map(|segment| segment.first) {
            spool.has_files = true;
            spool.state = State::Spooling(Box::new(Spooling {
                source: Source::Away,
                stays_until: now,
                segments,
                intake: Producer::Restoring { is_closed: false },
                delivery: Delivery::Waiting,
                reading: Reading::Idle,
                acknowledged: first,
            }));
            spool.settle();
        }
        spool
    }

    /// Whether records are kept, rather than passed on.
    pub const fn is_keeping(&self) -> bool {
        matches!(self.state, State::Spooling(_))
    }

    /// Whether this machine hands the session's records to the relay, rather than the process that makes them.
    pub const fn is_source(&self) -> bool {
        matches!(self.state, State::Spooling(_) | State::Closing(_))
    }

    /// Whether no more records are taken, because the process stayed away or a bound was reached.
    pub fn is_closed(&self) -> bool {
        match &self.state {
            State::Spooling(keeping) => {
                matches!(keeping.intake, Producer::Cut(_) | Producer::Restoring { is_closed: true })
            }
            State::Closing(_) => true,
            _ => false,
        }
    }

    /// Whether something of the session may lie on the disk, to be erased when the session is over: a segment that could not be
    /// removed, too.
    pub const fn leaves_files(&self) -> bool {
        self.has_files
    }

    /// Bytes that lie here and are not known to be durable at the relay.
    pub fn bytes(&self) -> u64 {
        if let State::Spooling(keeping) = &self.state { keeping.bytes() } else { 0 }
    }

    /// What was ignored so far, and why.
    pub const fn stats(&self) -> &Stats {
        &self.stats.0
    }

    fn source_said(&mut self, frame: Frame, free: u64) {
        match &self.state {
            State::Passing(_) => self.pass_up(frame),
            State::Spooling(_) => self.take(frame, free),
            State::Closing(_) if matches!(frame.head, Head::Open { .. }) => self.tell_cut(Reason::SessionCut),
            State::Closing(_) | State::Finished | State::Failed(_) => self.stats.0.out_of_turn += 1,
        }
    }

    fn relay_said(&mut self, frame: Frame) {
        match (&self.state, &frame.head) {
            (State::Passing(_), _) => self.pass_down(frame),
            (State::Spooling(_), Head::Resume { next, .. }) => self.deliver_from(*next),
            (State::Spooling(_), Head::Acknowledge { next, .. }) => self.delivered(*next),
            (State::Closing(end), Head::Resume { next, .. }) => self.end_at(*end, *next),
            (State::Closing(Some(end)), Head::Acknowledge { next, .. }) if *next > end.records => self.state = State::Finished,
            _ => self.stats.0.unexpected_frames += 1,
        }
    }

    /// From now on this machine speaks for the session.
    fn take_over(&mut self) {
        self.port.push(Output::TakesOver);
        self.open();
    }

    fn open(&mut self) {
        let head = Head::Open { session: self.session, cipher: self.cipher as u8 };
        self.port.push(Output::ToRelay(head.into()));
    }

    fn resume_source(&mut self, next: u64) {
        self.port.push(Output::ToSource(Head::Resume { session: self.session, next }.into()));
    }

    fn tell_cut(&mut self, reason: Reason) {
        self.port.push(Output::ToSource(Head::Revoke { reason }.into()));
    }

    fn effect(&mut self, effect: Effect<EffectId>) {
        self.port.push(Output::Effect(effect));
    }

    const fn segment(&self, first: u64) -> StateFile {
        StateFile::Segment(self.session, first)
    }
}

impl Machine for Spool {
    type Input = Input;
    type Output = Output;
    type Failure = Reason;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        self.port.enter(now)?;
        match input {
            _ if matches!(self.state, State::Finished | State::Failed(_)) => self.port.ignore(),
            Input::Source { frame, free } => self.source_said(frame, free),
            Input::Left => self.left(),
            Input::Close => self.close(),
            Input::Relay(frame) => self.relay_said(frame),
            Input::Io(io_event) => self.happen(io_event),
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
        match &self.state {
            State::Passing(_) => self.lose_patience(),
            State::Spooling(_) => self.settle(),
            State::Closing(_) | State::Finished | State::Failed(_) => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        match &self.state {
            State::Passing(passing) => passing.deadline(),
            State::Spooling(keeping) => keeping.deadline(),
            State::Closing(_) | State::Finished | State::Failed(_) => None,
        }
    }

    fn status(&self) -> Status<'_, Reason> {
        let waiting_for = match &self.state {
            State::Passing(_) => "the process and the relay",
            State::Spooling(keeping) => keeping.waiting_for(),
            State::Closing(_) => "the relay to take the end",
            State::Finished => return Status::Finished,
            State::Failed(reason) => return Status::Failed(reason),
        };
        Status::Running { waiting_for }
    }

    fn ignored(&self) -> u64 {
        self.stats.0.ignored().saturating_add(self.port.ignored())
    }
}
