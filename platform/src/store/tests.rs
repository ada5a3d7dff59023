//! The connections: what a failure leaves behind, and what waits for whom.

use std::fmt::Debug;

use proto_core::{
    api::PolicyMode,
    id::DeviceKind,
    key::{IdentityKey, StaticKey},
};
use sqlx::{Connection as _, query, query_scalar};

use super::{
    account::NewAccount,
    audit::{Action, Actor},
    invitation::NewInvitation,
    machine::NewMachine,
    member::Role,
    organization::Organization,
    *,
};

async fn opened() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("platform.db")).await.unwrap();
    (folder, store)
}

async fn fill(store: &Store, bytes: u32) -> sqlx::Result<()> {
    let mut tx = store.write().await?;
    query("INSERT INTO setup (token_hash, created_at) VALUES (randomblob($1), 0)").bind(bytes).execute(&mut *tx).await?;
    tx.commit().await
}

async fn kept(store: &Store) -> i64 {
    query_scalar("SELECT count(*) FROM setup").fetch_one(&mut *store.read().await.unwrap()).await.unwrap()
}

/// F3: a disk that is full for a moment fails the writes of that moment, and no later one.
#[tokio::test]
async fn a_full_disk_stops_writes_only_while_it_is_full() {
    let (_folder, store) = opened().await;
    fill(&store, 32).await.unwrap();
    let mut tx = store.write().await.unwrap();
    query("PRAGMA max_page_count = 1").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let full = fill(&store, 1_000_000).await.unwrap_err();
    assert!(full.to_string().contains("full"), "{full}");
    for n in 2..5 {
        fill(&store, 32).await.expect("there is room again");
        assert_eq!(kept(&store).await, n);
    }
    store.probe(UnixTime(5)).await.unwrap();
}

/// What is not committed has not happened, and the next write is not held up by it.
#[tokio::test]
async fn a_write_that_is_dropped_leaves_nothing() {
    let (_folder, store) = opened().await;
    for _ in 0..3 {
        let mut tx = store.write().await.unwrap();
        query("INSERT INTO setup (token_hash, created_at) VALUES (randomblob(32), 0)").execute(&mut *tx).await.unwrap();
        drop(tx);
        assert_eq!(kept(&store).await, 0);
    }
    fill(&store, 32).await.unwrap();
    assert_eq!(kept(&store).await, 1);
}

/// F34: while another process holds the write lock and our writes wait for it, reads go on.
#[tokio::test]
async fn reads_do_not_wait_for_writes() {
    let (folder, store) = opened().await;
    let options = SqliteConnectOptions::new().filename(folder.path().join("platform.db"));
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { fill(&store, 32).await })
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(kept(&store).await, 0);
        tokio::task::yield_now().await;
    }
    query("ROLLBACK").execute(&mut other).await.unwrap();
    for write in waiting {
        write.await.unwrap().unwrap();
    }
    assert_eq!(kept(&store).await, 8);
}

/// A reader cannot write, whatever it is asked to.
#[tokio::test]
async fn readers_only_read() {
    let (_folder, store) = opened().await;
    let mut reader = store.read().await.unwrap();
    let refused = query("DELETE FROM setup").execute(&mut *reader).await.unwrap_err();
    assert!(refused.to_string().contains("readonly"), "{refused}");
}

const NOW: UnixTime = UnixTime(1_000);

/// A workspace with an admin, a member, a machine of each, an invitation by each and an entry of the audit.
struct Populated {
    id: OrganizationId,
    machines: Vec<MachineId>,
    invitations: Vec<InvitationId>,
}

/// The same two people govern all workspaces, so that only the workspace tells their rows apart.
async fn populate(db: &mut SqliteConnection, slug: &str, people: &[(AccountId, Role)]) -> Populated {
    let id = OrganizationId::fresh(NOW).unwrap();
    let organization = Organization { id: id.clone(), slug: slug.into(), name: slug.into(), policy_mode: PolicyMode::Standard };
    organization::insert(db, &organization, NOW).await.unwrap();
    let mut machines = Vec::new();
    for (account, role) in people {
        member::insert(db, &id, account, *role, NOW).await.unwrap();
        let machine = MachineId::fresh(NOW).unwrap();
        let new = NewMachine {
            organization: &id,
            owner: account,
            install: &InstallId::fresh(NOW).unwrap(),
            target: &RuntimeTargetId::fresh(NOW).unwrap(),
            machine: &machine,
            kind: DeviceKind::Daemon,
            name: "laptop",
            software: "vpd",
            identity_key: IdentityKey([1; 32]),
            static_key: StaticKey([2; 32]),
            psk: None,
        };
        machine::insert(db, &new, NOW).await.unwrap();
        machines.push(machine);
        let new = NewInvitation {
            organization: &id,
            token_hash: crate::random::token_hash(&format!("{slug} {account}")),
            role: Role::Member,
            label: slug,
            invited_by: account,
            expires_at: NOW.plus(100),
        };
        assert!(invitation::insert(db, &new, NOW).await.unwrap());
        let actor = Actor { organization: Some(&id), account, now: NOW };
        audit::record(db, actor, Action::MemberJoined, slug).await.unwrap();
    }
    let invitations = invitation::list(db, &id, NOW).await.unwrap().into_iter().map(|open| open.id).collect();
    Populated { id, machines, invitations }
}

/// All that a workspace's queries show.
async fn seen(db: &mut SqliteConnection, of: &Populated, people: &[(AccountId, Role)]) -> String {
    let mut seen: Vec<Box<dyn Debug>> = Vec::new();
    for (account, _) in people {
        seen.push(Box::new(member::role(db, &of.id, account).await.unwrap()));
        seen.push(Box::new(machine::living_targets(db, &of.id, None, Some(account)).await.unwrap()));
    }
    for machine in &of.machines {
        seen.push(Box::new(machine::find(db, &of.id, machine).await.unwrap()));
        seen.push(Box::new(machine::living_targets(db, &of.id, Some(machine), None).await.unwrap()));
    }
    seen.push(Box::new(member::list(db, &of.id).await.unwrap()));
    seen.push(Box::new(member::count_admins(db, &of.id).await.unwrap()));
    seen.push(Box::new(machine::list(db, &of.id).await.unwrap()));
    seen.push(Box::new(machine::living_targets(db, &of.id, None, None).await.unwrap()));
    seen.push(Box::new(invitation::list(db, &of.id, NOW).await.unwrap()));
    seen.push(Box::new(audit::list(db, &of.id, i64::MAX).await.unwrap()));
    seen.push(Box::new(organization::living(db, &of.id).await.unwrap()));
    format!("{seen:?}")
}

/// S74 to S77: every query of one workspace says nothing about another, and every change of one leaves the other as it was,
/// although the same people belong to both.
#[tokio::test]
async fn workspaces_see_and_change_only_themselves() {
    let (_folder, store) = opened().await;
    let mut tx = store.write().await.unwrap();
    let db = &mut *tx;
    let mut people = Vec::new();
    for (name, role) in [("ann", Role::Admin), ("bob", Role::Member)] {
        let id = AccountId::fresh(NOW).unwrap();
        account::insert(db, &id, &NewAccount { email: name, name, password_hash: "" }, NOW).await.unwrap();
        people.push((id, role));
    }
    let (one, other) = (populate(db, "one", &people).await, populate(db, "other", &people).await);
    let before = seen(db, &other, &people).await;
    let of_one = seen(db, &one, &people).await;
    let foreign = [other.id.to_string(), "slug: \"other\"".into(), "\"other\"".into()];
    let ids = other.machines.iter().map(ToString::to_string).chain(other.invitations.iter().map(ToString::to_string));
    for foreign in foreign.into_iter().chain(ids) {
        assert!(before.contains(&foreign) || foreign.contains("slug"), "{foreign} is looked for in vain");
        assert!(!of_one.contains(&foreign), "{foreign} shows in another workspace");
    }
    for (mine, theirs) in [(&one, &other), (&other, &one)] {
        for machine in &theirs.machines {
            assert!(machine::find(db, &mine.id, machine).await.unwrap().is_none());
            assert!(machine::living_targets(db, &mine.id, Some(machine), None).await.unwrap().is_empty());
        }
        for invitation in &theirs.invitations {
            assert!(!invitation::close(db, &mine.id, invitation, NOW).await.unwrap());
        }
    }
    assert_eq!(seen(db, &other, &people).await, before);

    let (ann, bob) = (&people[0].0, &people[1].0);
    organization::set_policy(db, &one.id, PolicyMode::CryptoPairing).await.unwrap();
    member::set_role(db, &one.id, bob, Role::Admin).await.unwrap();
    assert_eq!(member::count_admins(db, &one.id).await.unwrap(), 2);
    crate::machines::revoke_targets(db, &one.id, Some(&one.machines[0]), None, NOW).await.unwrap();
    crate::machines::revoke_targets(db, &one.id, None, Some(bob), NOW).await.unwrap();
    assert!(machine::living_targets(db, &one.id, None, None).await.unwrap().is_empty());
    invitation::close_of(db, &one.id, bob, NOW).await.unwrap();
    assert_eq!(invitation::list(db, &one.id, NOW).await.unwrap().len(), 1, "ann's is open");
    audit::record(db, Actor { organization: Some(&one.id), account: ann, now: NOW }, Action::MemberLeft, "x").await.unwrap();
    member::delete(db, &one.id, bob).await.unwrap();
    assert_eq!(seen(db, &other, &people).await, before);
    organization::delete(db, &one.id, NOW).await.unwrap();
    assert!(organization::living(db, &one.id).await.unwrap().is_none());
    assert_eq!(seen(db, &other, &people).await, before);
}
