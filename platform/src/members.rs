//! The members of a workspace: inviting, joining, leaving.

use proto_core::{UnixTime, secret::SecretText};
use sqlx::SqliteConnection;

use crate::{
    app::App,
    error::Error,
    machines,
    names::checked_name,
    random,
    store::{
        AccountId, InvitationId, OrganizationId, TextEnum as _,
        audit::{self, Action, Actor},
        invitation::{self, Invitation, NewInvitation},
        member::{self, Role},
        organization::{self, Organization},
    },
};

/// How long an invitation is good, in seconds: a week.
pub(crate) const INVITATION_LIFETIME: u64 = 7 * 24 * 60 * 60;

/// What a member does in a workspace. Whether the member may is for the caller to find out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemberAdmin<'a> {
    pub(crate) app: &'a App,
    pub(crate) admin: &'a AccountId,
    pub(crate) organization: &'a OrganizationId,
}

impl<'a> MemberAdmin<'a> {
    fn actor(&self) -> Actor<'a> {
        Actor { organization: Some(self.organization), account: self.admin, now: self.app.clock.now() }
    }

    /// Makes an invitation and gives its link's token, which is not kept.
    ///
    /// `form` is what told that form from all others: sent twice, it makes one invitation, and gives the same link.
    pub(crate) async fn invite(&self, label: &str, role: Role, form: &SecretText) -> Result<SecretText, Error> {
        let label = checked_name(label, "for whom the invitation is")?;
        let now = self.app.clock.now();
        let token =
            random::derived_token(&["invitation", self.organization.wire().as_str(), &label, &role.word(), form.expose()]);
        let new = NewInvitation {
            organization: self.organization,
            token_hash: random::token_hash(token.expose()),
            role,
            label: &label,
            invited_by: self.admin,
            expires_at: now.plus(INVITATION_LIFETIME),
        };
        let mut tx = self.app.store.write().await?;
        if invitation::insert(&mut tx, &new, now).await? {
            audit::record(&mut tx, self.actor(), Action::MemberInvited, &label).await?;
        }
        tx.commit().await?;
        Ok(token)
    }

    /// Takes an invitation back.
    pub(crate) async fn withdraw(&self, id: &InvitationId) -> Result<(), Error> {
        let now = self.app.clock.now();
        let mut tx = self.app.store.write().await?;
        let open = invitation::list(&mut tx, self.organization, now).await?;
        let Some(found) = open.into_iter().find(|open| open.id == *id) else { return Ok(()) };
        invitation::close(&mut tx, self.organization, id, now).await?;
        audit::record(&mut tx, self.actor(), Action::InvitationWithdrawn, &found.label).await?;
        Ok(tx.commit().await?)
    }

    /// Removes a member, who may be the one who asks for it, and revokes all machines that the member paired in this workspace, in
    /// no other (S132, S133).
    pub(crate) async fn remove(&self, account: &AccountId) -> Result<(), Error> {
        let mut tx = self.app.store.write().await?;
        let name = self.changeable(&mut tx, account, None).await?;
        machines::revoke_targets(&mut tx, self.organization, None, Some(account), self.app.clock.now()).await?;
        member::delete(&mut tx, self.organization, account).await?;
        invitation::close_of(&mut tx, self.organization, account, self.app.clock.now()).await?;
        let action = if account == self.admin { Action::MemberLeft } else { Action::MemberRemoved };
        audit::record(&mut tx, self.actor(), action, &name).await?;
        tx.commit().await?;
        self.app.news.something_revoked();
        Ok(())
    }

    /// Makes a member an admin, or an admin a member.
    pub(crate) async fn set_role(&self, account: &AccountId, role: Role) -> Result<(), Error> {
        let mut tx = self.app.store.write().await?;
        let name = self.changeable(&mut tx, account, Some(role)).await?;
        member::set_role(&mut tx, self.organization, account, role).await?;
        if role != Role::Admin {
            invitation::close_of(&mut tx, self.organization, account, self.app.clock.now()).await?;
        }
        let subject = match role {
            Role::Admin => format!("{name}: admin"),
            Role::Member => format!("{name}: member"),
        };
        audit::record(&mut tx, self.actor(), Action::RoleChanged, &subject).await?;
        Ok(tx.commit().await?)
    }

    /// The member's name, unless the change would leave the workspace without an admin.
    async fn changeable(&self, db: &mut SqliteConnection, account: &AccountId, to: Option<Role>) -> Result<String, Error> {
        let members = member::list(&mut *db, self.organization).await?;
        let found = members.into_iter().find(|member| member.id == *account).ok_or(Error::NotFound)?;
        let loses_admin = found.role == Role::Admin && to != Some(Role::Admin);
        if loses_admin && member::count_admins(db, self.organization).await? == 1 {
            return Err(Error::invalid("A workspace needs an admin: make another member one first."));
        }
        Ok(found.name)
    }
}

/// The invitation behind a link, while it is open.
pub(crate) async fn invitation(app: &App, token: &str) -> Result<Invitation, Error> {
    let hash = random::token_hash(token);
    invitation::open(&mut *app.store.read().await?, &hash, app.clock.now()).await?.ok_or(Error::NotFound)
}

/// Lets a signed-in account accept an invitation.
pub(crate) async fn accept(app: &App, account: &AccountId, token: &str) -> Result<Organization, Error> {
    let mut tx = app.store.write().await?;
    let organization = join(&mut tx, account, token, app.clock.now()).await?;
    tx.commit().await?;
    Ok(organization)
}

/// Uses an invitation up. A member keeps their role, and the invitation stays open.
pub(crate) async fn join(
    db: &mut SqliteConnection,
    account: &AccountId,
    token: &str,
    now: UnixTime,
) -> Result<Organization, Error> {
    let hash = random::token_hash(token);
    let invitation = invitation::open(&mut *db, &hash, now).await?.ok_or(Error::NotFound)?;
    let id = &invitation.organization_id;
    let organization = organization::living(&mut *db, id).await?.ok_or(Error::NotFound)?;
    if member::insert(&mut *db, id, account, invitation.role, now).await? {
        invitation::close(&mut *db, id, &invitation.id, now).await?;
        let actor = Actor { organization: Some(id), account, now };
        audit::record(db, actor, Action::MemberJoined, &invitation.label).await?;
    }
    Ok(organization)
}
