//! The keys that sign credentials, as [`KeyRing`] decides: kept in the database, and changed there in one transaction (S180).

use proto_core::{
    jose::{SigningKey, Thumbprint},
    platform::key_ring::{Change, Key, KeyRing},
};
use sqlx::SqliteConnection;

use crate::{
    app::App,
    error::Error,
    random,
    store::signing_key::{self, StoredKey},
};

/// The keys as they stand, after making or forgetting what is due.
pub(crate) async fn ring(app: &App) -> Result<KeyRing, Error> {
    let ring = load(&mut *app.store.read().await?).await?;
    if ring.due(app.clock.now(), app.config.renewable_for).is_empty() { Ok(ring) } else { change(app, |_| Vec::new()).await }
}

/// The key that signs now.
pub(crate) fn signing_key(app: &App, ring: &KeyRing) -> Result<SigningKey, Error> {
    ring.signing_key(app.clock.now()).cloned().ok_or_else(|| Error::Internal("no signing key".into()))
}

/// Makes a successor before its time, which signs once every relay can know it.
pub(crate) async fn rotate(app: &App) -> Result<KeyRing, Error> {
    let now = app.clock.now();
    change(app, |ring| ring.rotate(now).into_iter().collect()).await
}

/// Withdraws all keys, because they may have leaked, and signs with a fresh one from now on.
pub(crate) async fn withdraw(app: &App) -> Result<KeyRing, Error> {
    let now = app.clock.now();
    change(app, |ring| ring.withdraw(now)).await
}

/// Carries out what was asked for, then what is due.
async fn change(app: &App, asked: impl FnOnce(&KeyRing) -> Vec<Change> + Send) -> Result<KeyRing, Error> {
    let now = app.clock.now();
    let mut tx = app.store.write().await?;
    for change in asked(&load(&mut tx).await?) {
        carry_out(app, &mut tx, change).await?;
    }
    for change in load(&mut tx).await?.due(now, app.config.renewable_for) {
        carry_out(app, &mut tx, change).await?;
    }
    let ring = load(&mut tx).await?;
    tx.commit().await?;
    Ok(ring)
}

async fn load(db: &mut SqliteConnection) -> Result<KeyRing, Error> {
    let key = |stored: &StoredKey| Key {
        signing: SigningKey::from_seed(&stored.seed),
        active_from: stored.active_from,
        is_withdrawn: stored.withdrawn_at.is_some(),
    };
    Ok(signing_key::list(db).await?.iter().map(key).collect())
}

async fn carry_out(app: &App, db: &mut SqliteConnection, change: Change) -> Result<(), Error> {
    let now = app.clock.now();
    match change {
        Change::Add { active_from } => {
            let key = StoredKey { seed: random::secret()?, active_from, withdrawn_at: None };
            signing_key::insert(db, &key, now).await?;
        }
        Change::Withdraw(kid) => {
            let key = find(&mut *db, kid).await?;
            signing_key::withdraw(db, &key, now).await?;
        }
        Change::Forget(kid) => {
            let key = find(&mut *db, kid).await?;
            signing_key::delete(db, &key).await?;
        }
    }
    Ok(())
}

async fn find(db: &mut SqliteConnection, kid: Thumbprint) -> Result<StoredKey, Error> {
    let keys = signing_key::list(db).await?;
    let found = keys.into_iter().find(|key| SigningKey::from_seed(&key.seed).kid() == kid);
    found.ok_or_else(|| Error::Internal("a signing key that is gone".into()))
}
