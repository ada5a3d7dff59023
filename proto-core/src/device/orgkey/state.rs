//! Where a device stands with its organization's key.

use alloc::boxed::Box;

use super::{KeyState, event::KeyEvent};
use crate::{Instant, Unhashed};

/// The states. `steps` counts calls and stores since the last rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// The link has not been up yet.
    Away,
    /// There is nothing to do, or it failed.
    Resting { until: Instant },
    /// The platform was asked.
    Asking { number: Unhashed<u32>, what: Asked, steps: u32 },
    /// What is known or held from now on becomes durable; then `news` is told.
    Keeping { next: Box<KeyState>, news: Option<KeyEvent>, steps: u32 },
}

/// What the platform was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    /// What there is.
    View,
    /// To take what this device says.
    Register,
    /// To publish the generation that this device made.
    Publish,
    /// To keep what is for another device, or for this one.
    HandOver(Option<KeyEvent>),
}
