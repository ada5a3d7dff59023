//! Governing a workspace: members, invitations, roles, revocation, audit.

use axum::http::StatusCode;
use proto_core::Reason;

use crate::{
    pairing::member_id,
    support::{Device, World},
};

/// S132, S133: a removed member's machines in that workspace are revoked, those in others and those of others are not.
#[tokio::test]
async fn removing_a_member_revokes_their_machines_there() {
    let (world, mut ann) = World::with_ann().await;
    let mut bob = world.invited(&mut ann, "acme", "bob").await;
    bob.get("/workspaces/new").await;
    bob.post("/workspaces/new", &[("name", "Beta")]).await;
    let in_acme = Device::new(1).pair(&world, &mut bob, "Acme").await;
    let in_beta = Device::new(2).pair(&world, &mut bob, "Beta").await;
    let of_ann = Device::new(3).pair(&world, &mut ann, "Acme").await;

    let id = member_id(&ann.get("/w/acme/members").await.body, "bob");
    let page = format!("/w/acme/members/{id}/remove");
    assert!(ann.get(&page).await.body.contains("1 machine of theirs"));
    ann.post(&page, &[]).await;

    let reason = async |token, seed| world.validate(token, Device::new(seed).identity.static_key()).await.reason;
    assert_eq!(reason(&in_acme.issue_token, 1).await, Some(Reason::MachineRevoked));
    assert_eq!(reason(&in_beta.issue_token, 2).await, None);
    assert_eq!(reason(&of_ann.issue_token, 3).await, None);
    assert_eq!(world.revocations(Some(0)).await.runtime_targets, [in_acme.runtime_target_id]);
    assert_eq!(bob.get("/w/acme/machines").await.status, StatusCode::NOT_FOUND);
    assert_eq!(bob.get("/w/beta/machines").await.status, StatusCode::OK);
}

/// Members see; admins govern. A member revokes its own machines only.
#[tokio::test]
async fn members_govern_nothing_but_their_own_machines() {
    let (world, mut ann) = World::with_ann().await;
    let mut bob = world.invited(&mut ann, "acme", "bob").await;
    let of_ann = Device::new(1).pair(&world, &mut ann, "Acme").await;
    let of_bob = Device::new(2).pair(&world, &mut bob, "Acme").await;
    assert_eq!(bob.get("/w/acme/audit").await.status, StatusCode::FORBIDDEN);
    let members = bob.get("/w/acme/members").await.body;
    assert!(!members.contains("Create link") && !members.contains("Remove"));
    bob.get("/w/acme/settings/security").await;
    for (path, fields) in [
        ("/w/acme/settings/security".to_owned(), [("policy_mode", "crypto_pairing")]),
        ("/w/acme/settings/delete".to_owned(), [("slug", "acme")]),
        ("/w/acme/members/invite".to_owned(), [("label", "friend")]),
        (format!("/w/acme/machines/{}/revoke", of_ann.machine_id), [("", "")]),
    ] {
        assert_eq!(bob.post(&path, &fields).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let own = bob.post(&format!("/w/acme/machines/{}/revoke", of_bob.machine_id), &[]).await;
    assert_eq!(own.location(), "/w/acme/machines");
    assert!(bob.get("/w/acme/machines").await.body.contains("Revoked (1)"));
}

/// S32: an invitation works once, for a week, unless it is withdrawn; an account that exists accepts it after signing in.
#[tokio::test]
async fn invitations_work_once() {
    let (world, mut ann) = World::with_ann().await;
    let mut bob = world.invited(&mut ann, "acme", "bob").await;
    bob.get("/workspaces/new").await;
    bob.post("/workspaces/new", &[("name", "Beta")]).await;
    let link = bob.invite("beta", "ann", "admin").await;
    let token = link.split_once("token=").unwrap().1;
    assert!(ann.get(&link).await.body.contains("Join Beta?"));
    assert_eq!(ann.post("/invitation/accept", &[("token", token)]).await.location(), "/w/beta/machines");
    assert_eq!(ann.get("/w/beta/audit").await.status, StatusCode::OK, "an admin there");
    assert_eq!(world.browser().get(&link).await.status, StatusCode::FORBIDDEN, "used");

    let withdrawn = ann.invite("acme", "carol", "member").await;
    let page = ann.get("/w/acme/members").await.body;
    let (path, _) = page.split_once("/withdraw").unwrap();
    let path = format!("/w/acme/invitations/{}/withdraw", path.rsplit_once('/').unwrap().1);
    ann.post(&path, &[]).await;
    assert_eq!(world.browser().get(&withdrawn).await.status, StatusCode::FORBIDDEN);

    let late = ann.invite("acme", "dave", "member").await;
    world.clock.advance(7 * 24 * 60 * 60);
    assert_eq!(world.browser().get(&late).await.status, StatusCode::FORBIDDEN);
}

/// A workspace keeps an admin, whatever its admins do.
#[tokio::test]
async fn the_last_admin_stays() {
    let (world, mut ann) = World::with_ann().await;
    world.invited(&mut ann, "acme", "bob").await;
    let page = ann.get("/w/acme/members").await.body;
    let (own, other) = (member_id(&page, "Ann"), member_id(&page, "bob"));
    for (path, fields) in
        [(format!("/w/acme/members/{own}/role"), [("role", "member")]), (format!("/w/acme/members/{own}/remove"), [("", "")])]
    {
        let answer = ann.post(&path, &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.body.contains("needs an admin"));
    }
    ann.post(&format!("/w/acme/members/{other}/role"), &[("role", "admin")]).await;
    assert_eq!(ann.post(&format!("/w/acme/members/{own}/remove"), &[]).await.location(), "/w/acme/members");
    assert_eq!(ann.get("/w/acme/machines").await.status, StatusCode::NOT_FOUND);
}

/// Slugs differ, also where names do not; a deleted workspace's slug is free again.
#[tokio::test]
async fn workspaces_have_slugs_of_their_own() {
    let (world, mut ann) = World::with_ann().await;
    ann.get("/workspaces/new").await;
    assert_eq!(ann.post("/workspaces/new", &[("name", "ACME!")]).await.location(), "/w/acme-2/machines");
    ann.get("/w/acme/settings/delete").await;
    let wrong = ann.post("/w/acme/settings/delete", &[("slug", "acme-2")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ann.post("/w/acme/settings/delete", &[("slug", "acme")]).await.location(), "/");
    assert_eq!(ann.get("/").await.location(), "/w/acme-2/machines");
    ann.get("/workspaces/new").await;
    assert_eq!(ann.post("/workspaces/new", &[("name", "Acme")]).await.location(), "/w/acme/machines");
    let minted = Device::new(1).mint(&world).await;
    assert_eq!(ann.approve(&minted.code, "Acme").await.status, StatusCode::SEE_OTHER);
}

/// Who did what stands in the audit.
#[tokio::test]
async fn the_audit_tells_who_did_what() {
    let (world, mut ann) = World::with_ann().await;
    let mut bob = world.invited(&mut ann, "acme", "bob").await;
    let approval = Device::new(1).pair(&world, &mut bob, "Acme").await;
    let mut asking = Device::new(2);
    asking.org = Some("acme".into());
    let denied = asking.mint(&world).await;
    ann.get(&format!("/pair?code={}", denied.code)).await;
    ann.post("/pair/deny", &[("code", &denied.code)]).await;
    ann.post(&format!("/w/acme/machines/{}/revoke", approval.machine_id), &[]).await;
    ann.get("/w/acme/settings/security").await;
    ann.post("/w/acme/settings/security", &[("policy_mode", "crypto_pairing")]).await;
    let page = ann.get("/w/acme/audit").await.body;
    for row in [
        "<td>Ann</td><td>set the policy mode</td><td>Crypto pairing</td>",
        "<td>Ann</td><td>revoked a machine</td><td>ann's laptop</td>",
        "<td>Ann</td><td>denied a pairing</td><td>ann's laptop</td>",
        "<td>bob</td><td>approved a pairing</td><td>ann's laptop</td>",
        "<td>bob</td><td>joined by invitation</td><td>bob</td>",
        "<td>Ann</td><td>invited</td><td>bob</td>",
        "<td>Ann</td><td>created the workspace</td><td>Acme</td>",
    ] {
        assert!(page.contains(row), "{row} is missing: {page}");
    }
}
