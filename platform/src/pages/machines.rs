//! The machines of a workspace (S123, S134).

use axum::{
    extract::{Path, State},
    response::IntoResponse,
};
use maud::{Markup, html};
use proto_core::{UnixTime, api::PolicyMode};

use super::{
    Page,
    layout::{self, Section},
    pair::kind,
    see,
    time::ago,
    visitor::Member,
};
use crate::{
    app::{App, Shared},
    error::Error,
    machines,
    store::{
        MachineId,
        machine::{self, Machine},
    },
};

pub(super) async fn show(State(app): State<Shared>, member: Member) -> Page {
    let found = machine::list(&mut *app.store.read().await?, &member.organization.id).await?;
    let now = app.clock.now();
    let (gone, alive): (Vec<_>, Vec<_>) = found.into_iter().partition(|machine| machine.revoked_at.is_some());
    Ok(layout::workspace(
        &member,
        Section::Machines,
        "Machines",
        &html! {
            h1 { "Machines" }
            @if alive.is_empty() { (none_yet()) } @else { (table(&member, &alive, now)) }
            @if !gone.is_empty() {
                details.past {
                    summary { "Revoked (" (gone.len()) ")" }
                    (table(&member, &gone, now))
                }
            }
        },
    )
    .into_response())
}

pub(super) async fn ask(State(app): State<Shared>, member: Member, Path((_, id)): Path<(String, String)>) -> Page {
    let machine = find(&app, &member, &id).await?;
    if !machines::may_revoke(&machine, &member.account.id, member.role) {
        return Ok(see(&path(&member)));
    }
    Ok(layout::confirmation(
        &member,
        &format!("Revoke {}?", machine.name),
        &html! {
            p.lead { "It loses access to " (member.organization.name) " at once and deletes its pairing. Sessions that run on it "
                "go on locally and stop streaming here; what was streamed stays." }
            p { "To come back it has to be paired again." }
            form.actions method="post" action={ (path(&member)) "/" (machine.id) "/revoke" } {
                (layout::form_token(&member.visitor))
                button.danger { "Revoke" }
                a.button href=(path(&member)) { "Cancel" }
            }
        },
    )
    .into_response())
}

pub(super) async fn revoke(State(app): State<Shared>, member: Member, Path((_, id)): Path<(String, String)>) -> Page {
    let id = find(&app, &member, &id).await?.id;
    machines::revoke(&app, &member.account.id, member.role, &member.organization.id, &id).await?;
    Ok(see(&path(&member)))
}

async fn find(app: &App, member: &Member, id: &str) -> Result<Machine, Error> {
    let id: proto_core::PlatformId = id.parse().map_err(|_| Error::NotFound)?;
    let mut db = app.store.read().await?;
    machine::find(&mut db, &member.organization.id, &MachineId::from(id)).await?.ok_or(Error::NotFound)
}

fn path(member: &Member) -> String {
    format!("/w/{}/machines", member.organization.slug)
}

fn none_yet() -> Markup {
    html! {
        div.empty {
            p { strong { "No machines yet." } }
            p { "On the machine that should join, run" }
            pre { code { "vpd pair" } }
            p { "and open the page that it prints. Nothing streams until a directory is bound with " code { "vpd bind" } "." }
        }
    }
}

fn table(member: &Member, machines: &[Machine], now: UnixTime) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label="Machines" {
            table {
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "Kind" } th scope="col" { "Owner" } th scope="col" { "Software" }
                    th scope="col" { "Paired" } th scope="col" { "Last seen" } th { span.hidden { "Actions" } }
                } }
                tbody { @for machine in machines { (row(member, machine, now)) } }
            }
        }
    }
}

fn row(member: &Member, machine: &Machine, now: UnixTime) -> Markup {
    let needs_psk = member.organization.policy_mode == PolicyMode::CryptoPairing && !machine.has_psk;
    html! {
        tr {
            th scope="row" {
                (machine.name)
                @if needs_psk && machine.revoked_at.is_none() {
                    " " span.tag.warn title="Paired before the policy mode was set to Crypto pairing" { "pair again" }
                }
            }
            td { (kind(machine.kind)) }
            td { (machine.owner) }
            td { (machine.software) }
            td { (ago(machine.paired_at, now)) }
            td {
                @match (machine.revoked_at, machine.last_seen_at) {
                    (Some(at), _) => { "revoked " (ago(at.0, now)) },
                    (None, Some(at)) => (ago(at.0, now)),
                    (None, None) => span.quiet { "never" },
                }
            }
            td.action {
                @if machines::may_revoke(machine, &member.account.id, member.role) {
                    a.button.small href={ (path(member)) "/" (machine.id) "/revoke" } {
                        "Revoke" span.hidden { " " (machine.name) }
                    }
                }
            }
        }
    }
}
