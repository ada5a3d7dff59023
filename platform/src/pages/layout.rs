//! The frame around every page.

use maud::{DOCTYPE, Markup, html};

pub(super) use super::time::duration;
use super::{
    fields::FORM_TOKEN,
    visitor::{Member, SignedIn, Visitor},
};
use crate::store::{member::Role, organization::Joined};

/// The sections of a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Machines,
    Members,
    Security,
    Audit,
}

/// A page of its own, without navigation.
pub(super) fn bare(title: &str, body: &Markup) -> Markup {
    document(
        title,
        &html! {
            header.top { div.bar { (brand()) } }
            main.card id="content" { (body) }
        },
    )
}

/// A page of its own for a visitor who may be signed in.
pub(super) fn plain(visitor: &Visitor, title: &str, body: &Markup) -> Markup {
    document(
        title,
        &html! {
            (top(visitor, None))
            main.card id="content" { (body) }
        },
    )
}

/// A page of a workspace.
pub(super) fn workspace(member: &Member, section: Section, title: &str, body: &Markup) -> Markup {
    document(
        &format!("{title} · {}", member.organization.name),
        &html! {
            (top(&member.visitor, Some(&member.organization.slug)))
            (sections(member, section))
            main id="content" { (body) }
        },
    )
}

/// A step within a workspace that needs one more press.
pub(super) fn confirmation(member: &Member, title: &str, body: &Markup) -> Markup {
    document(
        &format!("{title} · {}", member.organization.name),
        &html! {
            (top(&member.visitor, Some(&member.organization.slug)))
            main.card id="content" { h1 { (title) } (body) }
        },
    )
}

/// The field that every form needs to be let in.
pub(super) fn form_token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name=(FORM_TOKEN) value=(visitor.form_token); }
}

/// What was wrong with a form.
pub(super) fn complaint(message: Option<&str>) -> Markup {
    html! { @if let Some(message) = message { p.notice.bad role="alert" { (message) } } }
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · Viewport" }
                link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%234f46e5'/%3E%3Cpath d='M4 5l3 3-3 3M8.5 11H12' stroke='white' stroke-width='1.6' fill='none'/%3E%3C/svg%3E";
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#content" { "Skip to content" }
                (body)
            }
        }
    }
}

fn brand() -> Markup {
    html! { a.brand href="/" { span.mark aria-hidden="true" { "›_" } span.word { "Viewport" } } }
}

fn top(visitor: &Visitor, slug: Option<&str>) -> Markup {
    html! {
        header.top {
            div.bar {
                (brand())
                @if let Some(signed_in) = &visitor.signed_in {
                    @if slug.is_some() || !signed_in.organizations.is_empty() { (switcher(signed_in, slug)) }
                    (account_menu(visitor, signed_in))
                }
            }
        }
    }
}

/// S213.
fn switcher(signed_in: &SignedIn, slug: Option<&str>) -> Markup {
    let current = signed_in.organizations.iter().find(|joined| Some(joined.organization.slug.as_str()) == slug);
    html! {
        div.menu.switcher {
            button type="button" popovertarget="workspaces" {
                @if current.is_some() { span.hidden { "Workspace: " } }
                (current.map_or("Workspaces", |joined| joined.organization.name.as_str()))
            }
            nav #workspaces popover aria-label="Workspaces" {
                @for Joined { organization, .. } in signed_in.organizations.iter() {
                    a href={ "/w/" (organization.slug) "/machines" }
                      aria-current=[(Some(organization.slug.as_str()) == slug).then_some("true")] {
                        (organization.name)
                        small { (organization.slug) }
                    }
                }
                a.quiet href="/workspaces/new" { "New workspace…" }
            }
        }
    }
}

fn account_menu(visitor: &Visitor, signed_in: &SignedIn) -> Markup {
    html! {
        div.menu.account {
            button type="button" popovertarget="account" { span.hidden { "Account: " } (signed_in.account.name) }
            nav #account popover aria-label="Account" {
                p { small { "Signed in as" br; (signed_in.account.email) } }
                a href="/account" { "Change password" }
                form method="post" action="/sign-out" {
                    (form_token(visitor))
                    button.link { "Sign out" }
                }
            }
        }
    }
}

fn sections(member: &Member, current: Section) -> Markup {
    let all = [
        (Section::Machines, "Machines", "machines"),
        (Section::Members, "Members", "members"),
        (Section::Security, "Security", "settings/security"),
        (Section::Audit, "Audit", "audit"),
    ];
    let visible = |section| member.role == Role::Admin || section != Section::Audit;
    html! {
        nav.sections aria-label="Workspace" {
            @for (section, name, path) in all.into_iter().filter(|(section, ..)| visible(*section)) {
                a href={ "/w/" (member.organization.slug) "/" (path) }
                  aria-current=[(section == current).then_some("page")] { (name) }
            }
        }
    }
}
