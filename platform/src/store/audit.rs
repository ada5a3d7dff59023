//! Who did what.

use proto_core::UnixTime;
use sqlx::{FromRow, SqliteConnection, query, query_as};

use super::{AccountId, OrganizationId, Stamp, Text, words};

/// How many entries a page shows.
pub(crate) const PAGE: i64 = 100;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Action {
    OrganizationCreated,
    PairingApproved,
    PairingDenied,
    MachineRevoked,
    PolicyChanged,
    MemberInvited,
    InvitationWithdrawn,
    MemberJoined,
    MemberRemoved,
    MemberLeft,
    RoleChanged,
    OrganizationDeleted,
    KeyGenerationMade,
}

words!(Action {
    Self::OrganizationCreated => "organization_created",
    Self::PairingApproved => "pairing_approved",
    Self::PairingDenied => "pairing_denied",
    Self::MachineRevoked => "machine_revoked",
    Self::PolicyChanged => "policy_changed",
    Self::MemberInvited => "member_invited",
    Self::InvitationWithdrawn => "invitation_withdrawn",
    Self::MemberJoined => "member_joined",
    Self::MemberRemoved => "member_removed",
    Self::MemberLeft => "member_left",
    Self::RoleChanged => "role_changed",
    Self::OrganizationDeleted => "organization_deleted",
    Self::KeyGenerationMade => "key_generation_made",
});

/// A row of the audit page.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Entry {
    pub(crate) number: i64,
    #[sqlx(try_from = "Stamp")]
    pub(crate) at: UnixTime,
    pub(crate) actor: String,
    #[sqlx(try_from = "Text<Action>")]
    pub(crate) action: Action,
    pub(crate) subject: String,
}

/// Who did something where. A denied code belongs to no workspace, unless it asked for one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actor<'a> {
    pub(crate) organization: Option<&'a OrganizationId>,
    pub(crate) account: &'a AccountId,
    pub(crate) now: UnixTime,
}

/// Writes down that `actor` did `action` to `subject`.
pub(crate) async fn record(db: &mut SqliteConnection, actor: Actor<'_>, action: Action, subject: &str) -> sqlx::Result<()> {
    query("INSERT INTO audit (organization_id, at, actor_id, action, subject) VALUES ($1, $2, $3, $4, $5)")
        .bind(actor.organization)
        .bind(Stamp(actor.now))
        .bind(actor.account)
        .bind(Text(action))
        .bind(subject)
        .execute(db)
        .await?;
    Ok(())
}

/// The workspace's entries below number `before`, newest first, at most [`PAGE`].
pub(crate) async fn list(db: &mut SqliteConnection, organization: &OrganizationId, before: i64) -> sqlx::Result<Vec<Entry>> {
    query_as(
        "SELECT number, at, account.name AS actor, action, subject FROM audit JOIN account ON account.id = actor_id
         WHERE organization_id = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
    )
    .bind(organization)
    .bind(before)
    .bind(PAGE)
    .fetch_all(db)
    .await
}
