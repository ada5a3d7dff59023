//! Signing in and out.

use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    Page,
    fields::Fields,
    gate, layout, see,
    visitor::{SignedIn, Visitor},
};
use crate::{
    accounts::{self, Attempt},
    address::ClientAddress,
    app::Shared,
    error::Error,
};

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    next: String,
}

pub(super) async fn show(visitor: Visitor, Query(wanted): Query<Wanted>) -> Response {
    let next = local(&wanted.next);
    if visitor.signed_in.is_some() {
        return see(next);
    }
    form(&visitor, next, "", None).into_response()
}

pub(super) async fn submit(
    State(app): State<Shared>,
    visitor: Visitor,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    fields: Fields,
) -> Page {
    let (email, next) = (fields.get("email"), local(fields.get("next")));
    let browser = gate::known_browser(&app, &headers);
    let attempt = Attempt { email, password: fields.secret("password"), address: &address, browser };
    match accounts::sign_in(&app, attempt).await {
        Ok(admitted) => {
            let mut response = see(next);
            gate::set_session(&app, &mut response, &admitted.session);
            if let Some(browser) = &admitted.browser {
                gate::set_known_browser(&app, &mut response, browser);
            }
            Ok(response)
        }
        Err(Error::Invalid(message)) => {
            Ok((StatusCode::UNPROCESSABLE_ENTITY, form(&visitor, next, email, Some(&message))).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn sign_out(State(app): State<Shared>, signed_in: SignedIn, fields: Fields) -> Page {
    accounts::sign_out(&app, &signed_in.session_hash).await?;
    let next = local(fields.get("next"));
    let mut response = see(&super::visitor::sign_in_path(next));
    gate::clear_session(&app, &mut response);
    Ok(response)
}

/// Only paths of this site are led on to, and only what may stand in a header.
fn local(next: &str) -> &str {
    let is_visible = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_path = next.starts_with('/') && !next.starts_with("//") && is_visible;
    if is_path { next } else { "/" }
}

fn form(visitor: &Visitor, next: &str, email: &str, message: Option<&str>) -> Markup {
    let pairing = next.starts_with("/pair");
    layout::plain(
        visitor,
        "Sign in",
        &html! {
            h1 { "Sign in" }
            @if pairing { p.lead { "Sign in to approve the device that is waiting." } }
            (layout::complaint(message))
            form.stack method="post" action="/sign-in" {
                (layout::form_token(visitor))
                input type="hidden" name="next" value=(next);
                label { "E-mail"
                    input type="email" name="email" value=(email) autocomplete="username" required autofocus[email.is_empty()];
                }
                label { "Password"
                    input type="password" name="password" autocomplete="current-password" required autofocus[!email.is_empty()];
                }
                button.primary { "Sign in" }
            }
            p.hint { "No account? Ask an admin of your workspace for an invitation link." }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_led_on_to() {
        assert_eq!(local("/pair?code=BCDFGHJK"), "/pair?code=BCDFGHJK");
        for evil in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "/\t/evil",
            "/a\0",
            "/a\x1b[2J",
            "/a\x7f",
            "/ü",
            "/a b",
        ] {
            assert_eq!(local(evil), "/", "{evil}");
        }
    }
}
