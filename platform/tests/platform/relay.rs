//! What relays are told (WIRE section 3).

use std::{collections::BTreeSet, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use proto_core::{
    Reason,
    api::{
        HEALTH_PATH, JWKS_PATH, KEY_DEVICE_PATH, KEY_HANDOVERS_PATH, KEY_STATEMENTS_PATH, ORGANIZATION_KEY_PATH,
        PAIRING_CODES_PATH, REVOCATIONS_PATH, ROTATE_PATH, Revocations, VALIDATE_PATH, ValidateRequest,
    },
};
use tokio::time::timeout;

use crate::support::{Answer, Device, INTERNAL_KEY, World, bearer, post_json};

/// S199, S200: without the key relays are told nothing, not even what is wrong with the request.
#[tokio::test]
async fn another_internal_key_is_refused() {
    let (world, mut ann) = World::with_ann().await;
    let device = Device::new(1);
    let token = device.pair(&world, &mut ann, "Acme").await.issue_token;
    let request = ValidateRequest { token, static_key: device.identity.static_key() };
    for key in ["", "known to relays onlz", "known to relays only ", INTERNAL_KEY.to_uppercase().as_str()] {
        let expected = (StatusCode::UNAUTHORIZED, Some("internal_key_mismatch"));
        let authorization = format!("Bearer {key}x");
        let answer = world.call(post_json(VALIDATE_PATH, &request, &[("authorization", &authorization)])).await;
        assert_eq!(answer.problem(), expected);
        assert!(answer.header("www-authenticate").is_some());
        let revocations = Request::get(REVOCATIONS_PATH).header("authorization", authorization).body(Body::empty()).unwrap();
        assert_eq!(world.call(revocations).await.problem(), expected);
    }
    let answer = world.call(post_json(VALIDATE_PATH, &serde_json::json!("nonsense"), &[])).await;
    assert_eq!(answer.problem().1, Some("internal_key_mismatch"));
}

/// S125, S195, S196, JWT-4: every verdict of the validate call.
#[tokio::test]
async fn validate_says_why() {
    let (world, mut ann) = World::with_ann().await;
    let (device, other) = (Device::new(1), Device::new(2));
    let first = device.pair(&world, &mut ann, "Acme").await;
    let bystander = other.pair(&world, &mut ann, "Acme").await;
    let key = device.identity.static_key();
    let reason = async |token| world.validate(token, key).await.reason;
    assert!(world.validate(&first.issue_token, key).await.active);
    assert!(ann.get("/w/acme/machines").await.body.contains("just now"), "it has been seen");

    let stolen = world.validate(&first.issue_token, other.identity.static_key()).await;
    assert_eq!((stolen.active, stolen.reason, stolen.psk), (false, Some(Reason::TokenKeyMismatch), None));

    let second = device.renew(&world, &first.issue_token, 1).await;
    assert!(world.validate(&first.issue_token, key).await.active, "the device may not have the second one yet");
    let third = device.renew(&world, &second, 2).await;
    assert_eq!(reason(&first.issue_token).await, Some(Reason::TokenSuperseded));
    assert!(world.validate(&third, key).await.active);

    let elsewhere = World::empty().await;
    elsewhere.found().await;
    assert_eq!(elsewhere.validate(&third, key).await.reason, Some(Reason::SignatureMismatch), "another platform's credential");

    ann.get("/w/acme/machines").await;
    ann.get(&format!("/w/acme/machines/{}/revoke", first.machine_id)).await;
    ann.post(&format!("/w/acme/machines/{}/revoke", first.machine_id), &[]).await;
    assert_eq!(reason(&third).await, Some(Reason::MachineRevoked));
    assert!(world.validate(&bystander.issue_token, other.identity.static_key()).await.active);

    ann.get("/w/acme/settings/delete").await;
    ann.post("/w/acme/settings/delete", &[("slug", "acme")]).await;
    assert_eq!(reason(&third).await, Some(Reason::WorkspaceNotFound));
    assert_eq!(world.validate(&bystander.issue_token, other.identity.static_key()).await.reason, Some(Reason::WorkspaceNotFound));
    world.clock.advance(3600 + 61);
    assert_eq!(reason(&third).await, Some(Reason::TokenExpired));
}

/// D3: a relay that waits learns of a revocation at once; one that comes later, in order.
#[tokio::test]
async fn revocations_are_told_at_once_and_in_order() {
    let (world, mut ann) = World::with_ann().await;
    let machines = [Device::new(1).pair(&world, &mut ann, "Acme").await, Device::new(2).pair(&world, &mut ann, "Acme").await];
    assert_eq!(world.revocations(None).await, Revocations::default());

    let waiting = Request::get(format!("{REVOCATIONS_PATH}?after=0")).header("prefer", "wait=25");
    let waiting = waiting.header("authorization", bearer(INTERNAL_KEY)).body(Body::empty()).unwrap();
    let held = tokio::spawn(Answer::of(world.platform.router(), waiting));
    for machine in &machines {
        ann.get(&format!("/w/acme/machines/{}/revoke", machine.machine_id)).await;
        ann.post(&format!("/w/acme/machines/{}/revoke", machine.machine_id), &[]).await;
    }
    let told: Revocations = timeout(Duration::from_secs(20), held).await.expect("not woken").unwrap().json();
    assert_eq!(told.runtime_targets[0], machines[0].runtime_target_id);

    let all = world.revocations(Some(0)).await;
    assert_eq!(all.runtime_targets, machines.each_ref().map(|machine| machine.runtime_target_id.clone()));
    assert_eq!(world.revocations(Some(1)).await.runtime_targets, [machines[1].runtime_target_id.clone()]);
    assert_eq!(world.revocations(None).await, Revocations { last: all.last, ..Revocations::default() });

    ann.get("/w/acme/settings/delete").await;
    ann.post("/w/acme/settings/delete", &[("slug", "acme")]).await;
    assert_eq!(world.revocations(Some(all.last)).await.organizations, [machines[0].workspace.id.clone()]);
}

/// The published description has exactly the endpoints there are: each one that it names answers something else than 404 or
/// 405, and each path of the API is named.
#[tokio::test]
async fn the_api_describes_itself() {
    let world = World::empty().await;
    let document = world.call(Request::get("/api/openapi.json").body(Body::empty()).unwrap()).await;
    let document: serde_json::Value = document.json();
    let mut named = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        named.insert(path.as_str());
        for method in operations.as_object().unwrap().keys() {
            let request = Request::builder().method(method.to_uppercase().as_str()).uri(path.replace("{code}", "x"));
            let answer = world.call(request.body(Body::empty()).unwrap()).await;
            let is_there = answer.status != StatusCode::METHOD_NOT_ALLOWED
                && (answer.status != StatusCode::NOT_FOUND || path.ends_with("{code}"));
            assert!(is_there, "{method} {path}: {}", answer.status);
            let documented = &operations[method]["responses"][answer.status.as_str()];
            assert!(documented.is_object(), "{method} {path} answers {}, which is not described", answer.status);
        }
    }
    let poll = format!("{PAIRING_CODES_PATH}/{{code}}");
    let ours = [PAIRING_CODES_PATH, &poll, ROTATE_PATH, JWKS_PATH, HEALTH_PATH, VALIDATE_PATH, REVOCATIONS_PATH];
    let key = [ORGANIZATION_KEY_PATH, KEY_DEVICE_PATH, KEY_STATEMENTS_PATH, KEY_HANDOVERS_PATH];
    assert_eq!(named, ours.into_iter().chain(key).chain(["/api/openapi.json"]).collect());
}

#[tokio::test]
async fn the_rest_of_the_api_answers_in_problems() {
    let world = World::empty().await;
    let health = world.call(Request::get("/api/health").body(Body::empty()).unwrap()).await;
    assert_eq!(health.status, StatusCode::OK);
    let unknown = world.call(Request::get("/api/coffee").body(Body::empty()).unwrap()).await;
    assert_eq!(unknown.problem(), (StatusCode::NOT_FOUND, None));
    let wrong = world.call(Request::delete(VALIDATE_PATH).body(Body::empty()).unwrap()).await;
    assert_eq!(wrong.problem(), (StatusCode::METHOD_NOT_ALLOWED, None));
    assert!(world.browser().get("/pair/approve").await.body.contains("Not found"), "a page, when a form's address is opened");
    let huge = "x".repeat(100_000);
    let answer = world.call(post_json("/api/pairing-codes", &huge, &[])).await;
    assert_eq!(answer.problem().0, StatusCode::BAD_REQUEST);
}
