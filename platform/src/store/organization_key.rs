//! The organization's key: what is public of it, and what only single devices open.

use proto_core::{UnixTime, key::IdentityKey};
use sqlx::{FromRow, SqliteConnection, query, query_as, query_scalar};

use super::{Blob32, OrganizationId, RuntimeTargetId, Stamp};

/// The newest statement's bytes.
pub(crate) async fn newest(db: &mut SqliteConnection, organization: &OrganizationId) -> sqlx::Result<Option<Vec<u8>>> {
    query_scalar("SELECT statement FROM organization_key WHERE organization_id = $1 ORDER BY generation DESC LIMIT 1")
        .bind(organization)
        .fetch_optional(db)
        .await
}

/// The statements after generation `after`, in order, at most `limit`.
pub(crate) async fn statements(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    after: u32,
    limit: u32,
) -> sqlx::Result<Vec<Vec<u8>>> {
    query_scalar(
        "SELECT statement FROM organization_key WHERE organization_id = $1 AND generation > $2 ORDER BY generation LIMIT $3",
    )
    .bind(organization)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Adds the next statement.
pub(crate) async fn publish(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    generation: u32,
    statement: &[u8],
    maker: &RuntimeTargetId,
    now: UnixTime,
) -> sqlx::Result<()> {
    query("INSERT INTO organization_key (organization_id, generation, statement, made_by, made_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(organization)
        .bind(generation)
        .bind(statement)
        .bind(maker)
        .bind(Stamp(now))
        .execute(db)
        .await?;
    Ok(())
}

/// Keeps a device's wrapping key. What was wrapped for it before is gone: it says with this that it cannot open it.
pub(crate) async fn register(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    target: &RuntimeTargetId,
    key: &[u8],
    signature: &[u8],
    now: UnixTime,
) -> sqlx::Result<()> {
    query("DELETE FROM handover WHERE runtime_target_id = $1").bind(target).execute(&mut *db).await?;
    query(
        "INSERT INTO wrapping_key (runtime_target_id, organization_id, public_key, signature, registered_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (runtime_target_id) DO UPDATE SET public_key = $3, signature = $4, registered_at = $5",
    )
    .bind(target)
    .bind(organization)
    .bind(key)
    .bind(signature)
    .bind(Stamp(now))
    .execute(db)
    .await?;
    Ok(())
}

/// Whether that device's wrapping key is registered.
pub(crate) async fn is_registered(db: &mut SqliteConnection, target: &RuntimeTargetId) -> sqlx::Result<bool> {
    query_scalar("SELECT count(*) > 0 FROM wrapping_key WHERE runtime_target_id = $1").bind(target).fetch_one(db).await
}

/// What was wrapped for a device, and of which generation it is.
pub(crate) async fn handed(db: &mut SqliteConnection, target: &RuntimeTargetId) -> sqlx::Result<Option<(u32, Vec<u8>)>> {
    query_as("SELECT generation, wrapped FROM handover WHERE runtime_target_id = $1").bind(target).fetch_optional(db).await
}

/// A registered viewing device that is alive.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Waiting {
    pub(crate) id: RuntimeTargetId,
    #[sqlx(try_from = "Blob32")]
    pub(crate) identity_key: IdentityKey,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) public_key: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

/// Those that were not handed this generation, longest registered first.
pub(crate) async fn waiting(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    generation: u32,
    limit: u32,
) -> sqlx::Result<Vec<Waiting>> {
    query_as(
        "SELECT runtime_target.id, identity_key, machine.name, account.name AS owner, public_key, signature
         FROM wrapping_key JOIN runtime_target ON runtime_target.id = wrapping_key.runtime_target_id
              JOIN machine ON machine.id = machine_id JOIN account ON account.id = owner_id
         WHERE wrapping_key.organization_id = $1 AND revoked_at IS NULL AND NOT EXISTS (
             SELECT 1 FROM handover WHERE handover.runtime_target_id = runtime_target.id AND generation >= $2)
         ORDER BY registered_at, runtime_target.id LIMIT $3",
    )
    .bind(organization)
    .bind(generation)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// One registered viewing device of the workspace, if it is alive.
pub(crate) async fn living(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    target: &RuntimeTargetId,
) -> sqlx::Result<bool> {
    query_scalar(
        "SELECT count(*) > 0 FROM wrapping_key JOIN runtime_target ON runtime_target.id = wrapping_key.runtime_target_id
         WHERE wrapping_key.organization_id = $1 AND runtime_target.id = $2 AND revoked_at IS NULL",
    )
    .bind(organization)
    .bind(target)
    .fetch_one(db)
    .await
}

/// Keeps what was wrapped for a device; the first one of a generation counts.
pub(crate) async fn hand_over(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    target: &RuntimeTargetId,
    generation: u32,
    wrapped: &[u8],
    giver: &RuntimeTargetId,
    now: UnixTime,
) -> sqlx::Result<()> {
    query(
        "INSERT INTO handover (runtime_target_id, organization_id, generation, wrapped, given_by, given_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (runtime_target_id) DO UPDATE SET generation = $3, wrapped = $4, given_by = $5, given_at = $6
         WHERE handover.generation < $3",
    )
    .bind(target)
    .bind(organization)
    .bind(generation)
    .bind(wrapped)
    .bind(giver)
    .bind(Stamp(now))
    .execute(db)
    .await?;
    Ok(())
}

/// Whether a device that holds this generation has been revoked: one that it was wrapped for, or that made it.
pub(crate) async fn is_known_to_revoked(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    generation: u32,
) -> sqlx::Result<bool> {
    query_scalar(
        "SELECT EXISTS (SELECT 1 FROM handover JOIN runtime_target ON runtime_target.id = handover.runtime_target_id
                        WHERE handover.organization_id = $1 AND handover.generation = $2 AND revoked_at IS NOT NULL)
             OR EXISTS (SELECT 1 FROM organization_key JOIN runtime_target ON runtime_target.id = made_by
                        WHERE organization_key.organization_id = $1 AND organization_key.generation = $2
                          AND revoked_at IS NOT NULL)",
    )
    .bind(organization)
    .bind(generation)
    .fetch_one(db)
    .await
}
