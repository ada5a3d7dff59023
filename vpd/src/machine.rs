//! What this machine is: its name, its hardware.

use rustix::system::uname;

/// How this software calls itself to others.
pub(crate) const SOFTWARE: &str = concat!("vpd ", env!("CARGO_PKG_VERSION"));

/// The longest name that others are told.
const NAME_MAX: usize = 64;

/// The host name up to its first dot.
pub(crate) fn name() -> String {
    let uname = uname();
    let node = uname.nodename().to_string_lossy();
    let name: String = node.split('.').next().unwrap_or_default().chars().take(NAME_MAX).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}
