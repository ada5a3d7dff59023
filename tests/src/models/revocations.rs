//! Which devices must be out, and which may still be in, when a relay follows a platform's revocations (D3, JWT-5).

use std::collections::BTreeSet;

/// The platform's log, and what a relay knows of it. Events have numbers; the platform's log is those that it has not forgotten.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// What was revoked, in order.
    pub log: Vec<u32>,
    /// Everything that was ever revoked.
    pub revoked: BTreeSet<u32>,
    /// What the relay has cut off: by name, or because it validated everything again.
    pub cut: BTreeSet<u32>,
}

impl Ledger {
    /// Access ends.
    pub fn revoke(&mut self, whom: u32) {
        self.log.push(whom);
        self.revoked.insert(whom);
    }

    /// The platform comes back with a copy of its log that ends here; what it forgot stays revoked, because validation says so.
    pub fn restore(&mut self, len: usize) {
        self.log.truncate(len);
    }

    /// The answer to a request that names this place: how far the log is, and what came after.
    pub fn answer(&self, after: Option<usize>) -> (usize, Vec<u32>) {
        let news = after.and_then(|after| self.log.get(after..)).unwrap_or_default();
        (self.log.len(), news.to_vec())
    }

    /// The relay cut these off by name.
    ///
    /// # Panics
    /// When one of them was not revoked.
    pub fn cut_off(&mut self, whom: &[u32]) {
        for one in whom {
            assert!(self.revoked.contains(one), "{one} was not revoked");
            self.cut.insert(*one);
        }
    }

    /// The relay validated everything again.
    pub fn validated(&mut self) {
        self.cut = self.revoked.clone();
    }

    /// After an answer no device is in whose access had ended before it.
    ///
    /// # Panics
    /// When one is.
    pub fn answered(&self) {
        let missed: Vec<_> = self.revoked.difference(&self.cut).collect();
        assert!(missed.is_empty(), "JWT-5: {missed:?} were revoked, and the relay has not noticed");
    }
}
