//! A transducer over a byte stream: moves bytes between the two while the caller waits for its next event.

use std::{
    cell::Cell,
    future::poll_fn,
    io::{self, IoSlice},
    task::{Context, Poll, ready},
};

use proto_core::effect::{IoEvent, NetFault};

use crate::{MessageSocket, Transducer};

/// A connected byte stream of some runtime, as far as a transducer needs one.
pub trait ByteStream {
    /// Reads into `buffer`. Ready with 0: the other side will send no more.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes from `slices`, in order, and tells how much the stream took. Only one slice comes at a time to a stream that
    /// [does not take several](Self::takes_several).
    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Sends on what the stream itself holds back.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether several slices are written at once. Others get a copy in one piece rather than many small writes.
    fn takes_several(&self) -> bool;
}

/// How much is read at a time, into memory that all connections of a thread share: an idle one holds none.
const SCRATCH: usize = 64 * 1024;

/// After so many reads and writes without an event it is others' turn.
const TURNS: usize = 64;

/// How many slices are written at a time.
const SLICES: usize = 128;

thread_local! {
    /// Taken out while it is in use, so that a stream that reads from another one of ours gets memory of its own.
    static SHARED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// `T` over the stream `S`. Makes progress while the caller waits for its next event, in both directions; reading stops while
/// it does not wait.
#[derive(Debug)]
pub struct Driven<S, T> {
    transducer: T,
    stream: Stream<S>,
    /// Something was written and not flushed.
    unflushed: bool,
}

#[derive(Debug)]
enum Stream<S> {
    Open(S),
    /// The other side will send no more.
    HalfOpen(S),
    Gone,
}

impl<S: ByteStream, T: Transducer> Driven<S, T> {
    /// `transducer` over `stream`, which is connected.
    pub const fn new(stream: S, transducer: T) -> Self {
        Self { transducer, stream: Stream::Open(stream), unflushed: false }
    }

    /// What speaks over the stream.
    pub const fn transducer(&mut self) -> &mut T {
        &mut self.transducer
    }

    /// The next event. Safe to cancel. Waits for ever once the stream is gone and all was reported.
    pub async fn next(&mut self) -> T::Event {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`Driven::next`] for hand-written futures.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<T::Event> {
        for _ in 0..TURNS {
            if let Some(event) = self.transducer.poll_event() {
                return Poll::Ready(event);
            }
            let wrote = self.poll_write(cx).is_ready();
            if !wrote {
                ready!(self.poll_read(cx));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// For a caller who has no room for an event: writes for as long as it is waited for.
    pub fn poll_only_write(&mut self, cx: &mut Context<'_>) {
        while self.poll_write(cx).is_ready() {}
    }

    /// Writes what waits. Ready when something changed for the transducer, and there may be an event.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Stream::Open(stream) | Stream::HalfOpen(stream)) = &mut self.stream else { return Poll::Pending };
        let mut slices = [IoSlice::new(&[]); SLICES];
        let used = self.transducer.transmit(&mut slices);
        if used == 0 {
            return self.poll_flush(cx);
        }
        match ready!(write(stream, cx, &slices[..used])) {
            Ok(0) | Err(_) => self.lose(),
            Ok(count) => {
                self.unflushed = true;
                self.transducer.transmitted(count);
            }
        }
        Poll::Ready(())
    }

    /// Lets go of the stream.
    fn hang_up(&mut self) {
        self.stream = Stream::Gone;
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Stream::Open(stream) | Stream::HalfOpen(stream)) = &mut self.stream else { return Poll::Pending };
        if !self.unflushed {
            return Poll::Pending;
        }
        if ready!(stream.poll_flush(cx)).is_err() {
            self.lose();
            return Poll::Ready(());
        }
        self.unflushed = false;
        Poll::Pending
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Stream::Open(stream) = &mut self.stream else { return Poll::Pending };
        let mut scratch = SHARED.take();
        scratch.resize(SCRATCH, 0);
        let read = stream.poll_read(cx, &mut scratch);
        match &read {
            Poll::Pending => {}
            Poll::Ready(Ok(0)) => self.end_of_input(),
            Poll::Ready(Ok(count)) => self.transducer.receive(&scratch[..*count]),
            Poll::Ready(Err(_)) => self.lose(),
        }
        SHARED.set(scratch);
        read.map(|_| ())
    }

    fn end_of_input(&mut self) {
        if let Stream::Open(stream) = std::mem::replace(&mut self.stream, Stream::Gone) {
            self.stream = Stream::HalfOpen(stream);
        }
        self.transducer.receive_end();
    }

    fn lose(&mut self) {
        self.hang_up();
        self.transducer.fail(NetFault::Broken);
    }
}

impl<S: ByteStream, T: MessageSocket> Driven<S, T> {
    /// [`Driven::poll_next`] for a WebSocket: lets go of the stream with [`IoEvent::Closed`], and does not wait longer for it
    /// than `lingered` does, a timer of [`LINGER`](crate::LINGER) that is asked from the moment the end begins.
    pub fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
        mut lingered: impl FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> Poll<IoEvent<()>> {
        loop {
            // Before anything is read: a peer that talks on does not put the end off.
            let is_closing = self.transducer.is_closing();
            if is_closing && lingered(cx).is_ready() {
                self.transducer.fail(NetFault::TimedOut);
            }
            match self.poll_next(cx) {
                Poll::Ready(io_event) => {
                    if matches!(io_event, IoEvent::Closed(..)) {
                        self.hang_up();
                    }
                    return Poll::Ready(io_event);
                }
                Poll::Pending if !is_closing && self.transducer.is_closing() => {} // The end has just begun, and its timer with it.
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

fn write<S: ByteStream>(stream: &mut S, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    if stream.takes_several() || slices.len() == 1 {
        return stream.poll_write(cx, slices);
    }
    let mut scratch = SHARED.take();
    scratch.clear();
    for slice in slices {
        let room = SCRATCH - scratch.len();
        scratch.extend_from_slice(&slice[..slice.len().min(room)]);
    }
    let written = stream.poll_write(cx, &[IoSlice::new(&scratch)]);
    SHARED.set(scratch);
    written
}
