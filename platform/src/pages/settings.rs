//! A workspace's settings: how handshakes are made (S189 to S194), and its end (S196).

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use proto_core::api::PolicyMode;

use super::{
    Page,
    fields::Fields,
    layout::{self, Section},
    see,
    visitor::{Admin, Member},
};
use crate::{app::Shared, error::Error, organizations, store::member::Role};

pub(super) async fn show_security(member: Member) -> Response {
    let is_admin = member.role == Role::Admin;
    layout::workspace(&member, Section::Security, "Security", &html! {
        h1 { "Security" }
        (policy(&member, is_admin))
        section {
            h2 { "Workspace" }
            dl.facts {
                dt { "Name" } dd { (member.organization.name) }
                dt { "Slug" } dd { code { (member.organization.slug) } }
                dt { "Id" } dd { code { (member.organization.id) } }
            }
            p.hint { "Command lines take the id or the slug: " code { "vpd pair --org " (member.organization.slug) } }
            @if is_admin {
                p { a.button.danger href={ "/w/" (member.organization.slug) "/settings/delete" } { "Delete this workspace…" } }
            }
        }
    })
    .into_response()
}

fn policy(member: &Member, is_admin: bool) -> Markup {
    let current = member.organization.policy_mode;
    html! {
        form method="post" action={ "/w/" (member.organization.slug) "/settings/security" } {
            (layout::form_token(&member.visitor))
            fieldset.choices disabled[!is_admin] {
                legend { "Policy mode" }
                (option(current, PolicyMode::Standard, "standard", "Standard",
                    "Devices prove their keys to the relay (Noise IK)."))
                (option(current, PolicyMode::CryptoPairing, "crypto_pairing", "Crypto pairing",
                    "In addition every pairing has a secret of its own (Noise IKpsk2). \
                     Machines that were paired before have none and must be paired again."))
            }
            @if is_admin { div.actions { button.primary { "Save" } } } @else { p.hint { "Admins change this." } }
        }
    }
}

fn option(current: PolicyMode, mode: PolicyMode, value: &str, name: &str, meaning: &str) -> Markup {
    html! {
        label.choice {
            input type="radio" name="policy_mode" value=(value) checked[current == mode];
            span { strong { (name) } small { (meaning) } }
        }
    }
}

pub(super) async fn set_policy(State(app): State<Shared>, Admin(admin): Admin, fields: Fields) -> Page {
    let mode = match fields.get("policy_mode") {
        "standard" => PolicyMode::Standard,
        "crypto_pairing" => PolicyMode::CryptoPairing,
        _ => return Err(Error::invalid("Pick a policy mode.").into()),
    };
    organizations::set_policy(&app, &admin.account.id, &admin.organization, mode).await?;
    Ok(see(&format!("/w/{}/settings/security", admin.organization.slug)))
}

pub(super) async fn ask_delete(Admin(admin): Admin) -> Response {
    delete_form(&admin, None).into_response()
}

fn delete_form(admin: &Member, message: Option<&str>) -> Markup {
    let slug = &admin.organization.slug;
    layout::confirmation(
        admin,
        &format!("Delete {}?", admin.organization.name),
        &html! {
            p.lead { "All its machines are revoked at once and all its members lose access. This cannot be undone." }
            (layout::complaint(message))
            form.stack method="post" action={ "/w/" (slug) "/settings/delete" } {
                (layout::form_token(&admin.visitor))
                label { "Type " code { (slug) } " to confirm" input name="slug" autocomplete="off" spellcheck="false" required; }
                div.actions {
                    button.danger { "Delete workspace" }
                    a.button href={ "/w/" (slug) "/settings/security" } { "Cancel" }
                }
            }
        },
    )
}

pub(super) async fn delete(State(app): State<Shared>, Admin(admin): Admin, fields: Fields) -> Page {
    if fields.get("slug").trim() != admin.organization.slug {
        let page = delete_form(&admin, Some("That is not the workspace's slug."));
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    organizations::delete(&app, &admin.account.id, &admin.organization).await?;
    Ok(see("/"))
}
