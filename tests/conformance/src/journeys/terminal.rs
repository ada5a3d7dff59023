//! One command whose output streams: what `vpd run` is to the daemon.

use bytes::Bytes;
use io_engine::AwsLc;
use proto_core::{
    Instant, Machine as _, Reason, SessionId, Status,
    crypto::{
        Cipher,
        seal::{EpochSecret, Scope},
    },
    device::{
        control::Attached,
        session::{Input, Output, Session},
    },
    wire::{Content, Frame, Outcome},
};

/// A command.
#[derive(Debug)]
pub(super) enum Terminal {
    /// The daemon was asked what becomes of it.
    Asking,
    /// It streams.
    Streaming(SessionId, Box<Session>),
}

impl Terminal {
    /// The daemon's answer.
    pub(super) fn attached(&mut self, attached: Attached, now: Instant) {
        let Attached::Streaming { session, org, secret, cipher } = attached else { panic!("{attached:?}") };
        let scope = Scope { org: org.id, session, cipher: Cipher::from_byte(cipher).expect("a cipher of this version") };
        *self = Self::Streaming(session, Box::new(Session::new(&AwsLc, scope, EpochSecret::new(secret), now)));
        self.tell(Input::Attached, now);
    }

    /// The daemon says this.
    pub(super) fn frame(&mut self, frame: Frame, now: Instant) {
        self.tell(Input::Frame(frame), now);
    }

    /// The command writes this.
    pub(super) fn write(&mut self, bytes: &[u8], now: Instant) {
        self.tell(Input::Push(Content::Output(Bytes::copy_from_slice(bytes))), now);
    }

    /// The command ends.
    pub(super) fn exit(&mut self, now: Instant) {
        self.tell(Input::Push(Content::Exit { status: 0 }), now);
        self.tell(Input::End(Outcome::Exited), now);
    }

    /// What goes to the daemon.
    pub(super) fn poll_frame(&mut self) -> Option<Frame> {
        let Self::Streaming(_, session) = self else { return None };
        session.poll_output().map(|Output::Send(frame)| frame)
    }

    pub(super) const fn is_answered(&self) -> bool {
        !matches!(self, Self::Asking)
    }

    /// Everything is durable at the relay.
    pub(super) fn is_delivered(&self) -> bool {
        matches!(self, Self::Streaming(_, session) if session.status() == Status::Finished)
    }

    /// All that was written so far is durable at the relay.
    pub(super) fn is_acknowledged(&self) -> bool {
        matches!(self, Self::Streaming(_, session) if session.pending_bytes() == 0)
    }

    /// Why its stream was cut, if it was.
    pub(super) fn cut(&self) -> Option<Reason> {
        match self {
            Self::Streaming(_, session) => match session.status() {
                Status::Failed(reason) => Some(*reason),
                _ => None,
            },
            Self::Asking => None,
        }
    }

    fn tell(&mut self, input: Input, now: Instant) {
        if let Self::Streaming(_, session) = self {
            session.handle_input(now, input).expect("a session with room takes every input");
        }
    }
}
