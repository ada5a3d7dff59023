//! Records on their way (D17, SPOOL-1, SPOOL-2): what was made, what the process was told to be durable, and what the relay has.
//!
//! The end counts as one more record, as on the wire.

/// One session's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// So many were made.
    pub made: u64,
    /// The process was told that these are durable, somewhere: it may forget them, and go.
    pub told: u64,
    /// The relay has received these, in order.
    pub received: u64,
    /// These are durable at the relay.
    pub durable: u64,
}

impl Records {
    /// The process is told that everything below `next` is durable; `kept` lies on the disk.
    ///
    /// # Panics
    /// When it lies neither there nor at the relay (SPOOL-2), or was never made.
    pub fn tell(&mut self, next: u64, kept: u64) {
        assert!(next <= self.durable.max(kept), "SPOOL-2: {next} are durable, says it; {kept} are kept, of {self:?}");
        assert!(next <= self.made, "SPOOL-2: {next} were not made, of {self:?}");
        self.told = self.told.max(next);
    }

    /// A record arrives at the relay, which takes what continues.
    ///
    /// # Panics
    /// When there is a gap before it (SPOOL-1).
    pub fn arrive(&mut self, number: u64) {
        assert!(number <= self.received, "SPOOL-1: {number} after {}", self.received);
        self.received = self.received.max(number + 1);
    }

    /// The relay is killed: what it had not made durable is gone.
    pub fn forget(&mut self) {
        self.received = self.durable;
    }

    /// Whether everything that the process was told to be durable is at the relay.
    pub const fn is_delivered(&self) -> bool {
        self.durable >= self.told
    }
}
