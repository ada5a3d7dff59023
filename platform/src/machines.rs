//! Revoking machines, and notifying relays (S122 to S129, D3).

use proto_core::{UnixTime, api::Revocations};
use sqlx::SqliteConnection;

use crate::{
    app::App,
    error::Error,
    pairing::MAX_WAIT,
    store::{
        AccountId, MachineId, OrganizationId,
        audit::{self, Action, Actor},
        machine::{self, Machine},
        member::Role,
        revocation,
    },
};

/// Whether a member of that role may revoke the machine: a member their own, an admin any.
pub(crate) fn may_revoke(machine: &Machine, account: &AccountId, role: Role) -> bool {
    machine.revoked_at.is_none() && (role == Role::Admin || machine.owner_id == *account)
}

/// Revokes one machine. Revoking it again changes nothing.
pub(crate) async fn revoke(
    app: &App,
    account: &AccountId,
    role: Role,
    organization: &OrganizationId,
    id: &MachineId,
) -> Result<(), Error> {
    let now = app.clock.now();
    let mut tx = app.store.write().await?;
    let machine = machine::find(&mut tx, organization, id).await?.ok_or(Error::NotFound)?;
    if machine.revoked_at.is_some() {
        return Ok(());
    }
    if !may_revoke(&machine, account, role) {
        return Err(Error::Forbidden("Only its owner or an admin can revoke a machine."));
    }
    revoke_targets(&mut tx, organization, Some(id), None, now).await?;
    let actor = Actor { organization: Some(organization), account, now };
    audit::record(&mut tx, actor, Action::MachineRevoked, &machine.name).await?;
    tx.commit().await?;
    app.news.something_revoked();
    Ok(())
}

/// Revokes the workspace's living runtime targets: one machine's, one owner's, or all.
pub(crate) async fn revoke_targets(
    db: &mut SqliteConnection,
    organization: &OrganizationId,
    machine: Option<&MachineId>,
    owner: Option<&AccountId>,
    now: UnixTime,
) -> Result<(), Error> {
    for target in machine::living_targets(&mut *db, organization, machine, owner).await? {
        machine::revoke(&mut *db, &target, now).await?;
        revocation::of_target(&mut *db, &target, now).await?;
    }
    Ok(())
}

/// What was revoked after number `after`; held back up to `wait` seconds while that is nothing (WIRE section 3).
pub(crate) async fn revocations(app: &App, after: Option<u64>, wait: u64) -> Result<Revocations, Error> {
    let mut news = app.news.revocations();
    let Some(after) = after else {
        let last = revocation::latest(&mut *app.store.read().await?).await?;
        return Ok(Revocations { last, ..Revocations::default() });
    };
    let found = since(app, after).await?;
    let Some(_seat) = app.news.seat().filter(|_| found.last == after && wait > 0) else {
        return Ok(found);
    };
    tokio::select! {
        _ = news.changed() => {}
        () = app.clock.sleep(wait.min(MAX_WAIT)) => {}
        () = app.news.closing() => {}
    }
    since(app, after).await
}

/// A relay that knows more than there is (the database was restored from a copy) starts over from what there is.
async fn since(app: &App, after: u64) -> Result<Revocations, Error> {
    let mut db = app.store.read().await?;
    let latest = revocation::latest(&mut db).await?;
    if latest < after {
        return Ok(Revocations { last: latest, ..Revocations::default() });
    }
    Ok(revocation::since(&mut db, after).await?)
}
