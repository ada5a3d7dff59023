//! Browsers in which an account signed in before.

use proto_core::UnixTime;
use sqlx::{SqliteConnection, query, query_scalar};

use super::{AccountId, Stamp};

/// How many are kept of one account; the oldest go first.
const KEPT: i64 = 20;

/// Keeps one, from the first of the two times to the second.
pub(crate) async fn insert(
    db: &mut SqliteConnection,
    hash: &[u8; 32],
    account: &AccountId,
    (now, until): (UnixTime, UnixTime),
) -> sqlx::Result<()> {
    query("INSERT INTO known_browser (token_hash, account_id, expires_at) VALUES ($1, $2, $3)")
        .bind(hash.as_slice())
        .bind(account)
        .bind(Stamp(until))
        .execute(&mut *db)
        .await?;
    query(
        "DELETE FROM known_browser WHERE expires_at <= $2 OR (account_id = $1 AND token_hash NOT IN
         (SELECT token_hash FROM known_browser WHERE account_id = $1 ORDER BY expires_at DESC, rowid DESC LIMIT $3))",
    )
    .bind(account)
    .bind(Stamp(now))
    .bind(KEPT)
    .execute(db)
    .await?;
    Ok(())
}

/// Whether that is one of the account's.
pub(crate) async fn is_known(
    db: &mut SqliteConnection,
    hash: &[u8; 32],
    account: &AccountId,
    now: UnixTime,
) -> sqlx::Result<bool> {
    query_scalar("SELECT EXISTS (SELECT 1 FROM known_browser WHERE token_hash = $1 AND account_id = $2 AND expires_at > $3)")
        .bind(hash.as_slice())
        .bind(account)
        .bind(Stamp(now))
        .fetch_one(db)
        .await
}
