//! Invitations: links that make the user who opens them a member, once.

use proto_core::UnixTime;
use sqlx::{FromRow, SqliteConnection, query, query_as};

use super::{AccountId, InvitationId, OrganizationId, Stamp, Text, member::Role};

/// An invitation that is neither used, withdrawn nor past its time.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Invitation {
    pub(crate) id: InvitationId,
    pub(crate) organization_id: OrganizationId,
    pub(crate) organization_name: String,
    pub(crate) organization_slug: String,
    #[sqlx(try_from = "Text<Role>")]
    pub(crate) role: Role,
    pub(crate) label: String,
    pub(crate) invited_by: String,
    #[sqlx(try_from = "Stamp")]
    pub(crate) expires_at: UnixTime,
}

/// What a new invitation is made of.
#[derive(Debug)]
pub(crate) struct NewInvitation<'a> {
    pub(crate) organization: &'a OrganizationId,
    pub(crate) token_hash: [u8; 32],
    pub(crate) role: Role,
    pub(crate) label: &'a str,
    pub(crate) invited_by: &'a AccountId,
    pub(crate) expires_at: UnixTime,
}

/// Keeps a new invitation.
///
/// Returns whether it is new: the same form sent twice makes one invitation.
pub(crate) async fn insert(
    db: &mut SqliteConnection,
    invitation: &NewInvitation<'_>,
    now: UnixTime,
) -> Result<bool, crate::Error> {
    let done = query(
        "INSERT INTO invitation (id, organization_id, token_hash, role, label, invited_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (token_hash) DO NOTHING",
    )
    .bind(InvitationId::fresh(now)?)
    .bind(invitation.organization)
    .bind(invitation.token_hash.as_slice())
    .bind(Text(invitation.role))
    .bind(invitation.label)
    .bind(invitation.invited_by)
    .bind(Stamp(now))
    .bind(Stamp(invitation.expires_at))
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The open invitation of that token.
pub(crate) async fn open(db: &mut SqliteConnection, token_hash: &[u8; 32], now: UnixTime) -> sqlx::Result<Option<Invitation>> {
    query_as(
        "SELECT invitation.id, organization_id, organization.name AS organization_name,
                organization.slug AS organization_slug, role, label, account.name AS invited_by, expires_at
         FROM invitation JOIN organization ON organization.id = organization_id JOIN account ON account.id = invited_by
         WHERE token_hash = $1 AND closed_at IS NULL AND expires_at > $2",
    )
    .bind(token_hash.as_slice())
    .bind(Stamp(now))
    .fetch_optional(db)
    .await
}

/// The open invitations of a workspace, newest first.
pub(crate) async fn list(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    now: UnixTime,
) -> sqlx::Result<Vec<Invitation>> {
    query_as(
        "SELECT invitation.id, organization_id, organization.name AS organization_name,
                organization.slug AS organization_slug, role, label, account.name AS invited_by, expires_at
         FROM invitation JOIN organization ON organization.id = organization_id JOIN account ON account.id = invited_by
         WHERE organization_id = $1 AND closed_at IS NULL AND expires_at > $2 ORDER BY invitation.id DESC",
    )
    .bind(organization)
    .bind(Stamp(now))
    .fetch_all(db)
    .await
}

/// Closes all open invitations that an account made to the workspace.
pub(crate) async fn close_of(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    account: &AccountId,
    now: UnixTime,
) -> sqlx::Result<()> {
    query("UPDATE invitation SET closed_at = $3 WHERE organization_id = $1 AND invited_by = $2 AND closed_at IS NULL")
        .bind(organization)
        .bind(account)
        .bind(Stamp(now))
        .execute(db)
        .await?;
    Ok(())
}

/// Uses an invitation up, or withdraws it. Returns whether it was open in that workspace.
pub(crate) async fn close(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    id: &InvitationId,
    now: UnixTime,
) -> sqlx::Result<bool> {
    let done = query("UPDATE invitation SET closed_at = $3 WHERE organization_id = $1 AND id = $2 AND closed_at IS NULL")
        .bind(organization)
        .bind(id)
        .bind(Stamp(now))
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}
