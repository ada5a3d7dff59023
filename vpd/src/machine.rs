//! What this machine is: its name, its software.

use rustix::system::uname;

/// How this software calls itself to others.
pub(crate) const SOFTWARE: &str = concat!("vpd ", env!("CARGO_PKG_VERSION"));

/// The host name up to its first dot.
pub(crate) fn host() -> String {
    let uname = uname();
    let node = uname.nodename().to_string_lossy();
    node.split('.').next().unwrap_or_default().to_owned()
}
