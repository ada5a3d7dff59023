//! What the control socket hands to the daemon's loop. Every question carries the way back for its answer.

use std::path::PathBuf;

use proto_core::{
    Reason,
    device::control::{Attach, Attached, BindRequest, Bound, PairEvent, PairRequest, Report, Unbound, UnpairRequest, Unpaired},
    wire::Frame,
};
use tokio::sync::{mpsc, oneshot};

/// The way back of one answer.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Reason>>;

/// The way to the daemon's loop. Callers wait while it is full: what comes in on the control socket is then read no further.
pub(super) type Questions = mpsc::Sender<Question>;

/// Questions that wait for the loop at most.
pub(super) const MAX_QUESTIONS: usize = 256;

/// One question.
#[derive(Debug)]
pub(super) enum Question {
    Status(oneshot::Sender<Report>),
    /// The events follow the answer.
    Pair(PairRequest, mpsc::UnboundedSender<PairEvent>, Reply<()>),
    CancelPairing(Reply<()>),
    Unpair(UnpairRequest, Reply<Unpaired>),
    /// With the canonical path.
    Bind(PathBuf, BindRequest, Reply<Bound>),
    Unbind(PathBuf, Reply<Unbound>),
    Reconnect(Reply<()>),
    /// A process that makes records came; what it is told comes through the channel, its number through the other.
    Attach(Attach, mpsc::Sender<ToSource>, oneshot::Sender<u64>),
    Frame(u64, Frame),
    Detach(u64),
    Stop,
}

/// What a process that makes records is told. One that takes too little of what waits for it is disconnected: it comes again, and
/// goes on where the relay says.
#[derive(Debug)]
pub(super) enum ToSource {
    Attached(Attached),
    Frame(Frame),
}

/// Words that wait for one process at most.
pub(super) const MAX_QUEUED_MESSAGES: usize = 1024;
