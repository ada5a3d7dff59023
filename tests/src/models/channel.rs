//! One direction of a channel (NOI-6, SES-1): what was sealed, in order, and what of it was opened.

use std::collections::{BTreeSet, VecDeque};

/// What is between sealing and opening.
#[derive(Clone, Debug, Default)]
pub struct Pipe {
    /// Sealed, not opened: what it says, and its bytes.
    pub under_way: VecDeque<(u64, Vec<u8>)>,
    /// Every ciphertext there ever was. The same words twice under one key and nonce are the same bytes.
    pub seen: BTreeSet<Vec<u8>>,
}

impl Pipe {
    /// `says` was sealed to `bytes`.
    ///
    /// # Panics
    /// When they were there before (NOI-6).
    pub fn sealed(&mut self, says: u64, bytes: Vec<u8>) {
        assert!(self.seen.insert(bytes.clone()), "NOI-6: a nonce was used twice");
        self.under_way.push_back((says, bytes));
    }

    /// The next message, if it is to be opened now.
    pub fn take(&mut self) -> Option<(u64, Vec<u8>)> {
        self.under_way.pop_front()
    }
}
