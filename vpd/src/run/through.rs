//! Writing and reading whole pieces, whatever mode a descriptor that others share is in.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

/// Writes all of it, however long that takes.
///
/// # Errors
/// When its reader or the terminal is gone.
pub(super) fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(to, PollFlags::OUT)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What can be read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    /// How much of the buffer it filled.
    pub(super) len: usize,
    /// Nothing will follow.
    pub(super) is_end: bool,
}

/// Reads what is there without waiting, up to a full buffer; `from` must be non-blocking.
pub(super) fn read_now(from: impl AsFd, buffer: &mut [u8]) -> Now {
    let mut len = 0;
    while let Some(room) = buffer.get_mut(len..).filter(|room| !room.is_empty()) {
        match rustix::io::read(&from, room) {
            Ok(0) => return Now { len, is_end: true },
            Ok(count) => len += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            // A terminal ends with EIO when no process holds its other side any more.
            Err(_) => return Now { len, is_end: true },
        }
    }
    Now { len, is_end: false }
}

/// Copies until nothing follows, or the reader is gone.
pub(super) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        wait(from, PollFlags::IN)?;
        match rustix::io::read(from, &mut buffer[..]) {
            Ok(0) | Err(Errno::IO) => return Ok(()),
            Ok(count) => write_all(to, buffer.get(..count).unwrap_or_default())?,
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn wait(fd: BorrowedFd<'_>, what: PollFlags) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(fd, what)], None) {
            Err(Errno::INTR) => {}
            other => return Ok(other.map(drop)?),
        }
    }
}
