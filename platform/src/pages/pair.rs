//! Approving a device (S25 to S33, S211). What a person reads here is all that keeps a stranger's device out, so the page
//! says plainly what is being let in, and where.

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::IntoResponse,
};
use maud::{Markup, html};
use proto_core::{
    api::{CodeText, PairingMode},
    id::DeviceKind,
    platform::pairing_code::{Decision, Refusal},
};
use serde::Deserialize;

use super::{
    Page,
    fields::Fields,
    layout, see,
    time::ago,
    visitor::{SignedIn, Visitor},
};
use crate::{
    app::{App, Shared},
    error::Error,
    pairing::{self, Choice, Outcome, Stage, is_named},
    store::{OrganizationId, organization::Joined, pairing::StoredCode},
};

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    code: String,
}

pub(super) async fn show(State(app): State<Shared>, signed_in: SignedIn, visitor: Visitor, Query(asked): Query<Asked>) -> Page {
    if asked.code.trim().is_empty() {
        return Ok(enter_code(&visitor, None).into_response());
    }
    let Ok(code) = asked.code.parse::<CodeText>() else {
        let page = enter_code(&visitor, Some("That is not a pairing code: it has eight letters and digits."));
        return Ok((StatusCode::NOT_FOUND, page).into_response());
    };
    render(&app, &visitor, &signed_in, code, None).await
}

pub(super) async fn approve(State(app): State<Shared>, signed_in: SignedIn, visitor: Visitor, fields: Fields) -> Page {
    let picked: Option<OrganizationId> = fields.get("workspace").parse().ok().map(|id: proto_core::OrgId| id.into());
    let choice = picked.map(Choice::Approve);
    decide(&app, &visitor, &signed_in, &fields, choice).await
}

pub(super) async fn deny(State(app): State<Shared>, signed_in: SignedIn, visitor: Visitor, fields: Fields) -> Page {
    decide(&app, &visitor, &signed_in, &fields, Some(Choice::Deny)).await
}

/// Carries the press out and shows the page again, which says what became of the code.
async fn decide(app: &App, visitor: &Visitor, signed_in: &SignedIn, fields: &Fields, choice: Option<Choice>) -> Page {
    let code: CodeText = fields.get("code").parse().map_err(|_| Error::NotFound)?;
    let Some(choice) = choice else {
        return render(app, visitor, signed_in, code, Some("Pick a workspace first.")).await;
    };
    let message = match pairing::decide(app, &signed_in.account.id, code, choice).await {
        Ok(Outcome::Refused(Refusal::NoMember)) => "Your account does not belong to that workspace.",
        Ok(Outcome::Refused(Refusal::OtherOrgAsked)) => "The device asked for another workspace.",
        Ok(Outcome::Decided | Outcome::TooLate | Outcome::Refused(_)) | Err(Error::NotFound) => {
            return Ok(see(&format!("/pair?code={code}")));
        }
        Err(error) => return Err(error.into()),
    };
    render(app, visitor, signed_in, code, Some(message)).await
}

async fn render(app: &App, visitor: &Visitor, signed_in: &SignedIn, code: CodeText, message: Option<&str>) -> Page {
    let (stored, stage) = match pairing::view(app, &signed_in.account.id, code).await {
        Ok(found) => found,
        Err(Error::NotFound) => return Ok((StatusCode::NOT_FOUND, expired(visitor)).into_response()),
        Err(error) => return Err(error.into()),
    };
    Ok(match stage {
        Stage::Pending => {
            let status = if message.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
            (status, pending(app, visitor, signed_in, &stored, message)).into_response()
        }
        Stage::Decided(Decision::Approved { org, .. }) => {
            let joined = signed_in.organizations.iter().find(|joined| *joined.organization.id.wire() == org);
            approved(visitor, &stored, joined).into_response()
        }
        Stage::Decided(Decision::Denied { .. }) => denied(visitor).into_response(),
        Stage::Expired => (StatusCode::GONE, expired(visitor)).into_response(),
    })
}

fn pending(app: &App, visitor: &Visitor, signed_in: &SignedIn, stored: &StoredCode, message: Option<&str>) -> Markup {
    let fits = |joined: &&Joined| stored.asked.as_deref().is_none_or(|asked| is_named(&joined.organization, asked));
    let choices: Vec<_> = signed_in.organizations.iter().filter(fits).collect();
    layout::plain(
        visitor,
        "Approve device",
        &html! {
            h1 { "Pair this device?" }
            p.lead { (purpose(stored.kind)) }
            (layout::complaint(message))
            (device(app, stored))
            @if choices.is_empty() { (no_workspace(visitor, signed_in, stored)) } @else { (choice(visitor, stored, &choices)) }
        },
    )
}

const fn purpose(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Daemon => {
            "A machine wants to join a workspace. Nothing streams from it until one of its directories is bound."
        }
        DeviceKind::Viewer => "A viewer wants to join a workspace. It will be able to watch the sessions of that workspace.",
    }
}

fn device(app: &App, stored: &StoredCode) -> Markup {
    html! {
        p.code aria-label="Pairing code" { (stored.code.grouped()) }
        dl.facts {
            dt { "Device" } dd { strong { (stored.name) } }
            dt { "Kind" } dd { (kind(stored.kind)) " · " (stored.software) }
            @if let Some(effect) = effect(stored.mode) { dt { "Its other pairings" } dd { (effect) } }
            dt { "Requested" } dd { (ago(stored.created_at, app.clock.now())) }
        }
        p.notice { "Approve only if you started this pairing yourself and the code above is the one that your terminal shows." }
    }
}

/// What kind of device it is, for people.
pub(super) const fn kind(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Daemon => "Daemon",
        DeviceKind::Viewer => "Viewer",
    }
}

/// What becomes of the pairings that the device has already (D1, D2).
const fn effect(mode: PairingMode) -> Option<&'static str> {
    match mode {
        PairingMode::New => None,
        PairingMode::Add => Some("stay as they are"),
        PairingMode::Replace => Some("end: this one replaces them"),
    }
}

fn choice(visitor: &Visitor, stored: &StoredCode, choices: &[&Joined]) -> Markup {
    let only = choices.len() == 1;
    html! {
        form method="post" action="/pair/approve" {
            (layout::form_token(visitor))
            input type="hidden" name="code" value=(stored.code);
            fieldset.choices {
                legend { "Workspace" }
                @for Joined { organization, .. } in choices {
                    label.choice {
                        input type="radio" name="workspace" value=(organization.id) required checked[only];
                        span { strong { (organization.name) } small { (organization.slug) } }
                    }
                }
            }
            @if stored.asked.is_some() { p.hint { "The device asked for this workspace." } }
            div.actions {
                button.primary { "Approve" }
                button formaction="/pair/deny" formnovalidate { "Deny" }
            }
        }
        (other_account(visitor, stored))
    }
}

/// S31.
fn other_account(visitor: &Visitor, stored: &StoredCode) -> Markup {
    html! {
        @if let Some(signed_in) = &visitor.signed_in {
            form.hint method="post" action="/sign-out" {
                (layout::form_token(visitor))
                input type="hidden" name="next" value={ "/pair?code=" (stored.code) };
                "Signed in as " (signed_in.account.email) ". Workspace missing? "
                button.link { "Use another account" }
            }
        }
    }
}

/// S30 to S33.
fn no_workspace(visitor: &Visitor, signed_in: &SignedIn, stored: &StoredCode) -> Markup {
    html! {
        div.notice.bad {
            @match &stored.asked {
                Some(asked) => p {
                    "The device asked for the workspace " strong { (asked) } ", and "
                    (signed_in.account.email) " does not belong to it."
                },
                None => p { (signed_in.account.email) " does not belong to any workspace yet." },
            }
        }
        ul {
            li { "Signed in with the wrong account? Use another one below." }
            li { "Not a member yet? Ask an admin of the workspace for an invitation link, then open this page again." }
            @if stored.asked.is_none() { li { "Or " a href="/workspaces/new" { "make a workspace" } ", then open this page again." } }
        }
        form.actions method="post" action="/pair/deny" {
            (layout::form_token(visitor))
            input type="hidden" name="code" value=(stored.code);
            button { "Deny" }
        }
        (other_account(visitor, stored))
    }
}

/// S25, S26, S211: a visitor who opens the page now sees that it is done; only members see where.
fn approved(visitor: &Visitor, stored: &StoredCode, joined: Option<&Joined>) -> Markup {
    layout::plain(
        visitor,
        "Device paired",
        &html! {
            p.seal.good aria-hidden="true" { "✓" }
            @match joined {
                Some(Joined { organization, .. }) => {
                    h1 { "Paired with " (organization.name) }
                    p.lead { strong { (stored.name) } " picks this up within seconds. You can close this page and go back to your terminal." }
                    p { a href={ "/w/" (organization.slug) "/machines" } { "See the machines of " (organization.name) } }
                }
                None => {
                    h1 { "This code was already used" }
                    p.lead { "It was approved by another account. There is nothing left to do here." }
                }
            }
        },
    )
}

fn denied(visitor: &Visitor) -> Markup {
    layout::plain(
        visitor,
        "Pairing denied",
        &html! {
            p.seal.bad aria-hidden="true" { "✕" }
            h1 { "Pairing denied" }
            p.lead { "The device was told so, and got no access to anything. You can close this page." }
            p.hint { "Was that a mistake? Run " code { "vpd pair" } " again for a fresh code." }
        },
    )
}

fn expired(visitor: &Visitor) -> Markup {
    layout::plain(
        visitor,
        "Code expired",
        &html! {
            p.seal aria-hidden="true" { "!" }
            h1 { "This code is not valid" }
            p.lead { "Pairing codes live for 15 minutes and work once. Run " code { "vpd pair" } " again for a fresh one." }
            (code_form())
        },
    )
}

fn enter_code(visitor: &Visitor, message: Option<&str>) -> Markup {
    layout::plain(
        visitor,
        "Pair a device",
        &html! {
            h1 { "Pair a device" }
            p.lead { "Run " code { "vpd pair" } " on the device, and enter the code that it shows." }
            (layout::complaint(message))
            (code_form())
        },
    )
}

fn code_form() -> Markup {
    html! {
        form.inline method="get" action="/pair" {
            label { "Pairing code"
                input.code name="code" placeholder="BCDF-GHJK" maxlength="200" autocomplete="off" autocapitalize="characters"
                    spellcheck="false" required;
            }
            button { "Continue" }
        }
    }
}
