//! Machines: devices paired to a workspace.

use proto_core::{
    UnixTime,
    api::NamedMachine,
    id::DeviceKind,
    jose::{Confirmation, Thumbprint},
    key::{IdentityKey, StaticKey},
    platform::rotation::{Holder, Record},
    secret::Secret,
};
use sqlx::{FromRow, SqliteConnection, query, query_as, query_scalar};

use super::{AccountId, Blob32, InstallId, MachineId, OrganizationId, RuntimeTargetId, Stamp, Text};

/// The three rows of one approval (S34 to S37).
#[derive(Debug)]
pub(crate) struct NewMachine<'a> {
    pub(crate) organization: &'a OrganizationId,
    pub(crate) owner: &'a AccountId,
    pub(crate) install: &'a InstallId,
    pub(crate) target: &'a RuntimeTargetId,
    pub(crate) machine: &'a MachineId,
    pub(crate) kind: DeviceKind,
    pub(crate) name: &'a str,
    pub(crate) software: &'a str,
    pub(crate) identity_key: IdentityKey,
    pub(crate) static_key: StaticKey,
    pub(crate) psk: Option<&'a Secret>,
}

/// A row of the machines page.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Machine {
    pub(crate) id: MachineId,
    #[sqlx(try_from = "Text<DeviceKind>")]
    pub(crate) kind: DeviceKind,
    pub(crate) name: String,
    pub(crate) software: String,
    pub(crate) owner_id: AccountId,
    pub(crate) owner: String,
    #[sqlx(try_from = "Stamp")]
    pub(crate) paired_at: UnixTime,
    pub(crate) last_seen_at: Option<Stamp>,
    pub(crate) revoked_at: Option<Stamp>,
    pub(crate) has_psk: bool,
}

/// What a credential refers to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) id: RuntimeTargetId,
    pub(crate) record: Record,
    pub(crate) last_seen_at: Option<Stamp>,
    psk: Option<Blob32>,
}

impl Target {
    /// The binding's pre-shared key, when it was paired with one.
    pub(crate) fn psk(&self) -> Option<Secret> {
        self.psk.clone().map(Secret::from)
    }
}

/// A [`Target`] as its row has it.
#[derive(FromRow)]
struct TargetRow {
    id: RuntimeTargetId,
    organization_id: OrganizationId,
    install_id: InstallId,
    machine_id: MachineId,
    #[sqlx(try_from = "Text<DeviceKind>")]
    kind: DeviceKind,
    #[sqlx(try_from = "Blob32")]
    identity_key: IdentityKey,
    #[sqlx(try_from = "Blob32")]
    static_key: StaticKey,
    psk: Option<Blob32>,
    generation: i64,
    last_seen_at: Option<Stamp>,
    revoked_at: Option<Stamp>,
}

impl From<TargetRow> for Target {
    fn from(row: TargetRow) -> Self {
        let holder = Holder {
            org: row.organization_id.wire().clone(),
            install: row.install_id.wire().clone(),
            runtime_target: row.id.wire().clone(),
            machine: row.machine_id.wire().clone(),
            role: row.kind,
            confirmation: confirmation(row.static_key, row.identity_key),
        };
        let record = Record { holder, latest: u64::try_from(row.generation).unwrap_or(0), is_revoked: row.revoked_at.is_some() };
        Self { id: row.id, record, last_seen_at: row.last_seen_at, psk: row.psk }
    }
}

/// What credentials for these keys name.
pub(crate) fn confirmation(static_key: StaticKey, identity_key: IdentityKey) -> Confirmation {
    Confirmation { static_key, identity: Thumbprint::of_identity_key(identity_key) }
}

/// Keeps an approved device: an install, a machine and a runtime target, all in the one workspace.
pub(crate) async fn insert(db: &mut SqliteConnection, new: &NewMachine<'_>, now: UnixTime) -> sqlx::Result<()> {
    query("INSERT INTO install (id, organization_id, created_at) VALUES ($1, $2, $3)")
        .bind(new.install)
        .bind(new.organization)
        .bind(Stamp(now))
        .execute(&mut *db)
        .await?;
    query(
        "INSERT INTO machine (id, organization_id, install_id, owner_id, kind, name, software, paired_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new.machine)
    .bind(new.organization)
    .bind(new.install)
    .bind(new.owner)
    .bind(Text(new.kind))
    .bind(new.name)
    .bind(new.software)
    .bind(Stamp(now))
    .execute(&mut *db)
    .await?;
    query(
        "INSERT INTO runtime_target (id, organization_id, install_id, machine_id, identity_key, static_key, psk, generation)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 1)",
    )
    .bind(new.target)
    .bind(new.organization)
    .bind(new.install)
    .bind(new.machine)
    .bind(Blob32(new.identity_key.0))
    .bind(Blob32(new.static_key.0))
    .bind(new.psk.map(|psk| psk.expose().to_vec()))
    .execute(db)
    .await?;
    Ok(())
}

/// A machine that runs sessions, by the id that the relay knows.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Named {
    id: RuntimeTargetId,
    name: String,
    owner: String,
}

impl From<Named> for NamedMachine {
    fn from(Named { id, name, owner }: Named) -> Self {
        Self { runtime_target_id: id.wire().clone(), name, owner }
    }
}

/// The workspace's machines that run sessions: those alive first, newest first, at most `limit`.
pub(crate) async fn named(db: &mut SqliteConnection, organization: &OrganizationId, limit: u32) -> sqlx::Result<Vec<Named>> {
    query_as(
        "SELECT runtime_target.id, machine.name, account.name AS owner
         FROM machine JOIN runtime_target ON machine_id = machine.id JOIN account ON account.id = owner_id
         WHERE machine.organization_id = $1 AND kind = $2 ORDER BY revoked_at IS NOT NULL, machine.id DESC LIMIT $3",
    )
    .bind(organization)
    .bind(Text(DeviceKind::Daemon))
    .bind(limit)
    .fetch_all(db)
    .await
}

/// The workspace's machines: those alive first, newest first.
pub(crate) async fn list(db: &mut SqliteConnection, organization: &OrganizationId) -> sqlx::Result<Vec<Machine>> {
    query_as(
        "SELECT machine.id, kind, machine.name, software, owner_id, account.name AS owner, paired_at, last_seen_at,
                revoked_at, (psk IS NOT NULL) AS has_psk
         FROM machine JOIN runtime_target ON machine_id = machine.id JOIN account ON account.id = owner_id
         WHERE machine.organization_id = $1 ORDER BY revoked_at IS NOT NULL, machine.id DESC LIMIT 1000",
    )
    .bind(organization)
    .fetch_all(db)
    .await
}

/// One machine of the workspace.
pub(crate) async fn find(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    machine: &MachineId,
) -> sqlx::Result<Option<Machine>> {
    query_as(
        "SELECT machine.id, kind, machine.name, software, owner_id, account.name AS owner, paired_at, last_seen_at,
                revoked_at, (psk IS NOT NULL) AS has_psk
         FROM machine JOIN runtime_target ON machine_id = machine.id JOIN account ON account.id = owner_id
         WHERE machine.organization_id = $1 AND machine.id = $2",
    )
    .bind(organization)
    .bind(machine)
    .fetch_optional(db)
    .await
}

/// The runtime target of that id.
pub(crate) async fn target(db: &mut SqliteConnection, id: &RuntimeTargetId) -> sqlx::Result<Option<Target>> {
    let row: Option<TargetRow> = query_as(
        "SELECT runtime_target.id, runtime_target.organization_id, runtime_target.install_id, machine_id, kind,
                identity_key, static_key, psk, generation, last_seen_at, revoked_at
         FROM runtime_target JOIN machine ON machine.id = machine_id WHERE runtime_target.id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(row.map(Target::from))
}

/// The runtime targets that are alive: of one machine, of one owner's machines, or of all machines in the workspace.
pub(crate) async fn living_targets(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    machine: Option<&MachineId>,
    owner: Option<&AccountId>,
) -> sqlx::Result<Vec<RuntimeTargetId>> {
    let rows: Vec<(RuntimeTargetId,)> = query_as(
        "SELECT runtime_target.id FROM runtime_target JOIN machine ON machine.id = machine_id
         WHERE machine.organization_id = $1 AND revoked_at IS NULL
           AND ($2 IS NULL OR machine.id = $2) AND ($3 IS NULL OR owner_id = $3)",
    )
    .bind(organization)
    .bind(machine)
    .bind(owner)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Marks a runtime target as revoked and wipes its pre-shared key (S124).
pub(crate) async fn revoke(db: &mut SqliteConnection, target: &RuntimeTargetId, now: UnixTime) -> sqlx::Result<()> {
    query("UPDATE runtime_target SET revoked_at = $2, psk = NULL WHERE id = $1 AND revoked_at IS NULL")
        .bind(target)
        .bind(Stamp(now))
        .execute(db)
        .await?;
    Ok(())
}

/// The credential of that generation was given out.
pub(crate) async fn set_generation(db: &mut SqliteConnection, target: &RuntimeTargetId, generation: u64) -> sqlx::Result<()> {
    query("UPDATE runtime_target SET generation = $2 WHERE id = $1")
        .bind(target)
        .bind(i64::try_from(generation).unwrap_or(i64::MAX))
        .execute(db)
        .await?;
    Ok(())
}

/// The identity key of a runtime target.
pub(crate) async fn identity_key(db: &mut SqliteConnection, target: &RuntimeTargetId) -> sqlx::Result<Option<IdentityKey>> {
    let key: Option<Blob32> =
        query_scalar("SELECT identity_key FROM runtime_target WHERE id = $1").bind(target).fetch_optional(db).await?;
    Ok(key.map(IdentityKey::from))
}

/// Whose machine a runtime target is, and its name.
pub(crate) async fn owner(db: &mut SqliteConnection, target: &RuntimeTargetId) -> sqlx::Result<Option<(AccountId, String)>> {
    query_as(
        "SELECT owner_id, machine.name FROM runtime_target JOIN machine ON machine.id = machine_id
         WHERE runtime_target.id = $1",
    )
    .bind(target)
    .fetch_optional(db)
    .await
}

/// The machine showed up.
pub(crate) async fn seen(db: &mut SqliteConnection, target: &RuntimeTargetId, now: UnixTime) -> sqlx::Result<()> {
    query("UPDATE runtime_target SET last_seen_at = $2 WHERE id = $1").bind(target).bind(Stamp(now)).execute(db).await?;
    Ok(())
}
