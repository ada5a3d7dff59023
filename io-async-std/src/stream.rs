//! Byte streams with the traits of `futures-io`, as the engine sees them.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use async_std::io::{Read, Write};
use io_engine::ByteStream;

/// A byte stream with the traits of `futures-io`, as the engine sees it.
#[derive(Debug)]
pub struct Stream<S>(pub(crate) S);

impl<S: Read + Write + Unpin> ByteStream for Stream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    /// These traits do not say who does, and those who do not would write slice by slice.
    fn takes_several(&self) -> bool {
        false
    }
}
