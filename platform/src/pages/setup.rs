//! The very first page: it makes the first account and its workspace.

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::IntoResponse,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Page, fields::Fields, gate, layout, see, visitor::Visitor};
use crate::{
    accounts::{self, SignUp},
    address::ClientAddress,
    app::Shared,
    error::Error,
    names::MAX_NAME,
};

#[derive(Deserialize)]
pub(super) struct Offer {
    #[serde(default)]
    token: String,
}

pub(super) async fn show(State(app): State<Shared>, visitor: Visitor, Query(offer): Query<Offer>) -> Page {
    if !accounts::setup_fits(&app, &offer.token).await? {
        let message = "This link is used up or was replaced. The server prints a new one when it starts without any account.";
        return Err(Error::Forbidden(message).into());
    }
    Ok(form(&visitor, &offer.token, &Typed::default(), None).into_response())
}

pub(super) async fn submit(
    State(app): State<Shared>,
    visitor: Visitor,
    ClientAddress(address): ClientAddress,
    fields: Fields,
) -> Page {
    app.limits.set_ups.act(&address, app.clock.now())?;
    let typed = Typed { name: fields.get("name"), email: fields.get("email"), organization: fields.get("organization") };
    let sign_up = SignUp { name: typed.name.into(), email: typed.email.into(), password: fields.secret("password") };
    match accounts::create_first(&app, Some(fields.get("token")), sign_up, typed.organization).await {
        Ok((account, organization)) => {
            let mut response = see(&format!("/w/{}/machines", organization.slug));
            gate::set_session(&app, &mut response, &accounts::start_session(&app, &account).await?);
            Ok(response)
        }
        Err(Error::Invalid(message)) => {
            let page = form(&visitor, fields.get("token"), &typed, Some(&message));
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Default)]
struct Typed<'a> {
    name: &'a str,
    email: &'a str,
    organization: &'a str,
}

fn form(visitor: &Visitor, token: &str, typed: &Typed<'_>, message: Option<&str>) -> Markup {
    layout::plain(
        visitor,
        "Set up Viewport",
        &html! {
            h1 { "Set up Viewport" }
            p.lead { "You are the first one here. Create your account and your team's workspace; you can invite others afterwards." }
            (layout::complaint(message))
            form.stack method="post" action="/setup" {
                (layout::form_token(visitor))
                input type="hidden" name="token" value=(token);
                label { "Workspace"
                    input name="organization" value=(typed.organization) placeholder="Acme Engineering" maxlength=(MAX_NAME)
                        required autofocus;
                }
                (person_fields(typed.name, typed.email))
                button.primary { "Create account and workspace" }
            }
        },
    )
}

/// What a new account is asked for.
pub(super) fn person_fields(name: &str, email: &str) -> Markup {
    html! {
        label { "Your name"
            input name="name" value=(name) autocomplete="name" maxlength=(MAX_NAME) required;
        }
        label { "E-mail"
            input type="email" name="email" value=(email) autocomplete="username" maxlength="254" required;
        }
        (new_password_field())
    }
}

/// A password that is chosen.
pub(super) fn new_password_field() -> Markup {
    let least = crate::password::MIN_CHARS;
    html! {
        label { "New password"
            input type="password" name="password" autocomplete="new-password" minlength=(least) required
                aria-describedby="password-hint";
            small id="password-hint" { "At least " (least) " characters." }
        }
    }
}
