//! A transducer over a socket: moves bytes between the two while somebody waits for its next event.

use std::{
    cell::Cell,
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use io_engine::Transducer;
use proto_core::effect::NetFault;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is read at a time, into memory that all connections of a thread share: an idle one holds none.
const SCRATCH: usize = 64 * 1024;

/// How many slices are written at a time.
const SLICES: usize = 128;

thread_local! {
    /// Taken out while it is in use, so that a stream that reads from another one of ours gets memory of its own.
    static SHARED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[derive(Debug)]
pub(crate) struct Driven<S, T> {
    pub(crate) transducer: T,
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

impl<S: AsyncRead + AsyncWrite + Unpin, T: Transducer> Driven<S, T> {
    pub(crate) const fn new(stream: S, transducer: T) -> Self {
        Self { transducer, stream: Stream::Open(stream), unflushed: false }
    }

    /// The next event. Safe to cancel. Waits for ever once the stream is gone and all was told.
    pub(crate) async fn next(&mut self) -> T::Event {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<T::Event> {
        loop {
            if let Some(event) = self.transducer.poll_event() {
                return Poll::Ready(event);
            }
            let wrote = self.poll_write(cx).is_ready();
            if !wrote {
                ready!(self.poll_read(cx));
            }
        }
    }

    /// Writes what waits. Ready when something changed for the transducer, and there may be an event.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Stream::Open(stream) | Stream::HalfOpen(stream)) = &mut self.stream else { return Poll::Pending };
        let mut slices = [IoSlice::new(&[]); SLICES];
        let used = self.transducer.transmit(&mut slices);
        if used == 0 {
            return self.poll_flush(cx);
        }
        match ready!(write(Pin::new(stream), cx, &slices[..used])) {
            Ok(0) | Err(_) => self.lose(),
            Ok(count) => {
                self.unflushed = true;
                self.transducer.transmitted(count);
            }
        }
        Poll::Ready(())
    }

    /// Lets go of the stream.
    pub(crate) fn hang_up(&mut self) {
        self.stream = Stream::Gone;
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Stream::Open(stream) | Stream::HalfOpen(stream)) = &mut self.stream else { return Poll::Pending };
        if !self.unflushed {
            return Poll::Pending;
        }
        if ready!(Pin::new(stream).poll_flush(cx)).is_err() {
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
        let mut buffer = ReadBuf::new(&mut scratch);
        let read = Pin::new(stream).poll_read(cx, &mut buffer);
        match &read {
            Poll::Pending => {}
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => self.end_of_input(),
            Poll::Ready(Ok(())) => self.transducer.receive(buffer.filled()),
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

/// Streams that take one slice at a time get a copy in one piece rather than many small writes.
fn write<S: AsyncWrite>(stream: Pin<&mut S>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    if stream.is_write_vectored() || slices.len() == 1 {
        return stream.poll_write_vectored(cx, slices);
    }
    let mut scratch = SHARED.take();
    scratch.clear();
    for slice in slices {
        let room = SCRATCH - scratch.len();
        scratch.extend_from_slice(&slice[..slice.len().min(room)]);
    }
    let written = stream.poll_write(cx, &scratch);
    SHARED.set(scratch);
    written
}
