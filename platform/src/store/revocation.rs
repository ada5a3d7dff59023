//! The feed of revocations for relays, in order (D3).

use proto_core::{UnixTime, api::Revocations};
use sqlx::{SqliteConnection, query, query_as, query_scalar};

use super::{OrganizationId, RuntimeTargetId, Stamp};

/// How many revocations one answer holds; a relay asks again at once for more.
const BATCH: i64 = 1000;

/// A runtime target was revoked.
pub(crate) async fn of_target(db: &mut SqliteConnection, target: &RuntimeTargetId, now: UnixTime) -> sqlx::Result<()> {
    query("INSERT INTO revocation (runtime_target_id, at) VALUES ($1, $2)").bind(target).bind(Stamp(now)).execute(db).await?;
    Ok(())
}

/// A workspace was deleted.
pub(crate) async fn of_organization(db: &mut SqliteConnection, id: &OrganizationId, now: UnixTime) -> sqlx::Result<()> {
    query("INSERT INTO revocation (organization_id, at) VALUES ($1, $2)").bind(id).bind(Stamp(now)).execute(db).await?;
    Ok(())
}

/// The number of the latest one, 0 where there is none.
pub(crate) async fn latest(db: &mut SqliteConnection) -> sqlx::Result<u64> {
    let number: i64 = query_scalar("SELECT coalesce(max(number), 0) FROM revocation").fetch_one(db).await?;
    Ok(u64::try_from(number).unwrap_or(0))
}

/// What came after number `after`.
pub(crate) async fn since(db: &mut SqliteConnection, after: u64) -> sqlx::Result<Revocations> {
    let rows: Vec<(i64, Option<RuntimeTargetId>, Option<OrganizationId>)> =
        query_as("SELECT number, runtime_target_id, organization_id FROM revocation WHERE number > $1 ORDER BY number LIMIT $2")
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(BATCH)
            .fetch_all(db)
            .await?;
    let mut revocations = Revocations { last: after, ..Revocations::default() };
    for (number, target, organization) in rows {
        revocations.last = u64::try_from(number).unwrap_or(after);
        revocations.runtime_targets.extend(target.map(|id| id.wire().clone()));
        revocations.organizations.extend(organization.map(|id| id.wire().clone()));
    }
    Ok(revocations)
}
