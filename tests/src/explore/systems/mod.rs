//! Machines together: two ends with a network between them, a machine and its disk, two organizations, an attacker.

mod algebra;
mod approval;
mod attacker;
mod crash_bindings;
mod crash_pairing;
mod disk;
mod hub;
mod rotation;
mod session_relay;
mod wire;

pub use approval::Approving;
pub use attacker::{Attacked, Compromised};
pub use crash_bindings::CrashingBindings;
pub use crash_pairing::CrashingPairing;
pub use disk::{Disk, Left};
pub use hub::Routing;
pub use rotation::Rotating;
pub use session_relay::Resuming;
pub use wire::Connecting;
