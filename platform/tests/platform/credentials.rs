//! Renewing credentials (D8, WIRE section 2.4).

use axum::{body::Body, http::StatusCode};
use proto_core::{
    UnixTime,
    api::Renewed,
    jose::{self, Claims, Expectation, Expiry},
    secret::SecretText,
};

use crate::support::{Device, URL, World, post_json};

const DAY: u64 = 24 * 60 * 60;

async fn claims(world: &World, token: &SecretText) -> Claims {
    let expected = Expectation { issuer: Some(URL.into()), expiry: Expiry::Connect };
    jose::verify(token, &world.key_set().await, world.clock.now(), &expected).unwrap()
}

/// ROT-2: one more generation; asked again with the old one (the answer was lost), the same generation; further back, refused.
#[tokio::test]
async fn a_renewal_can_be_repeated_and_an_old_copy_is_noticed() {
    let (world, mut ann) = World::with_ann().await;
    let device = Device::new(1);
    let first = device.pair(&world, &mut ann, "Acme").await;
    world.clock.advance(DAY);
    let second: Renewed = device.rotate(&world, &first.issue_token, 1).await.json();
    assert_eq!(second.relay, first.relay);
    let lost = device.renew(&world, &first.issue_token, 1).await;
    let (a, b) = (claims(&world, &second.issue_token).await, claims(&world, &lost).await);
    assert_eq!((a.generation, b.generation), (2, 2));
    assert_eq!((a.runtime_target, a.confirmation), (b.runtime_target, b.confirmation));
    assert_eq!(a.renewable_until, world.clock.now().plus(30 * DAY), "each renewal moves the hard expiry");

    let third = device.renew(&world, &second.issue_token, 2).await;
    assert_eq!(claims(&world, &third).await.generation, 3);
    let refused = device.rotate(&world, &first.issue_token, 1).await;
    assert_eq!(refused.problem(), (StatusCode::CONFLICT, Some("token_superseded")));
}

/// JWT-4: a stolen token without the device's key is worthless, and a proof holds for this request only.
#[tokio::test]
async fn only_the_holder_of_the_key_renews() {
    let (world, mut ann) = World::with_ann().await;
    let device = Device::new(1);
    let token = device.pair(&world, &mut ann, "Acme").await.issue_token;
    let mismatch = (StatusCode::UNAUTHORIZED, Some("token_key_mismatch"));
    assert_eq!(Device::new(2).rotate(&world, &token, 1).await.problem(), mismatch);
    let elsewhere = device.rotate_at(&world, &token, 1, "https://evil.example/api/credentials/rotate").await;
    assert_eq!(elsewhere.problem(), mismatch);
    assert_eq!(device.rotate(&world, &token, 2).await.problem(), (StatusCode::BAD_REQUEST, None));

    let body = serde_json::json!({ "generation": 1 });
    let authorization = format!("DPoP {}", token.expose());
    for headers in [vec![], vec![("authorization", authorization.as_str())], vec![("dpop", "x")]] {
        let answer = world.call(post_json("/api/credentials/rotate", &body, &headers)).await;
        assert_eq!(answer.problem(), (StatusCode::UNAUTHORIZED, Some("token_malformed")));
    }
    device.renew(&world, &token, 1).await;
}

/// D8: renewable past its soft expiry, not past its hard one.
#[tokio::test]
async fn the_hard_expiry_is_hard() {
    let (world, mut ann) = World::with_ann().await;
    let device = Device::new(1);
    let token = device.pair(&world, &mut ann, "Acme").await.issue_token;
    world.clock.advance(30 * DAY - 1);
    let renewed = device.renew(&world, &token, 1).await;
    world.clock.advance(30 * DAY + 61);
    assert_eq!(device.rotate(&world, &renewed, 2).await.problem(), (StatusCode::UNAUTHORIZED, Some("token_expired")));
}

#[tokio::test]
async fn the_revoked_and_the_deleted_renew_nothing() {
    let (world, mut ann) = World::with_ann().await;
    let device = Device::new(1);
    let approval = device.pair(&world, &mut ann, "Acme").await;
    let page = format!("/w/acme/machines/{}/revoke", approval.machine_id);
    assert!(ann.get(&page).await.body.contains("Revoke ann's laptop?"), "a step in between");
    ann.post(&page, &[]).await;
    let refused = device.rotate(&world, &approval.issue_token, 1).await;
    assert_eq!(refused.problem(), (StatusCode::FORBIDDEN, Some("machine_revoked")));

    ann.get("/w/acme/settings/delete").await;
    ann.post("/w/acme/settings/delete", &[("slug", "acme")]).await;
    let refused = device.rotate(&world, &approval.issue_token, 1).await;
    assert_eq!(refused.problem(), (StatusCode::FORBIDDEN, Some("workspace_not_found")));
}

/// S180: a new key is in the set before it signs; old credentials stay good; a retired key leaves the set in the end.
#[tokio::test]
async fn signing_keys_rotate_without_refusing_anybody() {
    let (world, mut ann) = World::with_ann().await;
    let device = Device::new(1);
    let token = device.pair(&world, &mut ann, "Acme").await.issue_token;
    let kid = |token: &SecretText| jose::Unverified::parse(token).unwrap().kid();
    world.platform.rotate_signing_key().await.unwrap();
    assert_eq!(world.key_set().await.len(), 2);
    let still_old = device.renew(&world, &token, 1).await;
    assert_eq!(kid(&still_old), kid(&token));
    world.clock.advance(2 * 60 * 60);
    let new = device.renew(&world, &still_old, 2).await;
    assert_ne!(kid(&new), kid(&token));
    assert!(world.validate(&new, device.identity.static_key()).await.active);
    world.clock.advance(31 * DAY);
    assert_eq!(world.key_set().await.len(), 1);
}

/// S177: GET and HEAD.
#[tokio::test]
async fn the_key_set_answers_head_too() {
    let world = World::empty().await;
    let request = |method: &str| {
        let request = axum::http::Request::builder().method(method).uri("/api/.well-known/jwks.json");
        request.body(Body::empty()).unwrap()
    };
    let head = world.call(request("HEAD")).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
    let get = world.call(request("GET")).await;
    assert_eq!(get.header("content-type"), Some("application/json"));
    assert_eq!(world.key_set().await.len(), 1);
    assert!(world.clock.now() > UnixTime(0) && !get.body.contains("\"d\""), "public halves only");
}
