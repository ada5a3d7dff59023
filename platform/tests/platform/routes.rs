//! Every page and form for every kind of caller: who gets where.

use std::fmt;

use axum::http::StatusCode;

use crate::{
    pairing::member_id,
    support::{Answer, Browser, Device, World},
};

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// On the sign-in page.
    SignIn,
    /// On another page, as after a form that was accepted.
    On,
    Status(u16),
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignIn => f.write_str("sign-in"),
            Self::On => f.write_str("on"),
            Self::Status(status) => write!(f, "{status}"),
        }
    }
}

fn end(answer: &Answer) -> End {
    match answer.status {
        StatusCode::SEE_OTHER if answer.location().starts_with("/sign-in") => End::SignIn,
        StatusCode::SEE_OTHER => End::On,
        status => End::Status(status.as_u16()),
    }
}

const OK: End = End::Status(200);
const FORBIDDEN: End = End::Status(403);
const NONE: End = End::Status(404);
const WRONG: End = End::Status(422);

/// All callers, in the order of the table's columns: those with the fewest rights first, so that what succeeds comes last.
struct Callers {
    anonymous: Browser,
    expired: Browser,
    /// An admin of another workspace.
    stranger: Browser,
    member: Browser,
    admin: Browser,
}

impl Callers {
    async fn assemble() -> (World, Self) {
        let world = World::empty().await;
        world.found().await;
        let mut old = world.signed_in("ann@example.org").await;
        old.get("/account").await;
        world.clock.advance(14 * 24 * 60 * 60);
        let mut admin = world.signed_in("ann@example.org").await;
        let member = world.invited(&mut admin, "acme", "bob").await;
        let mut stranger = world.invited(&mut admin, "acme", "eve").await;
        stranger.get("/workspaces/new").await;
        stranger.post("/workspaces/new", &[("name", "Evil")]).await;
        stranger.get("/w/acme/members/leave").await;
        stranger.post("/w/acme/members/leave", &[]).await;
        let anonymous = world.browser();
        (world, Self { anonymous, expired: old, stranger, member, admin })
    }

    const fn columns(&mut self) -> [(&'static str, &mut Browser); 5] {
        [
            ("anonymous", &mut self.anonymous),
            ("an expired session", &mut self.expired),
            ("another workspace's admin", &mut self.stranger),
            ("a member", &mut self.member),
            ("an admin", &mut self.admin),
        ]
    }
}

/// A form: where it goes, its fields, and how it ends for each caller.
type Form<'a> = (String, &'a [(&'a str, &'a str)], [End; 5]);

/// S77, S123, S132: what each of the five gets from each page: the columns are anonymous, an expired session, another
/// workspace's admin, a member, an admin.
#[tokio::test]
async fn every_page_is_for_whom_it_is() {
    let (world, mut callers) = Callers::assemble().await;
    let machine = Device::new(1).pair(&world, &mut callers.admin, "Acme").await.machine_id;
    let bob = member_id(&callers.admin.get("/w/acme/members").await.body, "bob");
    let out = End::SignIn;
    let pages = [
        ("/".to_owned(), [out, out, End::On, End::On, End::On]),
        ("/account".into(), [out, out, OK, OK, OK]),
        ("/workspaces/new".into(), [out, out, OK, OK, OK]),
        ("/pair".into(), [out, out, OK, OK, OK]),
        ("/pair?code=BBBBBBBB".into(), [out, out, NONE, NONE, NONE]),
        ("/sign-in".into(), [OK, OK, End::On, End::On, End::On]),
        ("/setup".into(), [FORBIDDEN; 5]),
        ("/invitation?token=guess".into(), [FORBIDDEN; 5]),
        ("/style.css".into(), [OK; 5]),
        ("/nowhere".into(), [NONE; 5]),
        ("/w/acme/machines".into(), [out, out, NONE, OK, OK]),
        (format!("/w/acme/machines/{machine}/revoke"), [out, out, NONE, End::On, OK]),
        (format!("/w/evil/machines/{machine}/revoke"), [out, out, NONE, NONE, NONE]),
        ("/w/acme/members".into(), [out, out, NONE, OK, OK]),
        ("/w/acme/members/leave".into(), [out, out, NONE, OK, OK]),
        (format!("/w/acme/members/{bob}/remove"), [out, out, NONE, FORBIDDEN, OK]),
        (format!("/w/evil/members/{bob}/remove"), [out, out, NONE, NONE, NONE]),
        ("/w/acme/settings/security".into(), [out, out, NONE, OK, OK]),
        ("/w/acme/settings/delete".into(), [out, out, NONE, FORBIDDEN, OK]),
        ("/w/acme/audit".into(), [out, out, NONE, FORBIDDEN, OK]),
        ("/w/none/machines".into(), [out, out, NONE, NONE, NONE]),
    ];
    for (page, expected) in pages {
        for ((who, browser), expected) in callers.columns().into_iter().zip(expected) {
            assert_eq!(end(&browser.get(&page).await), expected, "{page} for {who}");
        }
    }
}

/// The same for every form, sent as each of them may send it, with a form token of their own.
#[tokio::test]
async fn every_form_is_for_whom_it_is() {
    let (world, mut callers) = Callers::assemble().await;
    let machine = Device::new(1).pair(&world, &mut callers.admin, "Acme").await.machine_id;
    world.invited(&mut callers.admin, "acme", "carol").await;
    callers.admin.invite("acme", "dave", "member").await;
    let page = callers.admin.get("/w/acme/members").await.body;
    let (bob, carol) = (member_id(&page, "bob"), member_id(&page, "carol"));
    let open = page.split_once("/withdraw").unwrap().0.rsplit_once('/').unwrap().1.to_owned();
    let out = End::SignIn;
    let forms: [Form<'_>; 16] = [
        (format!("/w/acme/machines/{machine}/revoke"), &[], [out, out, NONE, FORBIDDEN, End::On]),
        (format!("/w/evil/machines/{machine}/revoke"), &[], [out, out, NONE, NONE, NONE]),
        ("/w/acme/members/invite".into(), &[("label", "x")], [out, out, NONE, FORBIDDEN, OK]),
        (format!("/w/acme/members/{bob}/role"), &[("role", "member")], [out, out, NONE, FORBIDDEN, End::On]),
        (format!("/w/evil/members/{bob}/role"), &[("role", "admin")], [out, out, NONE, NONE, NONE]),
        (format!("/w/evil/invitations/{open}/withdraw"), &[], [out, out, End::On, NONE, NONE]),
        (format!("/w/acme/invitations/{open}/withdraw"), &[], [out, out, NONE, FORBIDDEN, End::On]),
        (format!("/w/evil/members/{carol}/remove"), &[], [out, out, NONE, NONE, NONE]),
        (format!("/w/acme/members/{carol}/remove"), &[], [out, out, NONE, FORBIDDEN, End::On]),
        ("/w/acme/settings/security".into(), &[("policy_mode", "standard")], [out, out, NONE, FORBIDDEN, End::On]),
        ("/w/acme/settings/delete".into(), &[("slug", "other")], [out, out, NONE, FORBIDDEN, WRONG]),
        ("/pair/deny".into(), &[("code", "BBBBBBBB")], [out, out, End::On, End::On, End::On]),
        ("/pair/approve".into(), &[("code", "BBBBBBBB")], [out, out, NONE, NONE, NONE]),
        ("/invitation/accept".into(), &[("token", "guess")], [out, out, FORBIDDEN, FORBIDDEN, FORBIDDEN]),
        ("/workspaces/new".into(), &[("name", " ")], [out, out, WRONG, WRONG, WRONG]),
        ("/w/acme/members/leave".into(), &[], [out, out, NONE, End::On, WRONG]),
    ];
    for (path, fields, expected) in forms {
        for ((who, browser), expected) in callers.columns().into_iter().zip(expected) {
            let page = if who == "anonymous" || who == "an expired session" { "/sign-in" } else { "/account" };
            browser.get(page).await;
            assert_eq!(end(&browser.post(&path, fields).await), expected, "{path} for {who}");
            let forged = browser.post_bare(&path, fields).await;
            assert_eq!(end(&forged), FORBIDDEN, "{path} for {who}, from elsewhere");
        }
    }
}
