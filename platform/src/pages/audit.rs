//! Who did what in a workspace.

use axum::{
    extract::{Query, State},
    response::IntoResponse,
};
use maud::html;
use serde::Deserialize;

use super::{
    Page,
    layout::{self, Section},
    time::moment,
    visitor::Admin,
};
use crate::{
    app::Shared,
    store::audit::{self, Action, PAGE},
};

#[derive(Deserialize)]
pub(super) struct From {
    before: Option<i64>,
}

pub(super) async fn show(State(app): State<Shared>, Admin(admin): Admin, Query(from): Query<From>) -> Page {
    let before = from.before.unwrap_or(i64::MAX);
    let entries = audit::list(&mut *app.store.read().await?, &admin.organization.id, before).await?;
    let more = entries.last().filter(|_| i64::try_from(entries.len()) == Ok(PAGE)).map(|entry| entry.number);
    Ok(layout::workspace(&admin, Section::Audit, "Audit", &html! {
        h1 { "Audit" }
        div.wide tabindex="0" role="region" aria-label="Audit" {
            table {
                thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "Subject" } } }
                tbody { @for entry in &entries { tr {
                    td { (moment(entry.at)) }
                    td { (entry.actor) }
                    td { (did(entry.action)) }
                    td { (entry.subject) }
                } } }
            }
        }
        @if let Some(before) = more { p { a href={ "?before=" (before) } { "Older" } } }
    })
    .into_response())
}

const fn did(action: Action) -> &'static str {
    match action {
        Action::OrganizationCreated => "created the workspace",
        Action::PairingApproved => "approved a pairing",
        Action::PairingDenied => "denied a pairing",
        Action::MachineRevoked => "revoked a machine",
        Action::PolicyChanged => "set the policy mode",
        Action::MemberInvited => "invited",
        Action::InvitationWithdrawn => "withdrew an invitation",
        Action::MemberJoined => "joined by invitation",
        Action::MemberRemoved => "removed a member",
        Action::MemberLeft => "left the workspace",
        Action::RoleChanged => "changed a role",
        Action::OrganizationDeleted => "deleted the workspace",
        Action::KeyGenerationMade => "made a generation of the organization's key:",
    }
}
