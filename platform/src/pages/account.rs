//! One's own account.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    Page,
    fields::Fields,
    layout,
    setup::new_password_field,
    visitor::{SignedIn, Visitor},
};
use crate::{accounts, app::Shared, error::Error};

pub(super) async fn show(signed_in: SignedIn, visitor: Visitor) -> Response {
    form(&visitor, &signed_in, &html! {}).into_response()
}

pub(super) async fn submit(State(app): State<Shared>, signed_in: SignedIn, visitor: Visitor, fields: Fields) -> Page {
    let passwords = (fields.secret("old_password"), fields.secret("password"));
    match accounts::change_password(&app, &signed_in.account, passwords, &signed_in.session_hash).await {
        Ok(()) => {
            let done = html! { p.notice.good role="status" { "Your password was changed. Other sessions were signed out." } };
            Ok(form(&visitor, &signed_in, &done).into_response())
        }
        Err(Error::Invalid(message)) => {
            let page = form(&visitor, &signed_in, &layout::complaint(Some(&message)));
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

fn form(visitor: &Visitor, signed_in: &SignedIn, outcome: &Markup) -> Markup {
    layout::plain(
        visitor,
        "Change password",
        &html! {
            h1 { "Change password" }
            p.lead { (signed_in.account.name) " · " (signed_in.account.email) }
            (outcome)
            form.stack method="post" action="/account" {
                (layout::form_token(visitor))
                input.hidden value=(signed_in.account.email) autocomplete="username" readonly tabindex="-1" aria-hidden="true";
                label { "Current password"
                    input type="password" name="old_password" autocomplete="current-password" required;
                }
                (new_password_field())
                button.primary { "Change password" }
            }
        },
    )
}
