//! What `vpd run` and its keeper say to one another: five bytes each, a kind and a number.

use std::{
    io::{self, IoSlice, IoSliceMut, Read as _, Write as _},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::super::ending::End;

const LEN: usize = 5;

/// What the keeper tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The command runs.
    Started,
    /// The command could not be started, for this reason of the system's (errno).
    NotStarted(i32),
    /// The command was stopped by the signal with this number.
    Stopped(i32),
    /// The command ended.
    Ended(End),
}

impl Report {
    pub(super) fn send(self, socket: &mut UnixStream) -> io::Result<()> {
        let (kind, number) = match self {
            Self::Started => (b'r', 0),
            Self::NotStarted(errno) => (b'n', errno),
            Self::Stopped(signal) => (b's', signal),
            Self::Ended(End::Exited(status)) => (b'e', status),
            Self::Ended(End::Killed(signal)) => (b'k', signal),
        };
        socket.write_all(&encode(kind, number))
    }

    /// Waits for one.
    ///
    /// # Errors
    /// When the keeper has gone, or is none.
    pub(super) fn receive(socket: &mut UnixStream) -> io::Result<Self> {
        let mut message = [0; LEN];
        socket.read_exact(&mut message)?;
        match decode(message) {
            (b'r', _) => Ok(Self::Started),
            (b'n', errno) => Ok(Self::NotStarted(errno)),
            (b's', signal) => Ok(Self::Stopped(signal)),
            (b'e', status) => Ok(Self::Ended(End::Exited(status))),
            (b'k', signal) => Ok(Self::Ended(End::Killed(signal))),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// What the keeper is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Send the command the signal with this number.
    Signal(i32),
    /// The terminal is gone: the command's group is signalled.
    HangUp,
    /// The command goes on after a stop.
    Continue,
    /// The command comes to the foreground of its terminal.
    ToForeground,
    /// The command has ended: carry what still comes from our end of the terminal to the screen.
    CarryOn { terminal: OwnedFd, screen: OwnedFd },
}

impl Order {
    pub(super) fn send(&self, socket: &UnixStream) -> io::Result<()> {
        match self {
            Self::Signal(signal) => send(socket, b'S', *signal, &[]),
            Self::HangUp => send(socket, b'H', 0, &[]),
            Self::Continue => send(socket, b'C', 0, &[]),
            Self::ToForeground => send(socket, b'F', 0, &[]),
            Self::CarryOn { terminal, screen } => send(socket, b'O', 0, &[terminal.as_fd(), screen.as_fd()]),
        }
    }

    /// Waits for one; `None` when `vpd run` has gone.
    pub(super) fn receive(socket: &UnixStream) -> io::Result<Option<Self>> {
        let mut message = [0; LEN];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(socket, &mut [IoSliceMut::new(&mut message)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        if received.bytes < LEN {
            return Ok(None);
        }
        let mut descriptors = ancillary.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<_>>(),
            _ => Vec::new(),
        });
        Ok(match decode(message) {
            (b'S', signal) => Some(Self::Signal(signal)),
            (b'H', _) => Some(Self::HangUp),
            (b'C', _) => Some(Self::Continue),
            (b'F', _) => Some(Self::ToForeground),
            (b'O', _) => match (descriptors.next(), descriptors.next()) {
                (Some(terminal), Some(screen)) => Some(Self::CarryOn { terminal, screen }),
                _ => None,
            },
            _ => None,
        })
    }
}

fn send(socket: &UnixStream, kind: u8, number: i32, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(socket, &[IoSlice::new(&encode(kind, number))], &mut ancillary, SendFlags::empty())?;
    Ok(())
}

fn encode(kind: u8, number: i32) -> [u8; LEN] {
    let [a, b, c, d] = number.to_be_bytes();
    [kind, a, b, c, d]
}

fn decode([kind, a, b, c, d]: [u8; LEN]) -> (u8, i32) {
    (kind, i32::from_be_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_arrive_as_they_were_sent() {
        let (mut keeper, mut run) = UnixStream::pair().unwrap();
        let reports = [
            Report::Started,
            Report::NotStarted(2),
            Report::Stopped(20),
            Report::Ended(End::Exited(-1)),
            Report::Ended(End::Killed(9)),
        ];
        for report in reports {
            report.send(&mut keeper).unwrap();
            assert_eq!(Report::receive(&mut run).unwrap(), report);
        }
        drop(keeper);
        assert!(Report::receive(&mut run).is_err());
    }

    /// The last order hands two descriptors over; the end of `vpd run` is no order.
    #[test]
    fn orders_arrive_as_they_were_sent() {
        let (keeper, run) = UnixStream::pair().unwrap();
        Order::Signal(15).send(&run).unwrap();
        assert!(matches!(Order::receive(&keeper).unwrap(), Some(Order::Signal(15))));
        let (mut far, near) = io::pipe().unwrap();
        let (terminal, screen) = (near.try_clone().unwrap().into(), near.into());
        Order::CarryOn { terminal, screen }.send(&run).unwrap();
        let Some(Order::CarryOn { terminal, screen }) = Order::receive(&keeper).unwrap() else { panic!("another order") };
        rustix::io::write(&terminal, b"a").unwrap();
        rustix::io::write(&screen, b"b").unwrap();
        let mut passed = [0; 2];
        far.read_exact(&mut passed).unwrap();
        assert_eq!(&passed, b"ab");
        drop(run);
        assert!(Order::receive(&keeper).unwrap().is_none());
    }
}
