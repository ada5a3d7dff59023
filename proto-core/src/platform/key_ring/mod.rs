//! The keys that sign a platform's credentials: when each signs, when it is published, when it goes (S177, S180, D3).
//!
//! ```text
//!             LEAD               SERVICE, or until a rotation       as long as anything it signed is renewable
//! made ──► published ──► signs ───────────────────────────► published ──────────────────────────► forgotten
//!             │            │                                   │                                      ▲
//!             │            └──────────── withdrawn ◄───────────┘                                      │
//!             └── withdrawn: forgotten at once   └─ neither signs nor is published; renews ───────────┘
//! ```
//!
//! A key is published before it is used, by twice the time that relays keep a key set (S181). A key that leaked is *withdrawn*:
//! from then on it is in no key set, and the platform calls what it signed no valid credential. Its successor signs at once; relays
//! ask for the key set again when they meet a key that they do not know. What a withdrawn key signed can still be *renewed*: a
//! renewal rests on the device's own key and on what the platform stores, not on the signature alone, so all devices recover by
//! themselves, and an attacker with the leaked key gains nothing.
//!
//! Pure functions over the stored keys; the platform carries a [`Change`] out in one transaction.

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use crate::{
    jose::{JwkSet, SKEW, SigningKey, Thumbprint},
    keyset::FRESH_FOR,
    machine::time::UnixTime,
};

/// How long a key signs, in seconds: 90 days.
pub const SERVICE: u64 = 90 * 24 * 60 * 60;

/// How long a successor is published before it signs, in seconds: two hours, twice as long as relays keep a key set (S181).
pub const LEAD: u64 = 2 * FRESH_FOR.as_secs();

/// A key and its standing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The key.
    pub signing: SigningKey,
    /// When it signs for the first time.
    pub active_from: UnixTime,
    /// Whether it leaked.
    pub is_withdrawn: bool,
}

/// What is to be done about the stored keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Make a key that signs from then on.
    Add {
        /// When it signs for the first time.
        active_from: UnixTime,
    },
    /// Mark the key of that name as leaked.
    Withdraw(Thumbprint),
    /// Forget the key of that name.
    Forget(Thumbprint),
}

/// All keys of a platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyRing {
    /// In the order in which they sign.
    keys: Vec<Key>,
}

impl FromIterator<Key> for KeyRing {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_by_key(|key| key.active_from);
        Self { keys }
    }
}

impl KeyRing {
    /// The key to sign with: the latest one whose time has come, or the first one where a clock went back before all of them.
    pub fn signing_key(&self, now: UnixTime) -> Option<&SigningKey> {
        let active = self.living().rev().find(|key| key.active_from <= now);
        active.or_else(|| self.living().next()).map(|key| &key.signing)
    }

    /// What relays and devices verify with (S177).
    pub fn published(&self) -> JwkSet {
        self.living().map(|key| key.signing.public_key()).collect()
    }

    /// What the signature of a credential that is to be renewed is verified with.
    pub fn renewable(&self) -> JwkSet {
        self.keys.iter().map(|key| key.signing.public_key()).collect()
    }

    /// What is to be done at `now`. Empty right after it was done. `renewable_for` is how long credentials can be renewed, in
    /// seconds.
    pub fn due(&self, now: UnixTime, renewable_for: u64) -> Vec<Change> {
        let added = match self.living().next_back() {
            None => Some(Change::Add { active_from: now }),
            Some(newest) if newest.active_from.plus(SERVICE) <= now.plus(LEAD) => {
                Some(Change::Add { active_from: now.plus(LEAD) })
            }
            Some(_) => None,
        };
        let pairs = self.keys.iter().zip(self.keys.iter().skip(1));
        let outlived = pairs.filter(|(_, next)| next.active_from.plus(renewable_for).plus(2 * SKEW) <= now);
        added.into_iter().chain(outlived.map(|(key, _)| Change::Forget(key.signing.kid()))).collect()
    }

    /// A successor before its time. None while there is one already that does not sign yet.
    pub fn rotate(&self, now: UnixTime) -> Option<Change> {
        let has_successor = self.living().any(|key| key.active_from > now);
        (!has_successor).then(|| Change::Add { active_from: now.plus(LEAD) })
    }

    /// What is to be done when all keys may have leaked: each is withdrawn, and a fresh one signs at once.
    pub fn withdraw(&self, now: UnixTime) -> Vec<Change> {
        let leaked = self.living().map(|key| {
            let kid = key.signing.kid();
            // What never signed has nothing to be renewed.
            if key.active_from > now { Change::Forget(kid) } else { Change::Withdraw(kid) }
        });
        leaked.chain([Change::Add { active_from: now }]).collect()
    }

    /// All keys, in the order in which they sign.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    fn living(&self) -> impl DoubleEndedIterator<Item = &Key> {
        self.keys.iter().filter(|key| !key.is_withdrawn)
    }
}
