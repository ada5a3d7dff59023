//! Workspaces.

use proto_core::{UnixTime, api::PolicyMode};
use sqlx::{FromRow, SqliteConnection, query, query_as, query_scalar};

use super::{AccountId, OrganizationId, Stamp, Text, member::Role};

/// A workspace that lives.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Organization {
    pub(crate) id: OrganizationId,
    pub(crate) slug: String,
    pub(crate) name: String,
    #[sqlx(try_from = "Text<PolicyMode>")]
    pub(crate) policy_mode: PolicyMode,
}

/// A workspace as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Joined {
    #[sqlx(flatten)]
    pub(crate) organization: Organization,
    #[sqlx(try_from = "Text<Role>")]
    pub(crate) role: Role,
}

/// Keeps a new workspace.
pub(crate) async fn insert(db: &mut SqliteConnection, organization: &Organization, now: UnixTime) -> sqlx::Result<()> {
    query("INSERT INTO organization (id, slug, name, policy_mode, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(&organization.id)
        .bind(&organization.slug)
        .bind(&organization.name)
        .bind(Text(organization.policy_mode))
        .bind(Stamp(now))
        .execute(db)
        .await?;
    Ok(())
}

/// Whether a living workspace has that slug.
pub(crate) async fn slug_is_taken(db: &mut SqliteConnection, slug: &str) -> sqlx::Result<bool> {
    query_scalar("SELECT EXISTS (SELECT 1 FROM organization WHERE slug = $1 AND deleted_at IS NULL)")
        .bind(slug)
        .fetch_one(db)
        .await
}

/// The workspace, unless it was deleted or never was.
pub(crate) async fn living(db: &mut SqliteConnection, id: &OrganizationId) -> sqlx::Result<Option<Organization>> {
    query_as("SELECT id, slug, name, policy_mode FROM organization WHERE id = $1 AND deleted_at IS NULL")
        .bind(id)
        .fetch_optional(db)
        .await
}

/// The workspaces that an account belongs to, by name.
pub(crate) async fn joined(db: &mut SqliteConnection, account: &AccountId) -> sqlx::Result<Vec<Joined>> {
    query_as(
        "SELECT organization.id, slug, name, policy_mode, role
         FROM organization JOIN membership ON membership.organization_id = organization.id
         WHERE membership.account_id = $1 AND deleted_at IS NULL ORDER BY name COLLATE NOCASE, slug",
    )
    .bind(account)
    .fetch_all(db)
    .await
}

/// Sets how handshakes are to be made.
pub(crate) async fn set_policy(db: &mut SqliteConnection, id: &OrganizationId, mode: PolicyMode) -> sqlx::Result<()> {
    query("UPDATE organization SET policy_mode = $2 WHERE id = $1").bind(id).bind(Text(mode)).execute(db).await?;
    Ok(())
}

/// Marks the workspace as deleted and forgets its members.
pub(crate) async fn delete(db: &mut SqliteConnection, id: &OrganizationId, now: UnixTime) -> sqlx::Result<()> {
    query("UPDATE organization SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL")
        .bind(id)
        .bind(Stamp(now))
        .execute(&mut *db)
        .await?;
    query("DELETE FROM membership WHERE organization_id = $1").bind(id).execute(&mut *db).await?;
    query("UPDATE invitation SET closed_at = $2 WHERE organization_id = $1 AND closed_at IS NULL")
        .bind(id)
        .bind(Stamp(now))
        .execute(db)
        .await?;
    Ok(())
}
