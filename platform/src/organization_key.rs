//! The organization's key, as far as the platform has anything to do with it: it keeps what is public, in order, and what devices
//! seal for one another. It can open none of it.

use axum::http::StatusCode;
use proto_core::{
    PlatformId, Reason,
    api::{Base64url, Handover, KeyView, OwnDevice, Publication, Registration, WaitingDevice},
    id::DeviceKind,
    jose::{Claims, Thumbprint},
    key::Signature,
    orgkey::{SealingKey, Statement, Wrapped, verify_wrapping_key},
};
use sqlx::SqliteConnection;

use crate::{
    app::App,
    error::Error,
    store::{
        OrganizationId, RuntimeTargetId,
        audit::{self, Action, Actor},
        machine,
        organization_key::{self, Waiting},
    },
};

/// What a device may see.
pub(crate) async fn view(app: &App, device: &Claims, after: u32, machines: bool) -> Result<KeyView, Error> {
    let (org, target) = names(device);
    let mut db = app.store.read().await?;
    let statements = organization_key::statements(&mut db, &org, after, KeyView::STATEMENTS_PER_VIEW).await?;
    let mut view = KeyView {
        statements: statements.into_iter().map(Base64url).collect(),
        device: None,
        waiting: Vec::new(),
        renew: false,
        machines: Vec::new(),
    };
    if device.role != DeviceKind::Viewer {
        return Ok(view);
    }
    let wrapped = organization_key::handed(&mut db, &target).await?.map(|(_, wrapped)| Base64url(wrapped));
    let registered = organization_key::is_registered(&mut db, &target).await?;
    view.device = Some(OwnDevice { registered, wrapped });
    if machines {
        view.machines = machine::named(&mut db, &org, KeyView::MACHINES_PER_VIEW).await?.into_iter().map(Into::into).collect();
    }
    if let Some(newest) = newest(&mut db, &org).await? {
        let waiting = organization_key::waiting(&mut db, &org, newest.generation(), KeyView::WAITING_PER_VIEW).await?;
        view.waiting = waiting.into_iter().map(waiting_device).collect::<Result<_, _>>()?;
        view.renew = organization_key::is_known_to_revoked(&mut db, &org, newest.generation()).await?;
    }
    Ok(view)
}

fn waiting_device(waiting: Waiting) -> Result<WaitingDevice, Error> {
    let signature = waiting.signature.try_into().map_err(|_| Error::Internal("a stored signature of another length".into()))?;
    Ok(WaitingDevice {
        runtime_target_id: waiting.id.wire().clone(),
        identity_key: waiting.identity_key,
        name: waiting.name,
        owner: waiting.owner,
        wrapping_key: Base64url(waiting.public_key),
        signature: Signature(signature),
    })
}

/// Keeps a viewing device's wrapping key, which its own key has signed.
pub(crate) async fn register(app: &App, device: &Claims, registration: &Registration) -> Result<(), Error> {
    let (org, target) = viewer(device)?;
    let key = SealingKey::new(&registration.wrapping_key.0).map_err(|error| Error::invalid(error.to_string()))?;
    let mut tx = app.store.write().await?;
    let found = machine::identity_key(&mut tx, &target).await?.ok_or(Error::NotFound)?;
    if !verify_wrapping_key(found, &key, &device.org, &device.runtime_target, &registration.signature) {
        return Err(Error::refused(StatusCode::BAD_REQUEST, Reason::SignatureMismatch));
    }
    let now = app.clock.now();
    organization_key::register(&mut tx, &org, &target, key.bytes(), &registration.signature.0, now).await?;
    Ok(tx.commit().await?)
}

/// Publishes the next generation: the one after the newest, made by the device that says so and signed by the one before.
pub(crate) async fn publish(app: &App, device: &Claims, publication: &Publication) -> Result<(), Error> {
    let (org, target) = viewer(device)?;
    let bytes = &publication.statement.0;
    let statement = Statement::decode(bytes).map_err(|error| Error::invalid(error.to_string()))?;
    let (maker, key) = statement.maker();
    let is_own = *maker == device.runtime_target && Thumbprint::of_identity_key(key) == device.confirmation.identity;
    if *statement.org() != device.org || !is_own || !statement.is_by_its_maker() {
        return Err(Error::invalid("the statement was not made by this device"));
    }
    let mut tx = app.store.write().await?;
    let newest = newest(&mut tx, &org).await?;
    let expected = newest.as_ref().map_or(1, |newest| newest.generation().saturating_add(1));
    let follows_newest = newest.as_ref().is_none_or(|newest| *statement.before() == newest.digest());
    if statement.generation() != expected || !follows_newest {
        return Err(Error::refused(StatusCode::CONFLICT, Reason::OrganizationKeyTaken));
    }
    if !newest.as_ref().map_or_else(|| statement.founds(), |newest| statement.follows(newest)) {
        return Err(Error::refused(StatusCode::BAD_REQUEST, Reason::SignatureMismatch));
    }
    let now = app.clock.now();
    organization_key::publish(&mut tx, &org, expected, bytes, &target, now).await?;
    let (owner, name) = machine::owner(&mut tx, &target).await?.ok_or(Error::NotFound)?;
    let actor = Actor { organization: Some(&org), account: &owner, now };
    audit::record(&mut tx, actor, Action::KeyGenerationMade, &format!("{expected}, by {name}")).await?;
    Ok(tx.commit().await?)
}

/// Keeps the newest generation for another viewing device of the organization, wrapped by this one.
pub(crate) async fn hand_over(app: &App, device: &Claims, handover: &Handover) -> Result<(), Error> {
    let (org, giver) = viewer(device)?;
    let bytes = &handover.wrapped.0;
    let wrapped = Wrapped::decode(bytes).map_err(|error| Error::invalid(error.to_string()))?;
    let receiver: &PlatformId = &handover.runtime_target_id;
    let is_own = Thumbprint::of_identity_key(wrapped.giver()) == device.confirmation.identity;
    if !is_own || !wrapped.is_by_its_giver(&device.org, receiver) {
        return Err(Error::refused(StatusCode::BAD_REQUEST, Reason::SignatureMismatch));
    }
    let mut tx = app.store.write().await?;
    let newest = newest(&mut tx, &org).await?.map_or(0, |newest| newest.generation());
    if wrapped.generation() != newest {
        return Err(Error::Conflict("There is a newer generation."));
    }
    let receiver: RuntimeTargetId = receiver.clone().into();
    if !organization_key::living(&mut tx, &org, &receiver).await? {
        return Err(Error::NotFound);
    }
    organization_key::hand_over(&mut tx, &org, &receiver, newest, bytes, &giver, app.clock.now()).await?;
    Ok(tx.commit().await?)
}

async fn newest(db: &mut SqliteConnection, org: &OrganizationId) -> Result<Option<Statement>, Error> {
    let bytes = organization_key::newest(db, org).await?;
    let read = |bytes: Vec<u8>| Statement::decode(&bytes).map_err(|error| Error::Internal(format!("stored: {error}")));
    bytes.map(read).transpose()
}

fn names(device: &Claims) -> (OrganizationId, RuntimeTargetId) {
    (device.org.clone().into(), device.runtime_target.clone().into())
}

/// A device that watches: only these hold generations.
fn viewer(device: &Claims) -> Result<(OrganizationId, RuntimeTargetId), Error> {
    if device.role == DeviceKind::Viewer {
        Ok(names(device))
    } else {
        Err(Error::Forbidden("Only viewing devices hold the organization's key."))
    }
}
