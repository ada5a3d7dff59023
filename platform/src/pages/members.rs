//! The members of a workspace, and invitations to it (S32, S132, S133).

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use maud::{Markup, html};
use proto_core::{UnixTime, secret::SecretText};

use super::{
    Page,
    fields::Fields,
    layout::{self, Section},
    see,
    time::ago,
    visitor::{Admin, Member},
};
use crate::{
    app::{App, Shared},
    error::Error,
    members::{INVITATION_LIFETIME, MemberAdmin},
    names::MAX_NAME,
    random,
    store::{
        AccountId, InvitationId,
        invitation::{self, Invitation},
        member::{self, Role},
    },
};

pub(super) async fn show(State(app): State<Shared>, member: Member) -> Page {
    Ok(render(&app, &member, &html! {}).await?.into_response())
}

pub(super) async fn invite(State(app): State<Shared>, Admin(admin): Admin, fields: Fields) -> Page {
    let form = match fields.get(FORM_ID) {
        "" => random::token()?,
        // Known to this browser and to this session only.
        id => random::derived_token(&["form", &data_encoding::HEXLOWER.encode(&admin.session_hash), id]),
    };
    match doing(&app, &admin).invite(fields.get("label"), role_field(&fields), &form).await {
        Ok(token) => {
            let link = app.url(&format!("/invitation?token={}", token.expose()));
            Ok(render(&app, &admin, &fresh_link(fields.get("label"), &link)).await?.into_response())
        }
        Err(Error::Invalid(message)) => complain(&app, &admin, &message).await,
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn withdraw(State(app): State<Shared>, Admin(admin): Admin, Path((_, id)): Path<(String, String)>) -> Page {
    let id: proto_core::PlatformId = id.parse().map_err(|_| Error::NotFound)?;
    doing(&app, &admin).withdraw(&InvitationId::from(id)).await?;
    Ok(see(&path(&admin)))
}

pub(super) async fn set_role(
    State(app): State<Shared>,
    Admin(admin): Admin,
    Path((_, id)): Path<(String, String)>,
    fields: Fields,
) -> Page {
    match doing(&app, &admin).set_role(&account_id(&id)?, role_field(&fields)).await {
        Ok(()) => Ok(see(&path(&admin))),
        Err(Error::Invalid(message)) => complain(&app, &admin, &message).await,
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn ask(State(app): State<Shared>, Admin(admin): Admin, Path((_, id)): Path<(String, String)>) -> Page {
    let id = account_id(&id)?;
    let all = member::list(&mut *app.store.read().await?, &admin.organization.id).await?;
    let found = all.into_iter().find(|member| member.id == id).ok_or(Error::NotFound)?;
    Ok(layout::confirmation(&admin, &format!("Remove {}?", found.name), &html! {
        p.lead { (found.email) " loses access to " (admin.organization.name) ", and " (count(found.machines)) " of theirs in it "
            (if found.machines == 1 { "is" } else { "are" }) " revoked at once. Their other workspaces are not touched." }
        form.actions method="post" action={ (path(&admin)) "/" (found.id) "/remove" } {
            (layout::form_token(&admin.visitor))
            button.danger { "Remove" }
            a.button href=(path(&admin)) { "Cancel" }
        }
    })
    .into_response())
}

pub(super) async fn remove(State(app): State<Shared>, Admin(admin): Admin, Path((_, id)): Path<(String, String)>) -> Page {
    match doing(&app, &admin).remove(&account_id(&id)?).await {
        Ok(()) => Ok(see(&path(&admin))),
        Err(Error::Invalid(message)) => complain(&app, &admin, &message).await,
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn ask_leave(State(app): State<Shared>, member: Member) -> Page {
    let all = member::list(&mut *app.store.read().await?, &member.organization.id).await?;
    let own = all.into_iter().find(|found| found.id == member.account.id).ok_or(Error::NotFound)?;
    Ok(layout::confirmation(
        &member,
        &format!("Leave {}?", member.organization.name),
        &html! {
            p.lead { "You lose access to it, and " (count(own.machines)) " of yours in it "
                (if own.machines == 1 { "is" } else { "are" }) " revoked at once. To come back you need an invitation." }
            form.actions method="post" action={ (path(&member)) "/leave" } {
                (layout::form_token(&member.visitor))
                button.danger { "Leave" }
                a.button href=(path(&member)) { "Cancel" }
            }
        },
    )
    .into_response())
}

pub(super) async fn leave(State(app): State<Shared>, member: Member) -> Page {
    match doing(&app, &member).remove(&member.account.id).await {
        Ok(()) => Ok(see("/")),
        Err(Error::Invalid(message)) => complain(&app, &member, &message).await,
        Err(error) => Err(error.into()),
    }
}

fn doing<'a>(app: &'a App, admin: &'a Member) -> MemberAdmin<'a> {
    MemberAdmin { app, admin: &admin.account.id, organization: &admin.organization.id }
}

fn account_id(id: &str) -> Result<AccountId, Error> {
    id.parse().map(|id: proto_core::PlatformId| id.into()).map_err(|_| Error::NotFound)
}

fn role_field(fields: &Fields) -> Role {
    if fields.get("role") == "admin" { Role::Admin } else { Role::Member }
}

fn path(member: &Member) -> String {
    format!("/w/{}/members", member.organization.slug)
}

fn count(machines: i64) -> String {
    if machines == 1 { "1 machine".into() } else { format!("{machines} machines") }
}

async fn complain(app: &App, admin: &Member, message: &str) -> Page {
    let page = render(app, admin, &layout::complaint(Some(message))).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

async fn render(app: &App, viewer: &Member, outcome: &Markup) -> Result<Markup, Error> {
    let now = app.clock.now();
    let mut db = app.store.read().await?;
    let all = member::list(&mut db, &viewer.organization.id).await?;
    let open = invitation::list(&mut db, &viewer.organization.id, now).await?;
    let is_admin = viewer.role == Role::Admin;
    Ok(layout::workspace(
        viewer,
        Section::Members,
        "Members",
        &html! {
            h1 { "Members" }
            (outcome)
            (table(viewer, &all, now))
            @if is_admin {
                (invite_form(viewer, &random::token()?))
                @if !open.is_empty() { (invitations(viewer, &open, now)) }
            } @else { p.hint { "Admins invite and remove members." } }
            section {
                h2 { "Leave" }
                p.hint { "You lose access to this workspace, and your machines in it are revoked." }
                p { a.button.danger href={ (path(viewer)) "/leave" } { "Leave this workspace…" } }
            }
        },
    ))
}

fn table(viewer: &Member, members: &[member::Member], now: UnixTime) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label="Members" {
            table {
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "E-mail" } th scope="col" { "Role" } th scope="col" { "Machines" }
                    th scope="col" { "Member since" } th { span.hidden { "Actions" } }
                } }
                tbody { @for member in members { tr {
                    th scope="row" { (member.name) @if member.id == viewer.account.id { " " span.tag { "you" } } }
                    td { (member.email) }
                    td { (role_name(member.role)) }
                    td { (member.machines) }
                    td { (ago(member.since, now)) }
                    td.action { @if viewer.role == Role::Admin { (actions(viewer, member)) } }
                } } }
            }
        }
    }
}

fn actions(viewer: &Member, member: &member::Member) -> Markup {
    let (other, word) = match member.role {
        Role::Admin => ("Make member", "member"),
        Role::Member => ("Make admin", "admin"),
    };
    html! {
        form method="post" action={ (path(viewer)) "/" (member.id) "/role" } {
            (layout::form_token(&viewer.visitor))
            input type="hidden" name="role" value=(word);
            button.small { (other) span.hidden { ": " (member.name) } }
        }
        a.button.small href={ (path(viewer)) "/" (member.id) "/remove" } { "Remove" span.hidden { " " (member.name) } }
    }
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Admin => "Admin",
        Role::Member => "Member",
    }
}

/// Tells one form from all others, so that it counts once however often it is sent.
const FORM_ID: &str = "form_id";

fn invite_form(viewer: &Member, id: &SecretText) -> Markup {
    html! {
        section {
            h2 { "Invite a member" }
            p.hint { "You get a link to pass on yourself. It works once, for " (layout::duration(INVITATION_LIFETIME)) "." }
            form.inline method="post" action={ (path(viewer)) "/invite" } {
                (layout::form_token(&viewer.visitor))
                input type="hidden" name=(FORM_ID) value=(id.expose());
                label { "For whom" input name="label" placeholder="Ada, backend team" maxlength=(MAX_NAME) required; }
                label { "Role" select name="role" { option value="member" { "Member" } option value="admin" { "Admin" } } }
                button { "Create link" }
            }
        }
    }
}

/// The link is shown this once: only its hash is kept.
fn fresh_link(label: &str, link: &str) -> Markup {
    html! {
        div.notice.good role="status" {
            p { "Send this link to " strong { (label) } ". It is shown only now." }
            input.copy readonly value=(link) aria-label="Invitation link" autofocus;
        }
    }
}

fn invitations(viewer: &Member, open: &[Invitation], now: UnixTime) -> Markup {
    html! {
        section {
            h2 { "Open invitations" }
            div.wide tabindex="0" role="region" aria-label="Open invitations" {
                table {
                    thead { tr {
                        th scope="col" { "For" } th scope="col" { "Role" } th scope="col" { "Invited by" }
                        th scope="col" { "Good for" } th { span.hidden { "Actions" } }
                    } }
                    tbody { @for invitation in open { tr {
                        th scope="row" { (invitation.label) }
                        td { (role_name(invitation.role)) }
                        td { (invitation.invited_by) }
                        td { (layout::duration(invitation.expires_at.since(now))) }
                        td.action {
                            form method="post" action={ "/w/" (viewer.organization.slug) "/invitations/" (invitation.id) "/withdraw" } {
                                (layout::form_token(&viewer.visitor))
                                button.small { "Withdraw" span.hidden { ": " (invitation.label) } }
                            }
                        }
                    } } }
                }
            }
        }
    }
}
