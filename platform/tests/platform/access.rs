//! Setting up, signing in and out, forms, headers, what is kept.

use std::os::unix::fs::PermissionsExt;

use axum::http::StatusCode;
use proto_core::secret::SecretText;
use viewport_platform::{Error, FirstAdmin};

use crate::support::{Device, PASSWORD, URL, World, poll};

/// On an empty database a link makes the first account, once.
#[tokio::test]
async fn the_first_admin_signs_up_by_a_link() {
    let world = World::empty().await;
    let old = world.platform.setup_url().await.unwrap().unwrap();
    let url = world.platform.setup_url().await.unwrap().unwrap();
    let path = |url: &str| url.strip_prefix(URL).unwrap().to_owned();
    let mut browser = world.browser();
    assert_eq!(browser.get(&path(&old)).await.status, StatusCode::FORBIDDEN, "a newer link replaces it");
    assert_eq!(browser.get("/setup?token=").await.status, StatusCode::FORBIDDEN);
    browser.get(&path(&url)).await;
    let token = url.split_once("token=").unwrap().1;
    let fill = |password| {
        [("token", token), ("name", "Ann"), ("email", "ann@example.org"), ("organization", "Acme"), ("password", password)]
    };
    let weak = browser.post("/setup", &fill("short")).await;
    assert_eq!(weak.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(weak.body.contains("at least 10 characters") && weak.body.contains("value=\"ann@example.org\""));
    let done = browser.post("/setup", &fill(PASSWORD)).await;
    assert_eq!(done.location(), "/w/acme/machines");
    assert_eq!(browser.get(done.location()).await.status, StatusCode::OK, "signed in already");

    assert_eq!(world.platform.setup_url().await.unwrap(), None);
    assert_eq!(world.browser().get(&path(&url)).await.status, StatusCode::FORBIDDEN);
    let again = FirstAdmin {
        email: "eve@example.org".into(),
        password: SecretText::new(PASSWORD),
        name: "Eve".into(),
        organization: "Evil".into(),
    };
    assert!(matches!(world.platform.create_first_admin(again).await, Err(Error::Forbidden(_))));
}

/// A form without the visitor's token does nothing, signed in or not.
#[tokio::test]
async fn forged_forms_are_refused() {
    let (world, mut ann) = World::with_ann().await;
    let minted = Device::new(1).mint(&world).await;
    let mut other = world.browser();
    other.get("/sign-in").await;
    let foreign = other.form_token();
    ann.get(&format!("/pair?code={}", minted.code)).await;
    for token in ["", "x", &foreign] {
        let answer = ann.post_bare("/pair/deny", &[("code", &minted.code), ("form_token", token)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(ann.post_bare("/sign-out", &[]).await.status, StatusCode::FORBIDDEN);
    let answer = world.browser().post_bare("/sign-in", &[("email", "ann@example.org"), ("password", PASSWORD)]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "nor can a browser be signed in from elsewhere");
    assert!(poll(&world, &minted).await.body.contains("pending"));
    assert_eq!(ann.get("/w/acme/machines").await.status, StatusCode::OK);
}

/// S27, S31: signing out ends the session on the server, and leads back to where one was.
#[tokio::test]
async fn signing_out_ends_the_session() {
    let (world, mut ann) = World::with_ann().await;
    let copied = ann.cookies.clone();
    ann.get("/w/acme/machines").await;
    let answer = ann.post("/sign-out", &[("next", "/pair?code=BCDFGHJK")]).await;
    assert_eq!(answer.location(), "/sign-in?next=%2Fpair%3Fcode%3DBCDFGHJK");
    let mut thief = world.browser();
    thief.cookies = copied;
    assert!(thief.get("/w/acme/machines").await.location().starts_with("/sign-in"));

    let mut later = world.signed_in("ann@example.org").await;
    world.clock.advance(14 * 24 * 60 * 60);
    assert!(later.get("/w/acme/machines").await.location().starts_with("/sign-in"), "sessions end by themselves");
}

/// A wrong password says no more than a wrong address, and only so often.
#[tokio::test]
async fn passwords_cannot_be_tried_forever() {
    let (world, _) = World::with_ann().await;
    let mut browser = world.browser();
    browser.get("/sign-in").await;
    let mut bodies = std::collections::BTreeSet::new();
    for email in ["ann@example.org", "unknown@example.org"] {
        let answer = browser.post("/sign-in", &[("email", email), ("password", "wrong password")]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        bodies.insert(answer.body.replace(email, ""));
    }
    assert_eq!(bodies.len(), 1);
    for _ in 0..9 {
        browser.post("/sign-in", &[("email", "ann@example.org"), ("password", "wrong password")]).await;
    }
    let limited = browser.post("/sign-in", &[("email", "ann@example.org"), ("password", PASSWORD)]).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(limited.header("retry-after").is_some());
    world.clock.advance(2);
    let answer = browser.post("/sign-in", &[("email", "ann@example.org"), ("password", PASSWORD)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

/// A changed password ends the other sessions.
#[tokio::test]
async fn a_password_can_be_changed() {
    let (world, mut ann) = World::with_ann().await;
    let mut elsewhere = world.signed_in("ann@example.org").await;
    ann.get("/account").await;
    let wrong = ann.post("/account", &[("old_password", "not it at all"), ("password", "another passphrase")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let right = ann.post("/account", &[("old_password", PASSWORD), ("password", "another passphrase")]).await;
    assert_eq!(right.status, StatusCode::OK);
    assert_eq!(ann.get("/w/acme/machines").await.status, StatusCode::OK);
    assert!(elsewhere.get("/w/acme/machines").await.location().starts_with("/sign-in"));
    elsewhere.get("/sign-in").await;
    let old = elsewhere.post("/sign-in", &[("email", "ann@example.org"), ("password", PASSWORD)]).await;
    assert_eq!(old.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// Cookies and headers are strict on every page, also on errors.
#[tokio::test]
async fn pages_are_locked_down() {
    let world = World::empty().await;
    for path in ["/sign-in", "/nowhere", "/setup?token=x", "/pair?code=x"] {
        let answer = world.browser().get(path).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe") && !answer.body.contains("<script"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("strict-transport-security").is_some());
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.starts_with("__Host-viewport_visit="), "{cookie}");
        for attribute in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
    }
    let plain = World::with(|config| config.public_url = "http://127.0.0.1:8787".into()).await;
    let answer = plain.browser().get("/sign-in").await;
    assert!(!answer.header("set-cookie").unwrap().contains("Secure"));
    assert_eq!(answer.header("strict-transport-security"), None);
}

/// Whatever people and devices call themselves is text, never markup, and never SQL.
#[tokio::test]
async fn names_are_text() {
    let (world, mut ann) = World::with_ann().await;
    let nasty = "<img src=x onerror=alert(1)>'\"&;--";
    let escaped = "&lt;img src=x onerror=alert(1)&gt;";
    ann.get("/workspaces/new").await;
    let place = ann.post("/workspaces/new", &[("name", nasty)]).await.location().to_owned();
    let mut device = Device::new(1);
    device.name = nasty.into();
    let minted = device.mint(&world).await;
    ann.approve(&minted.code, "Acme").await;
    let pages = [
        format!("/pair?code={}", minted.code),
        "/w/acme/machines".into(),
        "/w/acme/audit".into(),
        place,
        "/workspaces/new".into(),
    ];
    for page in pages {
        let body = ann.get(&page).await.body;
        assert!(body.contains(escaped) && !body.contains("<img"), "{page}: {body}");
    }
    let typed = ann.get("/sign-in?next=%2F%22%3E%3Cimg%3E").await;
    assert!(!typed.body.contains("<img"));
}

/// BIND-9 for the server: the database is private, and holds no token that opens anything.
#[tokio::test]
async fn the_database_is_private_and_holds_hashes() {
    let (world, mut ann) = World::with_ann().await;
    let minted = Device::new(1).mint(&world).await;
    let link = ann.invite("acme", "bob", "member").await;
    let folder = world.folder.path().join("data");
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let mut seen = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        seen.extend(std::fs::read(&path).unwrap());
    }
    let holds = |needle: &str| seen.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(holds("ann@example.org") && holds(&minted.code), "the search finds what is there");
    let session = ann.cookies.values().next_back().unwrap().clone();
    for secret in [minted.status_token.expose(), link.split_once("token=").unwrap().1, &session, PASSWORD] {
        assert!(!holds(secret));
    }
}

/// Everything is still there after a restart, also a pairing under way (S22, S23).
#[tokio::test]
async fn a_restart_loses_nothing() {
    let (world, mut ann) = World::with_ann().await;
    let minted = Device::new(1).mint(&world).await;
    ann.approve(&minted.code, "Acme").await;
    let before = poll(&world, &minted).await.body;
    let (keys, folder) = (world.key_set().await, world.folder);
    drop(world.platform);
    let again = World::with(|config| config.database = folder.path().join("data/platform.db")).await;
    assert_eq!(again.key_set().await, keys);
    assert_eq!(poll(&again, &minted).await.body, before);
    let mut browser = again.browser();
    browser.cookies = ann.cookies;
    assert!(browser.get("/w/acme/machines").await.body.contains("ann's laptop"));
}
