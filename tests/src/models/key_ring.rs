//! A platform's signing keys (S177, S180, D3, F27): for each key three stamps, and every question answered by looking at all of
//! them.

/// Everything about one key, in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which.
    pub number: u8,
    /// When it may sign for the first time.
    pub from: u64,
    /// When it was found to have leaked.
    pub leaked: Option<u64>,
}

/// Which key signs at `now`: of those that did not leak the youngest that may, or else the oldest.
pub fn signs(keys: &[Known], now: u64) -> Option<u8> {
    let good = || keys.iter().filter(|key| key.leaked.is_none());
    let youngest = good().filter(|key| key.from <= now).max_by_key(|key| key.from);
    youngest.or_else(|| good().min_by_key(|key| key.from)).map(|key| key.number)
}

/// What verifies a credential that opens a connection, and what verifies one that is renewed.
pub fn verify(keys: &[Known]) -> (Vec<u8>, Vec<u8>) {
    let good = keys.iter().filter(|key| key.leaked.is_none()).map(|key| key.number).collect();
    (good, keys.iter().map(|key| key.number).collect())
}

/// Whether a credential that this key may have signed can still be renewed at `now`, clocks of 60 s of skew on either side
/// included: it signed until the next key did.
pub fn is_needed(keys: &[Known], key: &Known, now: u64, renewable_for: u64) -> bool {
    let later = keys.iter().filter(|other| (other.from, other.number) > (key.from, key.number));
    let next = later.map(|other| other.from).min();
    next.is_none_or(|until| now < until + renewable_for + 120)
}
