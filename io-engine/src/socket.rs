//! One WebSocket, to be waited for directly: an adapter, the relay's connections, the daemon's local interface.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use proto_core::effect::{Close, IoEvent};

use crate::{ByteStream, Driven, LINGER, MessageSocket, Runtime, Transducer, WebSocket, fresh_entropy};

/// A WebSocket over the byte stream `S`, with the timers of `R`. It makes progress while the caller waits for [`Socket::next`],
/// in both directions; what is queued in between is written in few large writes. Reading stops while the caller does not wait, so a slow
/// consumer slows its sender down. An idle one holds no buffer.
pub struct Socket<R: Runtime, S, T = WebSocket> {
    driven: Driven<S, T>,
    /// Runs while the WebSocket closes.
    linger: Option<R::Sleep>,
}

impl<R: Runtime, S: ByteStream> Socket<R, S> {
    /// The server's end of a stream that was upgraded, say by hyper, with the answer of
    /// [`answer_upgrade`](crate::answer_upgrade). `read_already` is what the server read beyond the request, taken by value
    /// because it often holds on to the server's whole read buffer. A longer message than `max_message` ends it with
    /// [`NetFault::TooLarge`](proto_core::effect::NetFault::TooLarge).
    #[expect(clippy::needless_pass_by_value, reason = "see above: it has to be dropped")]
    pub fn accept(stream: S, read_already: Bytes, max_message: usize) -> Self {
        let mut socket = WebSocket::server(max_message, fresh_entropy());
        socket.receive(&read_already);
        Self::over(stream, socket)
    }

    /// Changes the longest message that is accepted, from the next frame on.
    pub const fn set_max_message(&mut self, max_message: usize) {
        self.driven.transducer().set_max_message(max_message);
    }
}

impl<R: Runtime, S: ByteStream, T: MessageSocket> Socket<R, S, T> {
    /// `socket` over `stream`, which is connected.
    pub const fn over(stream: S, socket: T) -> Self {
        Self { driven: Driven::new(stream, socket), linger: None }
    }

    /// Queues one binary message; [`Socket::next`] writes it, and tells with [`IoEvent::Sent`] when the stream took it.
    pub fn send(&mut self, message: Bytes) {
        self.driven.transducer().send(message);
    }

    /// Queues a close frame after what was sent before. [`IoEvent::Closed`] follows within [`LINGER`].
    pub fn close(&mut self, close: Close) {
        self.driven.transducer().close(close);
    }

    /// What happens next: first [`IoEvent::Connected`] on a server's end, last [`IoEvent::Closed`]; waits for ever after
    /// that. Safe to cancel: nothing is lost.
    pub async fn next(&mut self) -> IoEvent<()> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`Socket::next`] for hand-written futures.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<IoEvent<()>> {
        let Self { driven, linger } = self;
        driven.poll_message(cx, |cx| Pin::new(linger.get_or_insert_with(|| R::sleep(LINGER))).poll(cx))
    }

    /// [`Socket::next`], or for a caller without room for what would come: writes for as long as it is waited for.
    pub async fn next_with(&mut self, room: bool) -> IoEvent<()> {
        poll_fn(|cx| {
            if room {
                return self.poll_next(cx);
            }
            self.driven.poll_only_write(cx);
            Poll::Pending
        })
        .await
    }
}

impl<R: Runtime, S: fmt::Debug, T: fmt::Debug> fmt::Debug for Socket<R, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("driven", &self.driven).finish_non_exhaustive()
    }
}
