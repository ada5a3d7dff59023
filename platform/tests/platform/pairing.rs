//! Pairing, as a device and a browser go through it.

use std::time::Duration;

use axum::http::StatusCode;
use proto_core::{
    api::{PAIRING_CODES_PATH, PolicyMode, PollAnswer},
    jose::{self, Expectation, Expiry, Thumbprint},
};
use tokio::time::timeout;

use crate::support::{Answer, Device, START, URL, World, choice, poll, poll_request, post_json};

/// S5 to S7, S16, S27 to S29, S34 to S39, PAIR-7: mint, sign in, approve on the page, poll: a credential that names both keys.
#[tokio::test]
async fn a_device_is_paired_through_the_pages() {
    let world = World::empty().await;
    world.found().await;
    let device = Device::new(1);
    let minted = device.mint(&world).await;
    assert_eq!((minted.code.len(), minted.expires_in, minted.interval), (8, 900, Some(2)));
    assert_eq!(minted.url, format!("{URL}/pair?code={}", minted.code));
    assert_eq!(poll(&world, &minted).await.json::<PollAnswer>(), PollAnswer::Pending);

    let mut browser = world.browser();
    let sign_in = browser.get(&format!("/pair?code={}", minted.code)).await.location().to_owned();
    assert_eq!(sign_in, format!("/sign-in?next=%2Fpair%3Fcode%3D{}", minted.code));
    browser.get(&sign_in).await;
    let next = format!("/pair?code={}", minted.code);
    let fields = [("email", "Ann@Example.org"), ("password", "correct horse battery"), ("next", next.as_str())];
    assert_eq!(browser.post("/sign-in", &fields).await.location(), next);

    let answer = browser.approve(&minted.code, "Acme").await;
    let done = browser.get(answer.location()).await;
    assert!(done.body.contains("Paired with Acme") && done.body.contains("ann's laptop"), "{}", done.body);

    let first = poll(&world, &minted).await;
    let PollAnswer::Approved(approval) = first.json() else { panic!("{}", first.body) };
    assert_eq!(poll(&world, &minted).await.body, first.body, "every poll gets the same answer");
    assert_eq!((approval.workspace.slug.as_str(), approval.policy_mode), ("acme", PolicyMode::Standard));
    assert_eq!(approval.psk, None);

    let expected = Expectation { issuer: Some(URL.into()), expiry: Expiry::Connect };
    let claims = jose::verify(&approval.issue_token, &world.key_set().await, START, &expected).unwrap();
    assert_eq!(claims.org, approval.workspace.id);
    assert_eq!((claims.install, claims.runtime_target), (approval.install_id, approval.runtime_target_id));
    assert_eq!((claims.machine, claims.generation), (approval.machine_id, 1));
    assert_eq!(claims.confirmation.static_key, device.identity.static_key());
    assert_eq!(claims.confirmation.identity, Thumbprint::of_identity_key(device.identity.identity_key()));
    assert_eq!((claims.expires_at, claims.renewable_until), (START.plus(3600), START.plus(30 * 24 * 3600)));

    let machines = browser.get("/w/acme/machines").await.body;
    assert!(machines.contains("ann's laptop") && machines.contains("vpd 0.1.0") && machines.contains("never"));
}

/// S10, S11: another token, no token, another code: the same 404.
#[tokio::test]
async fn a_caller_without_the_code_and_its_token_learns_nothing() {
    let world = World::empty().await;
    let minted = Device::new(1).mint(&world).await;
    let other = Device::new(2).mint(&world).await;
    for (code, token) in [
        (minted.code.as_str(), other.status_token.expose()),
        (minted.code.as_str(), ""),
        ("BBBBBBBB", minted.status_token.expose()),
        ("no-code", minted.status_token.expose()),
    ] {
        assert_eq!(world.call(poll_request(code, token, 25)).await.problem(), (StatusCode::NOT_FOUND, None), "{code} {token}");
    }
    assert_eq!(poll(&world, &minted).await.status, StatusCode::OK);
}

/// PAIR-12: guesses at the status token end the code.
#[tokio::test]
async fn guessing_is_bounded() {
    let world = World::empty().await;
    let minted = Device::new(1).mint(&world).await;
    let guess = async || world.call(poll_request(&minted.code, "guess", 0)).await.status;
    for _ in 0..31 {
        assert_eq!(guess().await, StatusCode::NOT_FOUND);
    }
    assert_eq!(poll(&world, &minted).await.status, StatusCode::OK);
    guess().await;
    assert_eq!(poll(&world, &minted).await.status, StatusCode::NOT_FOUND);

    let mut last = StatusCode::OK;
    for _ in 0..100 {
        last = guess().await;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS, "and an address guesses only so often");
    let other = Device::new(2).mint(&world).await;
    assert_eq!(poll(&world, &other).await.status, StatusCode::OK, "a device with its token polls on");
}

/// Polling without a pause is slowed down (RFC 8628 section 3.5), and goes on afterwards.
#[tokio::test]
async fn hasty_polls_are_slowed_down() {
    let world = World::empty().await;
    let minted = Device::new(1).mint(&world).await;
    let mut answers = Vec::new();
    for _ in 0..40 {
        answers.push(poll(&world, &minted).await);
    }
    let slowed: Vec<&Answer> = answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert_eq!(slowed.len(), 10);
    assert_eq!(slowed[0].header("retry-after"), Some("30"));
    world.clock.advance(30);
    assert_eq!(poll(&world, &minted).await.status, StatusCode::OK);
}

/// D13, S14: a held poll wakes at the approval. The virtual clock stands still, so nothing else can wake it.
#[tokio::test]
async fn a_held_poll_wakes_at_the_approval() {
    let (world, mut ann) = World::with_ann().await;
    let minted = Device::new(1).mint(&world).await;
    let router = world.platform.router();
    let held = tokio::spawn(Answer::of(router, poll_request(&minted.code, minted.status_token.expose(), 25)));
    // Another code's approval is no reason to wake with nothing.
    Device::new(2).pair(&world, &mut ann, "Acme").await;
    assert!(!held.is_finished());
    ann.approve(&minted.code, "Acme").await;
    let answer = timeout(Duration::from_secs(20), held).await.expect("the poll was not woken").unwrap();
    assert!(matches!(answer.json(), PollAnswer::Approved(_)), "{}", answer.body);
}

/// RFC 7240: the wait that was asked for is kept, at most 25 seconds.
#[tokio::test]
async fn a_held_poll_ends_when_its_wait_is_over() {
    let world = World::empty().await;
    let minted = Device::new(1).mint(&world).await;
    let router = world.platform.router();
    let mut held = tokio::spawn(Answer::of(router, poll_request(&minted.code, minted.status_token.expose(), 1000)));
    let answer = loop {
        world.clock.advance(5);
        match timeout(Duration::from_millis(20), &mut held).await {
            Ok(answer) => break answer.unwrap(),
            Err(_) => assert!(world.clock.now() < START.plus(10_000), "the poll never ended"),
        }
    };
    assert_eq!(answer.json::<PollAnswer>(), PollAnswer::Pending);
}

/// PAIR-9, S211: a second press, a re-opened page and a second account change nothing; strangers do not learn where it went.
#[tokio::test]
async fn an_approval_counts_once_and_the_page_says_so() {
    let (world, mut ann) = World::with_ann().await;
    let mut bob = world.invited(&mut ann, "acme", "bob").await;
    let mut eve = world.invited(&mut ann, "acme", "eve").await;
    eve.get("/workspaces/new").await;
    eve.post("/workspaces/new", &[("name", "Evil")]).await;
    let minted = Device::new(1).mint(&world).await;
    let opened = bob.get(&format!("/pair?code={}", minted.code)).await;
    let acme = choice(&opened.body, "Acme").unwrap();
    ann.approve(&minted.code, "Acme").await;
    let before = poll(&world, &minted).await.body;

    for (path, browser) in [("/pair/approve", &mut ann), ("/pair/deny", &mut bob)] {
        let page = format!("/pair?code={}", minted.code);
        let answer = browser.post(path, &[("code", &minted.code), ("workspace", &acme)]).await;
        assert_eq!(answer.location(), page);
        assert!(browser.get(&page).await.body.contains("Paired with Acme"));
    }
    assert_eq!(poll(&world, &minted).await.body, before);
    assert_eq!(ann.get("/w/acme/machines").await.body.matches("ann's laptop").count(), 2, "one row: its name and its button");

    // Eve leaves Acme: the page tells her that the code was used, not for what.
    let members = ann.get("/w/acme/members").await.body;
    let id = member_id(&members, "eve");
    ann.get(&format!("/w/acme/members/{id}/remove")).await;
    ann.post(&format!("/w/acme/members/{id}/remove"), &[]).await;
    let page = eve.get(&format!("/pair?code={}", minted.code)).await.body;
    assert!(page.contains("already used") && !page.contains("Acme") && !page.contains("laptop"), "{page}");
}

pub(crate) fn member_id(page: &str, name: &str) -> String {
    let (before, _) = page.split_once(&format!("Remove<span class=\"hidden\"> {name}</span>")).expect("no such member");
    let (_, path) = before.rsplit_once("/members/").unwrap();
    path.split_once('/').unwrap().0.to_owned()
}

/// S25: denied ends the wait and says so, on both sides.
#[tokio::test]
async fn a_denied_device_is_told() {
    let (world, mut ann) = World::with_ann().await;
    let minted = Device::new(1).mint(&world).await;
    ann.get(&format!("/pair?code={}", minted.code)).await;
    let answer = ann.post("/pair/deny", &[("code", &minted.code)]).await;
    assert!(ann.get(answer.location()).await.body.contains("Pairing denied"));
    assert_eq!(poll(&world, &minted).await.json::<PollAnswer>(), PollAnswer::Denied);
    assert!(ann.get("/w/acme/machines").await.body.contains("No machines yet"));
}

/// S7, S10, PAIR-12: after 15 minutes polls get 404, the page says so, and Approve does nothing any more.
#[tokio::test]
async fn codes_expire() {
    let (world, mut ann) = World::with_ann().await;
    let minted = Device::new(1).mint(&world).await;
    let page = ann.get(&format!("/pair?code={}", minted.code)).await;
    let acme = choice(&page.body, "Acme").unwrap();
    world.clock.advance(899);
    assert_eq!(poll(&world, &minted).await.status, StatusCode::OK);
    world.clock.advance(1);
    assert_eq!(poll(&world, &minted).await.problem(), (StatusCode::NOT_FOUND, None));
    let answer = ann.post("/pair/approve", &[("code", &minted.code), ("workspace", &acme)]).await;
    let page = ann.get(answer.location()).await;
    assert_eq!(page.status, StatusCode::GONE);
    assert!(page.body.contains("vpd pair"));
    assert!(ann.get("/w/acme/machines").await.body.contains("No machines yet"));
}

/// S25: the page of an approved code still says so when it is opened again later, though its answer is gone.
#[tokio::test]
async fn an_expired_approval_is_remembered_without_its_secrets() {
    let (world, mut ann) = World::with_ann().await;
    let minted = Device::new(1).mint(&world).await;
    ann.approve(&minted.code, "Acme").await;
    let token = poll(&world, &minted).await.body;
    assert!(token.contains("issue_token"));
    world.clock.advance(900);
    Device::new(2).mint(&world).await;
    assert_eq!(poll(&world, &minted).await.status, StatusCode::NOT_FOUND);
    assert!(ann.get(&format!("/pair?code={}", minted.code)).await.body.contains("Paired with Acme"));
}

/// S28, S30 to S33: only workspaces of the account are offered, only the asked one, and help where none fits.
#[tokio::test]
async fn only_fitting_workspaces_are_offered() {
    let (world, mut ann) = World::with_ann().await;
    ann.get("/workspaces/new").await;
    ann.post("/workspaces/new", &[("name", "Side Project")]).await;
    let mut device = Device::new(1);
    let both = ann.get(&format!("/pair?code={}", device.mint(&world).await.code)).await.body;
    assert!(choice(&both, "Acme").is_some() && choice(&both, "Side Project").is_some() && !both.contains("checked"));

    device.org = Some("side-project".into());
    let one = ann.get(&format!("/pair?code={}", device.mint(&world).await.code)).await.body;
    assert!(choice(&one, "Acme").is_none() && choice(&one, "Side Project").is_some() && one.contains("checked"));

    device.org = Some("elsewhere".into());
    let none = ann.get(&format!("/pair?code={}", device.mint(&world).await.code)).await.body;
    assert!(none.contains("elsewhere") && none.contains("ann@example.org") && none.contains("invitation link"));
    assert!(!none.contains("/pair/approve"));
}

/// PAIR-12: what the page does not offer cannot be posted either.
#[tokio::test]
async fn a_forged_choice_is_refused() {
    let (world, mut ann) = World::with_ann().await;
    let mut bob = world.invited(&mut ann, "acme", "bob").await;
    ann.get("/workspaces/new").await;
    ann.post("/workspaces/new", &[("name", "Secret")]).await;
    let secret =
        choice(&ann.get(&format!("/pair?code={}", Device::new(1).mint(&world).await.code)).await.body, "Secret").unwrap();

    let minted = Device::new(2).mint(&world).await;
    bob.get(&format!("/pair?code={}", minted.code)).await;
    for workspace in [secret.as_str(), "01J7M8N9P0Q1R2S3T4U5V6W7X8", "", "' OR 1=1 --"] {
        let answer = bob.post("/pair/approve", &[("code", &minted.code), ("workspace", workspace)]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{workspace}");
        assert!(answer.body.contains("role=\"alert\"") && !answer.body.contains("Secret"));
    }
    let mut picky = Device::new(3);
    picky.org = Some("acme".into());
    let minted = picky.mint(&world).await;
    ann.get(&format!("/pair?code={}", minted.code)).await;
    let answer = ann.post("/pair/approve", &[("code", &minted.code), ("workspace", &secret)]).await;
    assert!(answer.body.contains("asked for another workspace"), "{}", answer.body);
    assert_eq!(poll(&world, &minted).await.json::<PollAnswer>(), PollAnswer::Pending);
}

/// WIRE section 2.1: a member that is wrong is a 400 that says which.
#[tokio::test]
async fn a_bad_mint_request_is_refused() {
    let world = World::empty().await;
    let good = serde_json::to_value(Device::new(1).request()).unwrap();
    let stranger = Device::new(2).request();
    for (member, value) in [
        ("name", serde_json::json!("")),
        ("name", serde_json::json!("x".repeat(65))),
        ("name", serde_json::json!("two\nlines")),
        ("name", serde_json::json!("safe\u{202e}gnp.exe")),
        ("software", serde_json::json!(" ")),
        ("org", serde_json::json!("a b")),
        ("kind", serde_json::json!("toaster")),
        ("identity_key", serde_json::json!("AAAA")),
        ("static_key", serde_json::json!(stranger.static_key)),
        ("static_key_signature", serde_json::json!(stranger.static_key_signature)),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let answer = world.call(post_json(PAIRING_CODES_PATH, &body, &[])).await;
        assert_eq!(answer.problem(), (StatusCode::BAD_REQUEST, None), "{member}: {}", answer.body);
    }
    let longest = Device { name: "ü".repeat(64), ..Device::new(1) };
    longest.mint(&world).await;
}

/// WIRE section 2.1, PAIR-12: an address mints so many codes, all different.
#[tokio::test]
async fn minting_is_limited_per_address() {
    let world = World::with(|config| config.mints_per_address = 5).await;
    let mut codes = std::collections::BTreeSet::new();
    for _ in 0..5 {
        codes.insert(Device::new(1).mint(&world).await.code);
    }
    assert_eq!(codes.len(), 5);
    let answer = world.call(post_json(PAIRING_CODES_PATH, &Device::new(1).request(), &[])).await;
    assert_eq!(answer.problem().0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), Some("900"));
    world.clock.advance(900);
    Device::new(1).mint(&world).await;
}

/// S189 to S193: a pre-shared key is made at the approval, for workspaces whose policy asks for it, and relays get the same.
#[tokio::test]
async fn a_psk_is_made_only_while_the_policy_asks_for_it() {
    let (world, mut ann) = World::with_ann().await;
    let plain = Device::new(1).pair(&world, &mut ann, "Acme").await;
    ann.get("/w/acme/settings/security").await;
    ann.post("/w/acme/settings/security", &[("policy_mode", "crypto_pairing")]).await;
    let sealed = Device::new(2).pair(&world, &mut ann, "Acme").await;
    let other = Device::new(3).pair(&world, &mut ann, "Acme").await;
    assert_eq!(sealed.policy_mode, PolicyMode::CryptoPairing);
    assert!(sealed.psk.is_some() && sealed.psk != other.psk, "a key per binding");

    let of_sealed = world.validate(&sealed.issue_token, Device::new(2).identity.static_key()).await;
    assert_eq!((of_sealed.policy_mode, of_sealed.psk), (Some(PolicyMode::CryptoPairing), sealed.psk));
    let of_plain = world.validate(&plain.issue_token, Device::new(1).identity.static_key()).await;
    assert_eq!((of_plain.active, of_plain.policy_mode, of_plain.psk), (true, Some(PolicyMode::CryptoPairing), None));
    assert_eq!(ann.get("/w/acme/machines").await.body.matches("pair again").count(), 1);

    ann.get("/w/acme/settings/security").await;
    ann.post("/w/acme/settings/security", &[("policy_mode", "standard")]).await;
    assert_eq!(Device::new(4).pair(&world, &mut ann, "Acme").await.psk, None);
}
