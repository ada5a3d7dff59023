//! Making another workspace.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    Page,
    fields::Fields,
    layout, see,
    visitor::{SignedIn, Visitor},
};
use crate::{app::Shared, error::Error, names::MAX_NAME, organizations};

pub(super) async fn show(_: SignedIn, visitor: Visitor) -> Response {
    form(&visitor, None).into_response()
}

pub(super) async fn submit(State(app): State<Shared>, signed_in: SignedIn, visitor: Visitor, fields: Fields) -> Page {
    match organizations::create(&app, &signed_in.account.id, fields.get("name")).await {
        Ok(organization) => Ok(see(&format!("/w/{}/machines", organization.slug))),
        Err(Error::Invalid(message)) => Ok((StatusCode::UNPROCESSABLE_ENTITY, form(&visitor, Some(&message))).into_response()),
        Err(error) => Err(error.into()),
    }
}

fn form(visitor: &Visitor, message: Option<&str>) -> Markup {
    layout::plain(
        visitor,
        "New workspace",
        &html! {
            h1 { "New workspace" }
            p.lead { "Workspaces share nothing: members, machines, keys and records are separate. You become its admin." }
            (layout::complaint(message))
            form.stack method="post" action="/workspaces/new" {
                (layout::form_token(visitor))
                label { "Name"
                    input name="name" placeholder="Acme Engineering" maxlength=(MAX_NAME) required autofocus;
                    small { "Command lines use a short form of it, such as " code { "acme-engineering" } "." }
                }
                button.primary { "Create workspace" }
            }
        },
    )
}
