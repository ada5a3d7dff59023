//! Accepting an invitation (S32).

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::IntoResponse,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    Page,
    error::PageError,
    fields::Fields,
    gate, layout, see,
    setup::person_fields,
    visitor::{SignedIn, Visitor, sign_in_path},
};
use crate::{
    accounts::{self, SignUp},
    app::{App, Shared},
    error::Error,
    members,
    store::invitation::Invitation,
};

#[derive(Deserialize)]
pub(super) struct Opened {
    #[serde(default)]
    token: String,
}

pub(super) async fn show(State(app): State<Shared>, visitor: Visitor, Query(opened): Query<Opened>) -> Page {
    let invitation = find(&app, &opened.token).await?;
    let token = opened.token.as_str();
    let page = match &visitor.signed_in {
        Some(signed_in) => offer(&visitor, signed_in, &invitation, token),
        None => sign_up_form(&visitor, &invitation, token, ("", ""), None),
    };
    Ok(page.into_response())
}

async fn find(app: &App, token: &str) -> Result<Invitation, PageError> {
    let gone = Error::Forbidden("This invitation was used, withdrawn, or is past its time. Ask for a new one.");
    members::invitation(app, token).await.map_err(|error| if matches!(error, Error::NotFound) { gone } else { error }.into())
}

pub(super) async fn accept(State(app): State<Shared>, signed_in: SignedIn, fields: Fields) -> Page {
    let token = fields.get("token");
    find(&app, token).await?;
    let organization = members::accept(&app, &signed_in.account.id, token).await?;
    Ok(see(&format!("/w/{}/machines", organization.slug)))
}

pub(super) async fn sign_up(State(app): State<Shared>, visitor: Visitor, fields: Fields) -> Page {
    let token = fields.get("token");
    let invitation = find(&app, token).await?;
    let (name, email) = (fields.get("name"), fields.get("email"));
    let sign_up = SignUp { name: name.into(), email: email.into(), password: fields.secret("password") };
    match accounts::sign_up_invited(&app, token, sign_up).await {
        Ok((account, organization)) => {
            let mut response = see(&format!("/w/{}/machines", organization.slug));
            gate::set_session(&app, &mut response, &accounts::start_session(&app, &account).await?);
            Ok(response)
        }
        Err(Error::Invalid(message)) => {
            let page = sign_up_form(&visitor, &invitation, token, (name, email), Some(&message));
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

fn offer(visitor: &Visitor, signed_in: &SignedIn, invitation: &Invitation, token: &str) -> Markup {
    let joined = signed_in.organizations.iter().any(|joined| joined.organization.id == invitation.organization_id);
    layout::plain(
        visitor,
        "Invitation",
        &html! {
            h1 { "Join " (invitation.organization_name) "?" }
            @if joined {
                p.lead { "You belong to this workspace already. The invitation stays open for whom it was meant." }
                p { a href={ "/w/" (invitation.organization_slug) "/machines" } { "Go to " (invitation.organization_name) } }
            } @else {
                p.lead { (invitation.invited_by) " invites you." }
                form.actions method="post" action="/invitation/accept" {
                    (layout::form_token(visitor))
                    input type="hidden" name="token" value=(token);
                    button.primary { "Join as " (signed_in.account.email) }
                    a.button href="/" { "Not now" }
                }
            }
        },
    )
}

fn sign_up_form(
    visitor: &Visitor,
    invitation: &Invitation,
    token: &str,
    (name, email): (&str, &str),
    message: Option<&str>,
) -> Markup {
    let back = format!("/invitation?token={token}");
    layout::plain(
        visitor,
        "Invitation",
        &html! {
            h1 { "Join " (invitation.organization_name) }
            p.lead { (invitation.invited_by) " invites you. Create an account, or "
                a href=(sign_in_path(&back)) { "sign in" } " if you have one." }
            (layout::complaint(message))
            form.stack method="post" action="/invitation/sign-up" {
                (layout::form_token(visitor))
                input type="hidden" name="token" value=(token);
                (person_fields(name, email))
                button.primary { "Create account and join" }
            }
        },
    )
}
