//! What the daemon inherits from the process that started it, and must not keep: open descriptors. A lock that is held by one, or a pipe
//! that a script reads to its end, would otherwise stay open for as long as the daemon runs.

use std::{fs, io, os::fd::RawFd};

/// Closes every descriptor but the standard ones. For the beginning of the process, before it has opened any of its own.
pub(crate) fn close_descriptors() -> io::Result<()> {
    // The descriptor by which they are listed is among them, and closed already afterwards.
    let listed = fs::read_dir("/proc/self/fd")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let open: Vec<RawFd> = listed.filter(|descriptor| *descriptor > 2).collect();
    for descriptor in open {
        match nix::unistd::close(descriptor) {
            Ok(()) | Err(nix::errno::Errno::EBADF) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
