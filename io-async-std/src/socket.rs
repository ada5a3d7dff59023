//! One WebSocket, for whoever wants to wait for it directly.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use async_std::{
    io::{Read, Write},
    task::sleep,
};
use bytes::Bytes;
use io_engine::{Connection, Driven, LINGER, MessageSocket, WebSocketClient};
use proto_core::effect::{Close, Happening};

use crate::stream::Stream;

/// A client's WebSocket over the byte stream `S`. It makes progress while somebody waits for [`ClientSocket::next`], in both
/// directions; what is queued in between is written in few large writes. Reading stops while nobody waits, so a slow consumer
/// slows its sender down. An idle one holds no buffer.
pub struct ClientSocket<S> {
    driven: Driven<Stream<S>, Connection<WebSocketClient>>,
    /// Runs while the WebSocket closes.
    linger: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S: Read + Write + Unpin> ClientSocket<S> {
    pub(crate) const fn over(stream: S, client: Connection<WebSocketClient>) -> Self {
        Self { driven: Driven::new(Stream(stream), client), linger: None }
    }

    /// Queues one binary message; [`ClientSocket::next`] writes it, and tells with [`Happening::Sent`] when the stream took it.
    pub fn send(&mut self, message: Bytes) {
        self.driven.transducer().send(message);
    }

    /// Queues a close frame after what was sent before. [`Happening::Closed`] follows within [`LINGER`].
    pub fn close(&mut self, close: Close) {
        self.driven.transducer().close(close);
    }

    /// What happens next, last [`Happening::Closed`]; waits for ever after that. Safe to cancel: nothing is lost.
    pub async fn next(&mut self) -> Happening<()> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`ClientSocket::next`] for hand-written futures.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Happening<()>> {
        let Self { driven, linger } = self;
        driven.poll_message(cx, |cx| linger.get_or_insert_with(|| Box::pin(sleep(LINGER))).as_mut().poll(cx))
    }
}

impl<S: fmt::Debug> fmt::Debug for ClientSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSocket").field("driven", &self.driven).finish_non_exhaustive()
    }
}
