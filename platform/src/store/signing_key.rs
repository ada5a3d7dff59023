//! The seeds that sign credentials.

use proto_core::{UnixTime, secret::Secret};
use sqlx::{FromRow, SqliteConnection, query, query_as};

use super::{Blob32, Stamp};

/// A signing key at rest.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct StoredKey {
    #[sqlx(try_from = "Blob32")]
    pub(crate) seed: Secret,
    #[sqlx(try_from = "Stamp")]
    pub(crate) active_from: UnixTime,
    /// Since when it is known to have leaked.
    pub(crate) withdrawn_at: Option<Stamp>,
}

/// All keys, oldest first.
pub(crate) async fn list(db: &mut SqliteConnection) -> sqlx::Result<Vec<StoredKey>> {
    query_as("SELECT seed, active_from, withdrawn_at FROM signing_key ORDER BY active_from, created_at").fetch_all(db).await
}

/// Keeps a new key.
pub(crate) async fn insert(db: &mut SqliteConnection, key: &StoredKey, now: UnixTime) -> sqlx::Result<()> {
    query("INSERT INTO signing_key (seed, created_at, active_from) VALUES ($1, $2, $3)")
        .bind(key.seed.expose().as_slice())
        .bind(Stamp(now))
        .bind(Stamp(key.active_from))
        .execute(db)
        .await?;
    Ok(())
}

/// Marks a key as leaked.
pub(crate) async fn withdraw(db: &mut SqliteConnection, key: &StoredKey, now: UnixTime) -> sqlx::Result<()> {
    query("UPDATE signing_key SET withdrawn_at = $2 WHERE seed = $1")
        .bind(key.seed.expose().as_slice())
        .bind(Stamp(now))
        .execute(db)
        .await?;
    Ok(())
}

/// Forgets a key.
pub(crate) async fn delete(db: &mut SqliteConnection, key: &StoredKey) -> sqlx::Result<()> {
    query("DELETE FROM signing_key WHERE seed = $1").bind(key.seed.expose().as_slice()).execute(db).await?;
    Ok(())
}
