//! A way to see all that a relay is told: for tests that look for what it must never be told (ADM-5).

use std::{fmt, sync::Arc};

use proto_core::wire::Frame;

/// Something that a device sent.
#[derive(Clone, Copy, Debug)]
pub enum Tapped<'a> {
    /// A WebSocket message as it arrived.
    Message(&'a [u8]),
    /// What was inside, once Noise was taken off: all that the relay can read.
    Frame(&'a Frame),
}

/// Is shown all that devices send to one relay.
#[derive(Clone)]
pub struct Tap(Arc<dyn Fn(Tapped<'_>) + Send + Sync>);

impl Tap {
    /// Calls `record` for everything, in the order of each connection. It must not block.
    pub fn new(record: impl Fn(Tapped<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(record))
    }

    pub(crate) fn record(&self, tapped: Tapped<'_>) {
        (self.0)(tapped);
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap(..)")
    }
}
