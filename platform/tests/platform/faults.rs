//! Faults that were found by attacking and breaking a platform, each as what should have happened.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use proto_core::{
    Reason,
    api::{HEALTH_PATH, PAIRING_CODES_PATH, PollAnswer},
};
use sqlx::{Connection as _, SqliteConnection, query, query_scalar, sqlite::SqliteConnectOptions};
use tokio::time::timeout;

use crate::{
    pairing::member_id,
    support::{Answer, Device, PASSWORD, World, bearer, choice, poll, post_json},
};

async fn database(world: &World) -> SqliteConnection {
    let file = world.folder.path().join("data/platform.db");
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.unwrap()
}

fn cancel(code: &str, token: &str) -> Request<Body> {
    let request = Request::delete(format!("{PAIRING_CODES_PATH}/{code}"));
    request.header("authorization", bearer(token)).body(Body::empty()).unwrap()
}

/// F22: codes whose time is over make room at once, and a caller who finds none is not told of a limit of their own.
#[tokio::test]
async fn expired_codes_do_not_keep_others_from_pairing() {
    let world = World::with(|config| config.max_codes = 3).await;
    for seed in 1..=3 {
        Device::new(seed).mint(&world).await;
    }
    let full = world.call(post_json(PAIRING_CODES_PATH, &Device::new(4).request(), &[])).await;
    assert_eq!(full.problem(), (StatusCode::SERVICE_UNAVAILABLE, None));
    assert!(full.body.contains("Try again in a minute"), "{}", full.body);
    assert_eq!(full.header("retry-after"), Some("60"));
    world.clock.advance(900);
    for seed in 4..=6 {
        Device::new(seed).mint(&world).await;
    }
    let kept: i64 = query_scalar("SELECT count(*) FROM pairing_code").fetch_one(&mut database(&world).await).await.unwrap();
    assert_eq!(kept, 3, "undecided ones are gone");
}

/// F23: the token is looked at before a password costs anything, and an address tries it only so often.
#[tokio::test]
async fn setting_up_checks_the_token_first() {
    let world = World::empty().await;
    world.platform.setup_url().await.unwrap();
    let mut browser = world.browser();
    browser.get("/sign-in").await;
    // A password that is refused as soon as it is to be hashed.
    let fields = [("token", "guess"), ("name", "Eve"), ("email", "eve@example.org"), ("organization", "Evil"), ("password", "x")];
    for _ in 0..20 {
        assert_eq!(browser.post("/setup", &fields).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(browser.post("/setup", &fields).await.status, StatusCode::TOO_MANY_REQUESTS);
}

/// F24, PAIR-12: guesses at codes count wherever they are made.
#[tokio::test]
async fn guessing_codes_is_limited_where_they_are_decided() {
    for path in ["/pair/approve", "/pair/deny"] {
        let (world, mut ann) = World::with_ann().await;
        let minted = Device::new(1).mint(&world).await;
        let page = ann.get(&format!("/pair?code={}", minted.code)).await;
        let acme = choice(&page.body, "Acme").unwrap();
        for n in 0..20 {
            let answer = ann.post(path, &[("code", "BBBBBBBB"), ("workspace", &acme)]).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{n}");
        }
        for code in ["BBBBBBBB", &minted.code] {
            let answer = ann.post(path, &[("code", code), ("workspace", &acme)]).await;
            assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{path} {code}");
        }
        assert_eq!(poll(&world, &minted).await.json::<PollAnswer>(), PollAnswer::Pending);
    }
}

/// F25: a member who lost the right to invite has no open invitation, here, and keeps those of another workspace.
#[tokio::test]
async fn invitations_end_with_the_right_to_make_them() {
    for path in ["remove", "role"] {
        let (world, mut ann) = World::with_ann().await;
        let mut bob = world.invited(&mut ann, "acme", "bob").await;
        let id = member_id(&ann.get("/w/acme/members").await.body, "bob");
        ann.post(&format!("/w/acme/members/{id}/role"), &[("role", "admin")]).await;
        bob.get("/workspaces/new").await;
        bob.post("/workspaces/new", &[("name", "Beta")]).await;
        let (here, there) = (bob.invite("acme", "me again", "admin").await, bob.invite("beta", "carol", "member").await);
        let of_ann = ann.invite("acme", "dave", "member").await;
        assert_eq!(world.browser().get(&here).await.status, StatusCode::OK);

        ann.post(&format!("/w/acme/members/{id}/{path}"), &[("role", "member")]).await;
        assert_eq!(world.browser().get(&here).await.status, StatusCode::FORBIDDEN, "{path}");
        let token = here.split_once("token=").unwrap().1;
        bob.get("/account").await;
        assert_eq!(bob.post("/invitation/accept", &[("token", token)]).await.status, StatusCode::FORBIDDEN);
        assert_eq!(world.browser().get(&there).await.status, StatusCode::OK);
        assert_eq!(world.browser().get(&of_ann).await.status, StatusCode::OK);
    }
}

/// F26: from one address the waits grow whatever the account; an account's tries are slowed from wherever they come.
#[tokio::test]
async fn guesses_at_passwords_wait_ever_longer() {
    let world = World::with(|config| config.trusted_proxies = vec!["0.0.0.0/0".parse().unwrap()]).await;
    world.found().await;
    let mut one = world.browser();
    one.address = Some("198.51.100.1".into());
    one.get("/sign-in").await;
    let mut waits = Vec::new();
    for n in 0..15 {
        let email = format!("unknown{n}@example.org");
        let mut answer = one.post("/sign-in", &[("email", &email), ("password", "a wrong guess")]).await;
        if let Some(seconds) = answer.header("retry-after") {
            assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
            waits.push(seconds.parse::<u64>().unwrap());
            world.clock.advance(waits[waits.len() - 1]);
            answer = one.post("/sign-in", &[("email", &email), ("password", "a wrong guess")]).await;
        }
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(waits, [2, 4, 8, 16]);

    // Many addresses at one account: none is refused, all are slowed from the twelfth try on.
    let fields = [("email", "ann@example.org"), ("password", "a wrong guess")];
    for n in 0..14 {
        let mut many = world.browser();
        many.address = Some(format!("203.0.113.{n}"));
        many.get("/sign-in").await;
        let mut answer = Box::pin(many.post("/sign-in", &fields));
        let slowed = [(11, 1), (12, 2), (13, 4)].into_iter().find(|(slow, _)| *slow == n);
        if let Some((_, seconds)) = slowed {
            assert!(timeout(Duration::from_millis(300), answer.as_mut()).await.is_err(), "try {n} is not slowed");
            world.clock.advance(seconds);
        }
        assert_eq!(answer.await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

/// F26: whatever others try, an account's owner gets in: at once from a known browser, after seconds elsewhere.
#[tokio::test]
async fn failed_guesses_do_not_lock_the_owner_out() {
    let (world, ann) = World::with_ann().await;
    let right = [("email", "ann@example.org"), ("password", PASSWORD)];
    let mut other = world.browser();
    other.get("/sign-in").await;
    for _ in 0..11 {
        let wrong = [("email", "ann@example.org"), ("password", "a wrong guess")];
        assert_eq!(other.post("/sign-in", &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(other.post("/sign-in", &right).await.status, StatusCode::TOO_MANY_REQUESTS, "this address has to wait");
    let mut known = world.browser();
    known.cookies = ann.cookies.into_iter().filter(|(name, _)| name.ends_with("viewport_browser")).collect();
    assert_eq!(known.cookies.len(), 1);
    known.get("/sign-in").await;
    assert_eq!(known.post("/sign-in", &right).await.status, StatusCode::SEE_OTHER, "at the same address, at once");
    known.cookies.retain(|name, _| name.ends_with("viewport_browser"));
    known.get("/sign-in").await;
    let of_another = [("email", "unknown@example.org"), ("password", PASSWORD)];
    let answer = known.post("/sign-in", &of_another).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "it is known for its own account only");
}

/// F27: a key that leaked is published no longer; devices go on by renewing, and nothing is paired again.
#[tokio::test]
async fn a_leaked_key_is_withdrawn() {
    let (world, mut ann) = World::with_ann().await;
    let device = Device::new(1);
    let approval = device.pair(&world, &mut ann, "Acme").await;
    let before = world.key_set().await;
    world.platform.rotate_signing_key().await.unwrap();
    world.platform.withdraw_signing_keys().await.unwrap();
    let after = world.key_set().await;
    assert_eq!(after.len(), 1);
    assert_ne!(before, after);
    let key = device.identity.static_key();
    let old = world.validate(&approval.issue_token, key).await;
    assert_eq!((old.active, old.reason), (false, Some(Reason::SignatureMismatch)));
    let renewed = device.renew(&world, &approval.issue_token, 1).await;
    assert!(world.validate(&renewed, key).await.active);
    let thief = Device::new(2).rotate(&world, &approval.issue_token, 1).await;
    assert_eq!(thief.status, StatusCode::UNAUTHORIZED);
    world.clock.advance(2 * 60 * 60);
    assert_eq!(world.key_set().await, after, "the successor that was announced does not come");
}

/// F32: what people and devices are called shows as what it is.
#[tokio::test]
async fn names_hide_nothing() {
    let (world, mut ann) = World::with_ann().await;
    for hidden in ["Ac\u{202e}me", "\u{2800}\u{2800}", "a\u{200b}b", "a\u{e0041}b", "a\u{1b}[2J"] {
        ann.get("/workspaces/new").await;
        assert_eq!(ann.post("/workspaces/new", &[("name", hidden)]).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{hidden:?}");
        ann.get("/w/acme/members").await;
        let invited = ann.post("/w/acme/members/invite", &[("label", hidden)]).await;
        assert_eq!(invited.status, StatusCode::UNPROCESSABLE_ENTITY, "{hidden:?}");
        let device = Device { name: hidden.into(), ..Device::new(1) };
        let minted = world.call(post_json(PAIRING_CODES_PATH, &device.request(), &[])).await;
        assert_eq!(minted.status, StatusCode::BAD_REQUEST, "{hidden:?}");
    }
}

/// F34: where to go after signing in is a header; what cannot stand there is not led on to.
#[tokio::test]
async fn control_characters_lead_nowhere() {
    let (world, mut ann) = World::with_ann().await;
    for next in ["/%00", "/a%0Ab", "/a%1B", "/a%7F", "/%C3%BC"] {
        let answer = ann.get(&format!("/sign-in?next={next}")).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/"), "{next}");
    }
    let mut browser = world.browser();
    browser.get("/sign-in").await;
    let fields = [("email", "ann@example.org"), ("password", PASSWORD), ("next", "/\u{0}")];
    assert_eq!(browser.post("/sign-in", &fields).await.location(), "/");
}

/// F42: a code that its device gave up cannot be approved; only its device gives it up, and only while it is undecided.
#[tokio::test]
async fn a_cancelled_code_cannot_be_approved() {
    let (world, mut ann) = World::with_ann().await;
    let (minted, other) = (Device::new(1).mint(&world).await, Device::new(2).mint(&world).await);
    let page = format!("/pair?code={}", minted.code);
    let acme = choice(&ann.get(&page).await.body, "Acme").unwrap();
    let stranger = world.call(cancel(&minted.code, other.status_token.expose())).await;
    assert_eq!(stranger.problem(), (StatusCode::NOT_FOUND, None));
    assert_eq!(poll(&world, &minted).await.status, StatusCode::OK);
    let token = minted.status_token.expose();
    assert_eq!(world.call(cancel(&minted.code, token)).await.status, StatusCode::NO_CONTENT);
    let answer = ann.post("/pair/approve", &[("code", &minted.code), ("workspace", &acme)]).await;
    assert_eq!(ann.get(answer.location()).await.status, StatusCode::NOT_FOUND);
    assert!(ann.get("/w/acme/machines").await.body.contains("No machines yet"));
    assert_eq!(world.call(cancel(&minted.code, token)).await.status, StatusCode::NOT_FOUND);

    ann.approve(&other.code, "Acme").await;
    let late = world.call(cancel(&other.code, other.status_token.expose())).await;
    assert_eq!(late.problem(), (StatusCode::CONFLICT, None));
    assert!(matches!(poll(&world, &other).await.json(), PollAnswer::Approved(_)));
}

/// F46: a visitor who was asked to sign in on the way to a page of a workspace gets there.
#[tokio::test]
async fn signing_in_leads_to_the_page_that_was_wanted() {
    let (world, _) = World::with_ann().await;
    let mut browser = world.browser();
    let sign_in = browser.get("/w/acme/members?a=b").await.location().to_owned();
    assert_eq!(sign_in, "/sign-in?next=%2Fw%2Facme%2Fmembers%3Fa%3Db");
}

/// F46: the same form sent twice makes one invitation, and shows the same link.
#[tokio::test]
async fn a_form_that_is_sent_again_invites_once() {
    let (_world, mut ann) = World::with_ann().await;
    let page = ann.get("/w/acme/members").await.body;
    let id = page.split_once("name=\"form_id\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let fields = [("label", "carol"), ("role", "member"), ("form_id", id.as_str())];
    let link = |answer: &Answer| answer.body.split_once("/invitation?token=").unwrap().1.split_once('"').unwrap().0.to_owned();
    let first = ann.post("/w/acme/members/invite", &fields).await;
    let again = ann.post("/w/acme/members/invite", &fields).await;
    assert_eq!(link(&first), link(&again));
    let page = ann.get("/w/acme/members").await.body;
    assert_eq!(page.matches("/withdraw").count(), 1);
    assert_eq!(ann.get("/w/acme/audit").await.body.matches("<td>invited</td>").count(), 1);
    ann.get("/w/acme/members").await;
    let edited = ann.post("/w/acme/members/invite", &[("role", "admin"), fields[0], fields[2]]).await;
    assert_ne!(link(&edited), link(&first), "another role is another invitation");
    assert_ne!(ann.invite("acme", "dave", "member").await, format!("/invitation?token={}", link(&first)));
}

/// F46: members leave by themselves, with their machines there, unless the workspace would have no admin any more.
#[tokio::test]
async fn a_member_can_leave() {
    let (world, mut ann) = World::with_ann().await;
    let mut bob = world.invited(&mut ann, "acme", "bob").await;
    let approval = Device::new(1).pair(&world, &mut bob, "Acme").await;
    assert!(bob.get("/w/acme/members/leave").await.body.contains("1 machine of yours"));
    assert_eq!(bob.post("/w/acme/members/leave", &[]).await.location(), "/");
    assert_eq!(bob.get("/w/acme/machines").await.status, StatusCode::NOT_FOUND);
    let key = Device::new(1).identity.static_key();
    assert_eq!(world.validate(&approval.issue_token, key).await.reason, Some(Reason::MachineRevoked));
    ann.get("/w/acme/members/leave").await;
    let last = ann.post("/w/acme/members/leave", &[]).await;
    assert_eq!(last.status, StatusCode::UNPROCESSABLE_ENTITY);
    let audit = ann.get("/w/acme/audit").await.body;
    assert!(audit.contains("<td>bob</td><td>left the workspace</td><td>bob</td>"), "{audit}");
    assert!(audit.contains(">2 Feb 2026, 02:40 UTC</time>"), "its times are dates");
}

/// F47: menus are popovers, which close on Escape; what they show is their name.
#[tokio::test]
async fn menus_close_on_escape_and_say_their_name() {
    let (_world, mut ann) = World::with_ann().await;
    let page = ann.get("/w/acme/machines").await.body;
    for (menu, name) in [("workspaces", "Workspace: </span>Acme"), ("account", "Account: </span>Ann")] {
        let (_, button) = page.split_once(&format!("popovertarget=\"{menu}\"")).expect("a button that opens it");
        let (button, _) = button.split_once("</button>").unwrap();
        assert!(button.contains(name) && !button.contains("aria-label"), "{button}");
        assert!(page.contains(&format!("<nav id=\"{menu}\" popover")), "{page}");
    }
}

/// F3, F34: health says so while the database takes no write; pages that only read, and relays, go on.
#[tokio::test]
async fn health_tries_a_write_and_reads_go_on() {
    let (world, mut ann) = World::with_ann().await;
    let approval = Device::new(1).pair(&world, &mut ann, "Acme").await;
    let health = async || world.call(Request::get(HEALTH_PATH).body(Body::empty()).unwrap()).await;
    assert_eq!(health().await.status, StatusCode::OK);
    let mut other = database(&world).await;
    query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    world.clock.advance(5);
    let (ill, page, validated) = tokio::join!(
        health(),
        timeout(Duration::from_secs(2), ann.get("/w/acme/machines")),
        world.validate(&approval.issue_token, Device::new(1).identity.static_key()),
    );
    assert_eq!(ill.problem(), (StatusCode::SERVICE_UNAVAILABLE, None));
    assert_eq!(page.expect("reads do not wait").status, StatusCode::OK);
    assert!(validated.active);
    query("ROLLBACK").execute(&mut other).await.unwrap();
    world.clock.advance(5);
    assert_eq!(health().await.status, StatusCode::OK);
}
