//! Two workspaces know nothing of each other.

use std::collections::BTreeSet;

use crate::support::{Device, World};

/// S74 to S76, ISO-3: one laptop, two pairings: no identifier, key or credential of one occurs in the other.
#[tokio::test]
async fn two_workspaces_share_no_id_or_key() {
    let (world, mut ann) = World::with_ann().await;
    ann.get("/workspaces/new").await;
    ann.post("/workspaces/new", &[("name", "Beta")]).await;
    for slug in ["acme", "beta"] {
        ann.get(&format!("/w/{slug}/settings/security")).await;
        ann.post(&format!("/w/{slug}/settings/security"), &[("policy_mode", "crypto_pairing")]).await;
    }
    let acme = Device::new(1).pair(&world, &mut ann, "Acme").await;
    let beta = Device::new(2).pair(&world, &mut ann, "Beta").await;
    let values = |approval: &proto_core::api::Approval| -> BTreeSet<String> {
        let json = serde_json::to_value(approval).unwrap();
        let claims = approval.issue_token.expose().split('.').nth(1).unwrap().as_bytes();
        let claims = serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(claims).unwrap()).unwrap();
        let mut found = BTreeSet::new();
        strings(&json, &mut found);
        strings(&claims, &mut found);
        found
    };
    let (a, b) = (values(&acme), values(&beta));
    assert!(a.len() >= 12, "{a:?}");
    let public: BTreeSet<_> = a.intersection(&b).map(String::as_str).collect();
    let relay_key = acme.relay.static_keys[0].to_base64url();
    let constants: BTreeSet<_> = [
        "wss://relay.example/ws",
        &relay_key,
        "crypto_pairing",
        "https://viewport.example",
        "viewport-relay",
        "daemon",
        "OKP",
        "X25519",
    ]
    .into_iter()
    .collect();
    assert_eq!(public, constants);
}

fn strings(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::String(text) => {
            found.insert(text.clone());
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        serde_json::Value::Object(members) => members.values().for_each(|member| strings(member, found)),
        _ => {}
    }
}

/// S75, S77: a member of another workspace sees neither pages nor machines, and cannot act on them through its own.
#[tokio::test]
async fn a_stranger_finds_nothing() {
    let (world, mut ann) = World::with_ann().await;
    let mut bob = world.invited(&mut ann, "acme", "bob").await;
    bob.get("/workspaces/new").await;
    bob.post("/workspaces/new", &[("name", "Beta")]).await;
    let machine = Device::new(1).pair(&world, &mut bob, "Beta").await;
    for page in ["machines", "members", "settings/security", "audit"] {
        let seen = ann.get(&format!("/w/beta/{page}")).await;
        let unknown = ann.get(&format!("/w/none/{page}")).await;
        assert_eq!((seen.status.as_u16(), &seen.body), (404, &unknown.body), "a workspace of others looks like none");
    }
    ann.get("/w/acme/settings/security").await;
    let stolen = ann.post(&format!("/w/acme/machines/{}/revoke", machine.machine_id), &[]).await;
    assert_eq!(stolen.status.as_u16(), 404);
    assert!(world.validate(&machine.issue_token, Device::new(1).identity.static_key()).await.active);
}
