//! Sessions of signed-in accounts.

use proto_core::UnixTime;
use sqlx::{SqliteConnection, query, query_as};

use super::{AccountId, Stamp, account::Account};

/// Keeps a session until `expires_at`.
pub(crate) async fn insert(
    db: &mut SqliteConnection,
    hash: &[u8; 32],
    account: &AccountId,
    now: UnixTime,
    expires_at: UnixTime,
) -> sqlx::Result<()> {
    query("DELETE FROM session WHERE expires_at <= $1").bind(Stamp(now)).execute(&mut *db).await?;
    query("INSERT INTO session (token_hash, account_id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(hash.as_slice())
        .bind(account)
        .bind(Stamp(now))
        .bind(Stamp(expires_at))
        .execute(db)
        .await?;
    Ok(())
}

/// Whose session that is, while it lasts.
pub(crate) async fn account(db: &mut SqliteConnection, hash: &[u8; 32], now: UnixTime) -> sqlx::Result<Option<Account>> {
    query_as(
        "SELECT account.id, account.email, account.name FROM session JOIN account ON account.id = session.account_id
         WHERE session.token_hash = $1 AND session.expires_at > $2",
    )
    .bind(hash.as_slice())
    .bind(Stamp(now))
    .fetch_optional(db)
    .await
}

/// Ends one session.
pub(crate) async fn delete(db: &mut SqliteConnection, hash: &[u8; 32]) -> sqlx::Result<()> {
    query("DELETE FROM session WHERE token_hash = $1").bind(hash.as_slice()).execute(db).await?;
    Ok(())
}

/// Ends all sessions of an account but one.
pub(crate) async fn delete_others(db: &mut SqliteConnection, account: &AccountId, kept: &[u8; 32]) -> sqlx::Result<()> {
    query("DELETE FROM session WHERE account_id = $1 AND token_hash <> $2")
        .bind(account)
        .bind(kept.as_slice())
        .execute(db)
        .await?;
    Ok(())
}
