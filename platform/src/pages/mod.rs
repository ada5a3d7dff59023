//! What people see: plain HTML that works without scripts, one file per page.

mod account;
mod audit;
mod error;
mod fields;
mod gate;
mod invitation;
mod layout;
mod machines;
mod members;
mod pair;
mod settings;
mod setup;
mod sign_in;
mod time;
mod visitor;
mod workspaces;

use axum::{
    Router,
    http::header,
    middleware::from_fn_with_state,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};

use crate::{app::Shared, error::Error};
use error::PageError;
use visitor::SignedIn;

/// What a page's handler gives.
type Page = Result<Response, PageError>;

/// All pages. Whatever is posted to them has passed the gate's check before a handler sees it.
pub(crate) fn routes(app: &Shared) -> Router<Shared> {
    Router::new()
        .route("/", get(home))
        .route("/setup", get(setup::show).post(setup::submit))
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/account", get(account::show).post(account::submit))
        .route("/pair", get(pair::show))
        .route("/pair/approve", post(pair::approve))
        .route("/pair/deny", post(pair::deny))
        .route("/invitation", get(invitation::show))
        .route("/invitation/accept", post(invitation::accept))
        .route("/invitation/sign-up", post(invitation::sign_up))
        .route("/workspaces/new", get(workspaces::show).post(workspaces::submit))
        .nest("/w/{slug}", workspace_routes())
        .fallback(async || PageError::from(Error::NotFound))
        .method_not_allowed_fallback(async || PageError::from(Error::WrongMethod))
        .layer(from_fn_with_state(app.clone(), gate::gate))
        .route("/style.css", get(style))
}

fn workspace_routes() -> Router<Shared> {
    Router::new()
        .route("/machines", get(machines::show))
        .route("/machines/{id}/revoke", get(machines::ask).post(machines::revoke))
        .route("/members", get(members::show))
        .route("/members/invite", post(members::invite))
        .route("/members/leave", get(members::ask_leave).post(members::leave))
        .route("/members/{id}/remove", get(members::ask).post(members::remove))
        .route("/members/{id}/role", post(members::set_role))
        .route("/invitations/{id}/withdraw", post(members::withdraw))
        .route("/settings/security", get(settings::show_security).post(settings::set_policy))
        .route("/settings/delete", get(settings::ask_delete).post(settings::delete))
        .route("/audit", get(audit::show))
}

/// The first of the visitor's workspaces, or where to make one.
async fn home(SignedIn { organizations, .. }: SignedIn) -> Redirect {
    match organizations.first() {
        Some(joined) => Redirect::to(&format!("/w/{}/machines", joined.organization.slug)),
        None => Redirect::to("/workspaces/new"),
    }
}

async fn style() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, include_str!("style.css"))
}

/// After a form was accepted: see there.
fn see(path: &str) -> Response {
    Redirect::to(path).into_response()
}
