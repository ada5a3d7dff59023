//! The organization's key (D15, WIRE section 12.1): who may ask for what, and what stays what it was.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use proto_core::{
    Entropy, OrgId, PlatformId,
    api::{
        Approval, Base64url, Handover, KEY_DEVICE_PATH, KEY_HANDOVERS_PATH, KEY_STATEMENTS_PATH, KeyView, NamedMachine,
        ORGANIZATION_KEY_PATH, Publication, Registration,
    },
    orgkey::{Generation, SealingKey, Statement, Wrapped, WrappingKeys},
    secret::Secret,
};

use crate::support::{Answer, Browser, Device, World};

/// A paired device.
struct Paired {
    device: Device,
    approval: Approval,
}

impl Paired {
    async fn new(world: &World, browser: &mut Browser, device: Device, workspace: &str) -> Self {
        let approval = device.pair(world, browser, workspace).await;
        Self { device, approval }
    }

    fn org(&self) -> &OrgId {
        &self.approval.workspace.id
    }

    fn target(&self) -> &PlatformId {
        &self.approval.runtime_target_id
    }

    async fn post(&self, world: &World, path: &str, body: &impl serde::Serialize) -> Answer {
        let body = serde_json::to_value(body).unwrap();
        self.device.ask(world, &self.approval.issue_token, path, Some(&body)).await
    }

    async fn view(&self, world: &World, after: u32) -> KeyView {
        self.device.ask(world, &self.approval.issue_token, &format!("{ORGANIZATION_KEY_PATH}?after={after}"), None).await.json()
    }

    async fn register(&self, world: &World) -> Answer {
        let public = WrappingKeys::of(&self.device.identity).public();
        let signature = WrappingKeys::registration(&public, &self.device.identity, self.org(), self.target());
        let registration = Registration { wrapping_key: Base64url(public.bytes().to_vec()), signature };
        self.post(world, KEY_DEVICE_PATH, &registration).await
    }

    fn founds(&self, secret: &Generation) -> Statement {
        Statement::found(self.org(), secret, self.target(), &self.device.identity)
    }

    async fn publish(&self, world: &World, statement: &Statement) -> Answer {
        self.post(world, KEY_STATEMENTS_PATH, &Publication { statement: Base64url(statement.encode()) }).await
    }

    async fn hand(&self, world: &World, to: &Self, number: u32, secret: &Generation) -> Answer {
        let key = SealingKey::new(WrappingKeys::of(&to.device.identity).public().bytes()).unwrap();
        let wrapped =
            Wrapped::wrap(to.org(), to.target(), &key, number, secret, &self.device.identity, &Entropy::new([3; 32])).unwrap();
        let handover = Handover { runtime_target_id: to.target().clone(), wrapped: Base64url(wrapped.encode()) };
        self.post(world, KEY_HANDOVERS_PATH, &handover).await
    }
}

/// A viewing device that asks is told which machines run sessions, and whose they are: those that are not revoked first.
#[tokio::test]
async fn a_viewing_device_is_told_the_names_of_machines() {
    let (world, mut ann) = World::with_ann().await;
    let viewer = Paired::new(&world, &mut ann, Device::viewer(1), "Acme").await;
    let mut daemons = Vec::new();
    for number in 2..4 {
        daemons.push(Paired::new(&world, &mut ann, Device::new(number), "Acme").await);
    }
    let machines = async |device: &Paired| {
        let path = format!("{ORGANIZATION_KEY_PATH}?after=0&machines=true");
        device.device.ask(&world, &device.approval.issue_token, &path, None).await.json::<KeyView>().machines
    };
    let ids = |machines: &[NamedMachine]| machines.iter().map(|machine| machine.runtime_target_id.clone()).collect::<Vec<_>>();
    let told = machines(&viewer).await;
    let expected = BTreeSet::from([daemons[0].target().clone(), daemons[1].target().clone()]);
    assert_eq!(ids(&told).into_iter().collect::<BTreeSet<_>>(), expected, "no viewers");
    assert!(told.iter().all(|machine| machine.owner == "Ann" && !machine.name.is_empty()), "{told:?}");
    assert!(machines(&daemons[0]).await.is_empty(), "who runs sessions is told nothing of others");
    assert!(viewer.view(&world, 0).await.machines.is_empty(), "who does not ask neither");
    ann.post(&format!("/w/acme/machines/{}/revoke", daemons[1].approval.machine_id), &[]).await;
    assert_eq!(ids(&machines(&viewer).await), [daemons[0].target().clone(), daemons[1].target().clone()], "its sessions stay");
}

fn generation(number: u8) -> Generation {
    Generation::new(Secret::new([number; 32]))
}

const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;

/// From the first viewing device to a second one: registered, founded, waited for, handed over, opened.
#[tokio::test]
async fn a_generation_goes_from_one_viewing_device_to_another() {
    let (world, mut ann) = World::with_ann().await;
    let first = Paired::new(&world, &mut ann, Device::viewer(1), "Acme").await;
    let empty = first.view(&world, 0).await;
    assert!(empty.statements.is_empty() && empty.waiting.is_empty() && !empty.renew);
    assert!(empty.device.is_some_and(|device| !device.registered && device.wrapped.is_none()));
    assert_eq!(first.register(&world).await.status, NO_CONTENT);
    let statement = first.founds(&generation(1));
    assert_eq!(first.publish(&world, &statement).await.status, StatusCode::CREATED);

    let second = Paired::new(&world, &mut ann, Device::viewer(2), "Acme").await;
    let seen = second.view(&world, 0).await;
    assert_eq!(seen.statements, [Base64url(statement.encode())]);
    assert!(second.view(&world, 1).await.statements.is_empty());
    assert_eq!(second.register(&world).await.status, NO_CONTENT);
    let waiting: BTreeSet<_> =
        first.view(&world, 1).await.waiting.into_iter().map(|device| (device.name, device.owner)).collect();
    assert_eq!(waiting, BTreeSet::from([("viewer 1".into(), "Ann".into()), ("viewer 2".into(), "Ann".into())]));
    for receiver in [&first, &second] {
        assert_eq!(first.hand(&world, receiver, 1, &generation(1)).await.status, NO_CONTENT);
    }
    assert!(first.view(&world, 1).await.waiting.is_empty());
    let wrapped = second.view(&world, 1).await.device.unwrap().wrapped.unwrap();
    let keys = WrappingKeys::of(&second.device.identity);
    let opened = Wrapped::decode(&wrapped.0).unwrap().open(second.org(), second.target(), &keys);
    assert_eq!(opened, Some(generation(1)));
    // One that cannot open what it got says so by registering again.
    assert_eq!(second.register(&world).await.status, NO_CONTENT);
    assert_eq!(first.view(&world, 1).await.waiting.len(), 1);
}

/// Statements are only ever added, each by who says so, after the one before.
#[tokio::test]
async fn statements_follow_one_another() {
    let (world, mut ann) = World::with_ann().await;
    let device = Paired::new(&world, &mut ann, Device::viewer(1), "Acme").await;
    let other = Paired::new(&world, &mut ann, Device::viewer(2), "Acme").await;
    let first = device.founds(&generation(1));
    assert_eq!(other.publish(&world, &first).await.status, StatusCode::BAD_REQUEST, "another device's");
    assert_eq!(device.publish(&world, &first).await.status, StatusCode::CREATED);
    let taken = (StatusCode::CONFLICT, Some("organization_key_taken"));
    for late in [&first, &other.founds(&generation(2))] {
        let by = if late.maker().0 == device.target() { &device } else { &other };
        assert_eq!(by.publish(&world, late).await.problem(), taken);
    }
    // A device without the generation makes no successor, also when it claims to come after it.
    let fake =
        other.founds(&generation(8)).succeed(&generation(8), &generation(9), other.target(), &other.device.identity).unwrap();
    assert_eq!(other.publish(&world, &fake).await.problem(), taken);
    let next = first.succeed(&generation(1), &generation(2), other.target(), &other.device.identity).unwrap();
    assert_eq!(other.publish(&world, &next).await.status, StatusCode::CREATED);
    let bytes = [&first, &next].map(|statement| Base64url(statement.encode()));
    assert_eq!(device.view(&world, 0).await.statements, bytes);
    assert!(ann.get("/w/acme/audit").await.body.contains("made a generation of the organization's key"));
    let nonsense = device.post(&world, KEY_STATEMENTS_PATH, &Publication { statement: Base64url(vec![1, 2, 3]) }).await;
    assert_eq!(nonsense.status, StatusCode::BAD_REQUEST);
}

/// A daemon reads what is public, and nothing else is its business.
#[tokio::test]
async fn a_daemon_reads_statements_only() {
    let (world, mut ann) = World::with_ann().await;
    let viewer = Paired::new(&world, &mut ann, Device::viewer(1), "Acme").await;
    viewer.register(&world).await;
    viewer.publish(&world, &viewer.founds(&generation(1))).await;
    let daemon = Paired::new(&world, &mut ann, Device::new(2), "Acme").await;
    let seen = daemon.view(&world, 0).await;
    assert_eq!((seen.statements.len(), seen.device, seen.waiting.len(), seen.renew), (1, None, 0, false));
    assert_eq!(daemon.register(&world).await.status, StatusCode::FORBIDDEN);
    assert_eq!(daemon.publish(&world, &daemon.founds(&generation(2))).await.status, StatusCode::FORBIDDEN);
    assert_eq!(daemon.hand(&world, &viewer, 1, &generation(1)).await.status, StatusCode::FORBIDDEN);
}

/// S75, S77, ISO-1: two workspaces have nothing of each other's key, and nothing can be handed from one to the other.
#[tokio::test]
async fn two_workspaces_have_keys_of_their_own() {
    let (world, mut ann) = World::with_ann().await;
    ann.get("/workspaces/new").await;
    ann.post("/workspaces/new", &[("name", "Beta")]).await;
    let acme = Paired::new(&world, &mut ann, Device::viewer(1), "Acme").await;
    let beta = Paired::new(&world, &mut ann, Device::viewer(2), "Beta").await;
    for device in [&acme, &beta] {
        device.register(&world).await;
    }
    acme.publish(&world, &acme.founds(&generation(1))).await;
    assert!(beta.view(&world, 0).await.statements.is_empty());
    assert_eq!(acme.view(&world, 0).await.waiting.len(), 1, "itself");
    let theirs = Statement::found(acme.org(), &generation(5), beta.target(), &beta.device.identity);
    assert_eq!(beta.publish(&world, &theirs).await.status, StatusCode::BAD_REQUEST);
    beta.publish(&world, &beta.founds(&generation(2))).await;
    // Wrapped as for a device of Beta, or of Acme: it is none of Acme's devices.
    assert_eq!(acme.hand(&world, &beta, 1, &generation(1)).await.status, StatusCode::BAD_REQUEST);
    assert!(beta.view(&world, 0).await.device.unwrap().wrapped.is_none());
}

/// What was revoked asks for nothing more, is handed nothing more, and its revocation asks for the next generation.
#[tokio::test]
async fn a_revocation_asks_for_the_next_generation() {
    let (world, mut ann) = World::with_ann().await;
    let holder = Paired::new(&world, &mut ann, Device::viewer(1), "Acme").await;
    let lost = Paired::new(&world, &mut ann, Device::viewer(2), "Acme").await;
    for device in [&holder, &lost] {
        device.register(&world).await;
    }
    let first = holder.founds(&generation(1));
    holder.publish(&world, &first).await;
    for device in [&holder, &lost] {
        holder.hand(&world, device, 1, &generation(1)).await;
    }
    assert!(!holder.view(&world, 0).await.renew);
    let page = format!("/w/acme/machines/{}/revoke", lost.approval.machine_id);
    ann.get(&page).await;
    ann.post(&page, &[]).await;
    let refused = lost.device.ask(&world, &lost.approval.issue_token, ORGANIZATION_KEY_PATH, None).await;
    assert_eq!(refused.problem(), (StatusCode::FORBIDDEN, Some("machine_revoked")));
    assert!(holder.view(&world, 0).await.renew);
    let next = first.succeed(&generation(1), &generation(2), holder.target(), &holder.device.identity).unwrap();
    holder.publish(&world, &next).await;
    let view = holder.view(&world, 0).await;
    assert!(!view.renew, "one revocation, one generation");
    assert_eq!(view.waiting.iter().map(|device| &device.runtime_target_id).collect::<Vec<_>>(), [holder.target()]);
    assert_eq!(holder.hand(&world, &lost, 2, &generation(2)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(holder.hand(&world, &holder, 1, &generation(1)).await.status, StatusCode::CONFLICT, "an older generation");
    assert_eq!(holder.hand(&world, &holder, 2, &generation(2)).await.status, NO_CONTENT);
}

/// JWT-4: without the device's own key its credential is worth nothing here; keys and handovers carry their maker's signature.
#[tokio::test]
async fn only_a_device_speaks_for_itself() {
    let (world, mut ann) = World::with_ann().await;
    let device = Paired::new(&world, &mut ann, Device::viewer(1), "Acme").await;
    let thief = Device::viewer(9);
    let stolen = thief.ask(&world, &device.approval.issue_token, ORGANIZATION_KEY_PATH, None).await;
    assert_eq!(stolen.problem(), (StatusCode::UNAUTHORIZED, Some("token_key_mismatch")));
    let anonymous = world.call(axum::http::Request::get(ORGANIZATION_KEY_PATH).body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(anonymous.problem(), (StatusCode::UNAUTHORIZED, Some("token_malformed")));
    let public = WrappingKeys::of(&thief.identity).public();
    let signature = WrappingKeys::registration(&public, &thief.identity, device.org(), device.target());
    let registration = Registration { wrapping_key: Base64url(public.bytes().to_vec()), signature };
    let refused = device.post(&world, KEY_DEVICE_PATH, &registration).await;
    assert_eq!(refused.problem(), (StatusCode::BAD_REQUEST, Some("signature_mismatch")));
    let short = Registration { wrapping_key: Base64url(vec![1; 1215]), signature };
    assert_eq!(device.post(&world, KEY_DEVICE_PATH, &short).await.status, StatusCode::BAD_REQUEST);
    // A credential past its expiry renews, and does nothing else.
    world.clock.advance(2 * 60 * 60);
    let late = device.device.ask(&world, &device.approval.issue_token, ORGANIZATION_KEY_PATH, None).await;
    assert_eq!(late.problem(), (StatusCode::UNAUTHORIZED, Some("token_expired")));
}
