//! tokio's byte streams, as the engine sees them.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use io_engine::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A byte stream of tokio, as the engine sees it.
#[derive(Debug)]
pub struct Stream<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> ByteStream for Stream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        Pin::new(&mut self.0).poll_read(cx, &mut buffer).map_ok(|()| buffer.filled().len())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn takes_several(&self) -> bool {
        self.0.is_write_vectored()
    }
}
