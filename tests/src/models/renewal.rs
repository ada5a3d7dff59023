//! The platform's side of a rotation (ROT-2, D8): the set of all generations that it ever gave out, and what a device can know.

/// One device at one platform.
#[derive(Clone, Debug)]
pub struct Device {
    /// All generations that were given out; the first one by the approval.
    pub given: Vec<u64>,
    /// Whether access was withdrawn.
    pub is_revoked: bool,
    /// Whether its organization lives.
    pub org_lives: bool,
}

impl Default for Device {
    fn default() -> Self {
        Self { given: vec![1], is_revoked: false, org_lives: true }
    }
}

impl Device {
    /// Whether a credential of that generation counts: none that was given out is two or more beyond it.
    pub fn counts(&self, generation: u64) -> bool {
        self.org_lives && !self.is_revoked && self.given.iter().all(|other| *other < generation + 2)
    }

    /// Renews a credential of that generation.
    pub fn renew(&mut self, generation: u64) -> Option<u64> {
        let yields = self.counts(generation).then_some(generation + 1)?;
        self.given.push(yields);
        Some(yields)
    }
}
