//! Workspaces: made, governed, deleted.

use proto_core::{UnixTime, api::PolicyMode};
use sqlx::SqliteConnection;

use crate::{
    app::App,
    error::Error,
    machines,
    names::checked_name,
    store::{
        AccountId, OrganizationId,
        audit::{self, Action, Actor},
        member::{self, Role},
        organization::{self, Organization},
        revocation,
    },
};

/// The longest slug, in characters.
const MAX_SLUG: usize = 40;

/// Makes a workspace whose admin is `founder`.
pub(crate) async fn create(app: &App, founder: &AccountId, name: &str) -> Result<Organization, Error> {
    let mut tx = app.store.write().await?;
    let organization = insert(&mut tx, founder, name, app.clock.now()).await?;
    tx.commit().await?;
    Ok(organization)
}

pub(crate) async fn insert(
    db: &mut SqliteConnection,
    founder: &AccountId,
    name: &str,
    now: UnixTime,
) -> Result<Organization, Error> {
    let name = checked_name(name, "a name for the workspace")?;
    let organization = Organization {
        id: OrganizationId::fresh(now)?,
        slug: free_slug(&mut *db, &name).await?,
        name,
        policy_mode: PolicyMode::Standard,
    };
    organization::insert(&mut *db, &organization, now).await?;
    member::insert(&mut *db, &organization.id, founder, Role::Admin, now).await?;
    let actor = Actor { organization: Some(&organization.id), account: founder, now };
    audit::record(db, actor, Action::OrganizationCreated, &organization.name).await?;
    Ok(organization)
}

/// The name's slug, with a number where another workspace has it.
async fn free_slug(db: &mut SqliteConnection, name: &str) -> Result<String, Error> {
    let plain = slug(name);
    let mut candidate = plain.clone();
    let mut number = 1_u32;
    while organization::slug_is_taken(&mut *db, &candidate).await? {
        number = number.saturating_add(1);
        candidate = format!("{plain}-{number}");
    }
    Ok(candidate)
}

/// The ASCII letters and digits of a name in lower case, with single hyphens for what stood between them (S111).
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(MAX_SLUG);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "workspace".to_owned() } else { slug.to_owned() }
}

/// Sets how handshakes are to be made from now on (S189 to S194). Pre-shared keys exist only for machines that are paired
/// afterwards (S193).
pub(crate) async fn set_policy(app: &App, admin: &AccountId, organization: &Organization, mode: PolicyMode) -> Result<(), Error> {
    if organization.policy_mode == mode {
        return Ok(());
    }
    let now = app.clock.now();
    let mut tx = app.store.write().await?;
    organization::set_policy(&mut tx, &organization.id, mode).await?;
    let subject = match mode {
        PolicyMode::Standard => "Standard",
        PolicyMode::CryptoPairing => "Crypto pairing",
    };
    let actor = Actor { organization: Some(&organization.id), account: admin, now };
    audit::record(&mut tx, actor, Action::PolicyChanged, subject).await?;
    Ok(tx.commit().await?)
}

/// Deletes a workspace: all its machines are revoked, it has no members any more (S196).
pub(crate) async fn delete(app: &App, admin: &AccountId, organization: &Organization) -> Result<(), Error> {
    let now = app.clock.now();
    let mut tx = app.store.write().await?;
    machines::revoke_targets(&mut tx, &organization.id, None, None, now).await?;
    revocation::of_organization(&mut tx, &organization.id, now).await?;
    let actor = Actor { organization: Some(&organization.id), account: admin, now };
    audit::record(&mut tx, actor, Action::OrganizationDeleted, &organization.name).await?;
    organization::delete(&mut tx, &organization.id, now).await?;
    tx.commit().await?;
    app.news.something_revoked();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_fit_for_command_lines() {
        for (name, expected) in [
            ("Acme Engineering", "acme-engineering"),
            ("  --Ümlaut & Söhne GmbH!  ", "mlaut-s-hne-gmbh"),
            ("日本", "workspace"),
            ("A1", "a1"),
        ] {
            assert_eq!(slug(name), expected);
        }
        let long = slug(&"ab ".repeat(60));
        assert!(long.len() <= MAX_SLUG && !long.ends_with('-'));
    }
}
