//! The keys that sign credentials, and their rotation (S180).
//!
//! A key is published before it is used, by twice the time that relays keep a key set, and stays published for as long as
//! anything that it signed can be renewed.

use proto_core::{
    UnixTime,
    jose::{JwkSet, SKEW, SigningKey},
};
use sqlx::SqliteConnection;

use crate::{
    app::App,
    error::Error,
    random,
    store::signing_key::{self, StoredKey},
};

/// How long a key signs, in seconds: 90 days.
const SERVICE: u64 = 90 * 24 * 60 * 60;

/// How long a successor is published before it signs, in seconds. Relays keep a key set for one hour (S181).
const LEAD: u64 = 2 * 60 * 60;

/// All keys that are published, oldest first; never empty.
#[derive(Clone, Debug)]
pub(crate) struct KeyRing {
    keys: Vec<StoredKey>,
    /// The first one, which signs until another is active.
    first: StoredKey,
}

impl KeyRing {
    fn new(keys: Vec<StoredKey>) -> Option<Self> {
        keys.first().cloned().map(|first| Self { keys, first })
    }

    /// The key to sign with.
    pub(crate) fn signing_key(&self, now: UnixTime) -> SigningKey {
        let active = self.keys.iter().rev().find(|key| key.active_from <= now);
        SigningKey::from_seed(&active.unwrap_or(&self.first).seed)
    }

    /// What relays and devices verify with.
    pub(crate) fn published(&self) -> JwkSet {
        self.keys.iter().map(|key| SigningKey::from_seed(&key.seed).public_key()).collect()
    }

    fn needs_successor(&self, now: UnixTime) -> bool {
        self.keys.last().is_none_or(|newest| newest.active_from.plus(SERVICE) <= now.plus(LEAD))
    }

    /// The keys whose successor has been signing for so long that nothing of theirs can be renewed any more.
    fn outlived(&self, now: UnixTime, renewable_for: u64) -> Vec<StoredKey> {
        let pairs = self.keys.iter().zip(self.keys.iter().skip(1));
        let gone = pairs.filter(|(_, next)| next.active_from.plus(renewable_for).plus(2 * SKEW) <= now);
        gone.map(|(key, _)| key.clone()).collect()
    }
}

/// The keys as they stand, after making or forgetting what is due.
pub(crate) async fn ring(app: &App) -> Result<KeyRing, Error> {
    let now = app.clock.now();
    let renewable_for = app.config.renewable_for;
    let ring = KeyRing::new(signing_key::list(&mut *app.store.read().await?).await?);
    match ring {
        Some(ring) if !ring.needs_successor(now) && ring.outlived(now, renewable_for).is_empty() => Ok(ring),
        _ => {
            let mut tx = app.store.write().await?;
            let ring = tend(&mut tx, now, renewable_for).await?;
            tx.commit().await?;
            Ok(ring)
        }
    }
}

/// Makes a successor at once, which signs once every relay can know it.
pub(crate) async fn rotate(app: &App) -> Result<KeyRing, Error> {
    let now = app.clock.now();
    let mut tx = app.store.write().await?;
    add(&mut tx, now, now.plus(LEAD)).await?;
    let ring = tend(&mut tx, now, app.config.renewable_for).await?;
    tx.commit().await?;
    Ok(ring)
}

async fn tend(db: &mut SqliteConnection, now: UnixTime, renewable_for: u64) -> Result<KeyRing, Error> {
    match KeyRing::new(signing_key::list(&mut *db).await?) {
        None => add(&mut *db, now, now).await?,
        Some(ring) => {
            if ring.needs_successor(now) {
                add(&mut *db, now, now.plus(LEAD)).await?;
            }
            for key in ring.outlived(now, renewable_for) {
                signing_key::delete(&mut *db, &key).await?;
            }
        }
    }
    KeyRing::new(signing_key::list(db).await?).ok_or_else(|| Error::Internal("no signing key".into()))
}

async fn add(db: &mut SqliteConnection, now: UnixTime, active_from: UnixTime) -> Result<(), Error> {
    let key = StoredKey { seed: random::secret()?, active_from };
    Ok(signing_key::insert(db, &key, now).await?)
}

#[cfg(test)]
mod tests {
    use proto_core::secret::Secret;

    use super::*;

    const START: UnixTime = UnixTime(1_000_000);
    const RENEWABLE: u64 = 30 * 24 * 60 * 60;

    fn key(n: u8, active_from: UnixTime) -> StoredKey {
        StoredKey { seed: Secret::new([n; 32]), active_from }
    }

    /// S180: a successor is in the set for two hours before anything is signed with it.
    #[test]
    fn a_successor_is_published_before_it_signs() {
        let old = SigningKey::from_seed(&Secret::new([1; 32]));
        let new = SigningKey::from_seed(&Secret::new([2; 32]));
        let ring = KeyRing::new(vec![key(1, START), key(2, START.plus(LEAD))]).unwrap();
        assert!(ring.published().get(new.kid()).is_some());
        assert_eq!(ring.signing_key(START.plus(LEAD - 1)), old);
        assert_eq!(ring.signing_key(START.plus(LEAD)), new);
        assert_eq!(ring.signing_key(UnixTime(0)), old, "a clock that went back still finds a key");
    }

    #[test]
    fn a_key_serves_ninety_days_and_stays_until_nothing_of_it_is_renewable() {
        let alone = KeyRing::new(vec![key(1, START)]).unwrap();
        assert!(!alone.needs_successor(START.plus(SERVICE - LEAD - 1)));
        assert!(alone.needs_successor(START.plus(SERVICE - LEAD)));
        let switch = START.plus(SERVICE);
        let both = KeyRing::new(vec![key(1, START), key(2, switch)]).unwrap();
        assert!(both.outlived(switch.plus(RENEWABLE), RENEWABLE).is_empty());
        assert_eq!(both.outlived(switch.plus(RENEWABLE + 2 * SKEW), RENEWABLE).len(), 1);
    }
}
