//! When both ends of a link speak, give up and rekey (WIRE section 6).

use core::time::Duration;

/// A side that sent nothing for so long sends a ping (WIRE section 6).
pub const PING_AFTER: Duration = Duration::from_secs(20);
/// A side that heard nothing for so long gives the link up.
pub const MAX_SILENCE: Duration = Duration::from_secs(45);
/// This side's direction is rekeyed after so long, or when its channel asks for it.
pub const REKEY_AFTER: Duration = Duration::from_hours(1);
