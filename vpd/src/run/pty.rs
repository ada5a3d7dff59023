//! Pseudo-terminals.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStringExt as _},
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, OutputModes, Termios, Winsize, tcsetattr, tcsetwinsize},
};

/// A pair of ends.
pub(super) struct Pty {
    /// Ours. Reading from it and writing to it never waits.
    pub(super) ours: OwnedFd,
    /// The command's.
    pub(super) theirs: OwnedFd,
}

impl Pty {
    /// A terminal with the settings and the size of the one in front of the person, as far as they are known.
    pub(super) fn open(settings: Option<&Termios>, size: Option<Winsize>) -> io::Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let path = OsString::from_vec(ptsname(&ours, Vec::new())?.into_bytes());
        let theirs = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
        if let Some(settings) = settings {
            tcsetattr(&theirs, OptionalActions::Now, settings)?;
        }
        if let Some(size) = size {
            tcsetwinsize(&ours, size)?;
        }
        set_nonblocking(&ours)?;
        Ok(Self { ours, theirs })
    }
}

/// Makes reading and writing return instead of waiting. Only for what is ours alone.
pub(super) fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?)
}

/// What is written to the terminal arrives as it is: its line feeds are made for another terminal behind it.
pub(super) fn disable_output_processing(terminal: &OwnedFd) -> io::Result<()> {
    let mut settings = rustix::termios::tcgetattr(terminal)?;
    settings.output_modes.remove(OutputModes::OPOST);
    Ok(tcsetattr(terminal, OptionalActions::Now, &settings)?)
}

/// A descriptor for nothing.
pub(super) fn nothing() -> io::Result<OwnedFd> {
    Ok(File::options().read(true).write(true).open("/dev/null")?.into())
}
