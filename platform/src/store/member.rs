//! Which accounts belong to which workspace.

use proto_core::UnixTime;
use sqlx::{FromRow, SqliteConnection, query, query_as, query_scalar};

use super::{AccountId, OrganizationId, Stamp, Text, words};

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
    /// Everything: members, policy, every member's machines, the workspace itself.
    Admin,
    /// Pairing machines, and revoking one's own.
    Member,
}

words!(Role { Self::Admin => "admin", Self::Member => "member", });

/// A row of the members page.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Member {
    pub(crate) id: AccountId,
    pub(crate) email: String,
    pub(crate) name: String,
    #[sqlx(try_from = "Text<Role>")]
    pub(crate) role: Role,
    #[sqlx(try_from = "Stamp")]
    pub(crate) since: UnixTime,
    pub(crate) machines: i64,
}

/// Makes the account a member; one that is already stays what it is.
pub(crate) async fn insert(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    account: &AccountId,
    role: Role,
    now: UnixTime,
) -> sqlx::Result<bool> {
    let done = query(
        "INSERT INTO membership (organization_id, account_id, role, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
    )
    .bind(organization)
    .bind(account)
    .bind(Text(role))
    .bind(Stamp(now))
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What the account is in the workspace, if anything.
pub(crate) async fn role(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    account: &AccountId,
) -> sqlx::Result<Option<Role>> {
    let role: Option<Text<Role>> = query_scalar("SELECT role FROM membership WHERE organization_id = $1 AND account_id = $2")
        .bind(organization)
        .bind(account)
        .fetch_optional(db)
        .await?;
    Ok(role.map(|role| role.0))
}

/// All members of the workspace, by name.
pub(crate) async fn list(db: &mut SqliteConnection, organization: &OrganizationId) -> sqlx::Result<Vec<Member>> {
    query_as(
        "SELECT account.id, email, account.name, role, membership.created_at AS since,
                (SELECT count(*) FROM machine JOIN runtime_target ON machine_id = machine.id
                 WHERE machine.owner_id = account.id AND machine.organization_id = $1 AND revoked_at IS NULL) AS machines
         FROM membership JOIN account ON account.id = membership.account_id
         WHERE membership.organization_id = $1 ORDER BY account.name COLLATE NOCASE, email",
    )
    .bind(organization)
    .fetch_all(db)
    .await
}

/// How many admins the workspace has.
pub(crate) async fn count_admins(db: &mut SqliteConnection, organization: &OrganizationId) -> sqlx::Result<i64> {
    query_scalar("SELECT count(*) FROM membership WHERE organization_id = $1 AND role = $2")
        .bind(organization)
        .bind(Text(Role::Admin))
        .fetch_one(db)
        .await
}

/// Changes what a member may do.
pub(crate) async fn set_role(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    account: &AccountId,
    role: Role,
) -> sqlx::Result<()> {
    query("UPDATE membership SET role = $3 WHERE organization_id = $1 AND account_id = $2")
        .bind(organization)
        .bind(account)
        .bind(Text(role))
        .execute(db)
        .await?;
    Ok(())
}

/// The account belongs to the workspace no more.
pub(crate) async fn delete(db: &mut SqliteConnection, organization: &OrganizationId, account: &AccountId) -> sqlx::Result<()> {
    query("DELETE FROM membership WHERE organization_id = $1 AND account_id = $2")
        .bind(organization)
        .bind(account)
        .execute(db)
        .await?;
    Ok(())
}
