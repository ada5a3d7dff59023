//! Accounts, and the token that makes the first one.

use proto_core::UnixTime;
use sqlx::{FromRow, SqliteConnection, query, query_as, query_scalar};

use super::{AccountId, Stamp};

/// A person who can sign in.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) email: String,
    pub(crate) name: String,
}

/// What a new account is made of.
#[derive(Debug)]
pub(crate) struct NewAccount<'a> {
    pub(crate) email: &'a str,
    pub(crate) name: &'a str,
    pub(crate) password_hash: &'a str,
}

/// Whether there is any account.
pub(crate) async fn exists(db: &mut SqliteConnection) -> sqlx::Result<bool> {
    query_scalar("SELECT EXISTS (SELECT 1 FROM account)").fetch_one(db).await
}

/// Whether that address is taken.
pub(crate) async fn email_is_taken(db: &mut SqliteConnection, email: &str) -> sqlx::Result<bool> {
    query_scalar("SELECT EXISTS (SELECT 1 FROM account WHERE email = $1)").bind(email).fetch_one(db).await
}

/// Keeps a new account.
pub(crate) async fn insert(
    db: &mut SqliteConnection,
    id: &AccountId,
    account: &NewAccount<'_>,
    now: UnixTime,
) -> sqlx::Result<()> {
    query("INSERT INTO account (id, email, name, password, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(id)
        .bind(account.email)
        .bind(account.name)
        .bind(account.password_hash)
        .bind(Stamp(now))
        .execute(db)
        .await?;
    Ok(())
}

/// The account of that address, and its password's hash.
pub(crate) async fn with_password(db: &mut SqliteConnection, email: &str) -> sqlx::Result<Option<(AccountId, String)>> {
    query_as("SELECT id, password FROM account WHERE email = $1").bind(email).fetch_optional(db).await
}

/// Keeps the hash of a new password.
pub(crate) async fn set_password(db: &mut SqliteConnection, id: &AccountId, hash: &str) -> sqlx::Result<()> {
    query("UPDATE account SET password = $2 WHERE id = $1").bind(id).bind(hash).execute(db).await?;
    Ok(())
}

/// Replaces the set-up token by this one.
pub(crate) async fn replace_setup(db: &mut SqliteConnection, hash: &[u8; 32], now: UnixTime) -> sqlx::Result<()> {
    forget_setup(&mut *db).await?;
    query("INSERT INTO setup (token_hash, created_at) VALUES ($1, $2)")
        .bind(hash.as_slice())
        .bind(Stamp(now))
        .execute(db)
        .await?;
    Ok(())
}

/// Whether this is the set-up token.
pub(crate) async fn setup_fits(db: &mut SqliteConnection, hash: &[u8; 32]) -> sqlx::Result<bool> {
    query_scalar("SELECT EXISTS (SELECT 1 FROM setup WHERE token_hash = $1)").bind(hash.as_slice()).fetch_one(db).await
}

/// There is no set-up token any more.
pub(crate) async fn forget_setup(db: &mut SqliteConnection) -> sqlx::Result<()> {
    query("DELETE FROM setup").execute(db).await?;
    Ok(())
}
