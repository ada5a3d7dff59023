//! What the subjects share: a platform that signs, a device, and the fates of effects.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{LazyLock, Mutex, OnceLock},
};

use crate::laws::START;
use bytes::Bytes;
use proptest::{collection::vec, prelude::*, strategy::BoxedStrategy};
use proto_core::{
    Entropy, Reason, UnixTime, WallClock,
    api::{Approval, DeviceKind, PolicyMode, RelayEndpoint, Renewed, Workspace},
    crypto::Identity,
    effect::{Closed, Effect, Happening, HttpAnswer, NetFault},
    files::{BindingRecord, BindingState, RelayRecord, Unknown},
    jose::{self, Claims, Confirmation, JwkSet, RELAY_AUDIENCE, SigningKey, Thumbprint},
    secret::{Secret, SecretBytes, SecretText},
    uplink,
};

/// What the wall clock shows at [`START`].
pub(super) const UNIX: UnixTime = UnixTime(1_800_000_000);

pub(super) const ISSUER: &str = "https://api.example";

/// How many of the recent outputs an answer may be for.
const RECENT: usize = 4;

pub(super) fn clock() -> WallClock {
    WallClock::new(START, UNIX)
}

/// Wall clocks that are right, a little wrong, and far off.
pub(super) fn clocks() -> BoxedStrategy<WallClock> {
    let unix = prop_oneof![Just(UNIX.0), UNIX.0 - 7_200..UNIX.0 + 7_200, any::<u64>()];
    unix.prop_map(|unix| WallClock::new(START, UnixTime(unix))).boxed()
}

pub(super) fn parsed<T: std::str::FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(super) fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

/// The same one every time, and made once: traces are many, and the arithmetic would be most of their time.
pub(super) fn identity(seed: u8) -> Identity {
    static MADE: [OnceLock<Identity>; 256] = [const { OnceLock::new() }; 256];
    MADE[usize::from(seed)].get_or_init(|| Identity::from_seed(secret(seed))).clone()
}

pub(super) fn platform_key() -> SigningKey {
    static MADE: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&secret(0x50)));
    MADE.clone()
}

pub(super) fn key_set() -> String {
    JwkSet::from_iter([platform_key().public_key()]).to_json()
}

/// A credential of the device with this seed; signed once, as above.
pub(super) fn token(seed: &Secret, org: &str, target: &str, generation: u64) -> SecretText {
    type Tokens = BTreeMap<([u8; 32], String, u64), SecretText>;
    static MADE: Mutex<Tokens> = Mutex::new(Tokens::new());
    let what = (*seed.expose(), format!("{org} {target}"), generation);
    let mut made = MADE.lock().unwrap();
    made.entry(what).or_insert_with(|| signed(seed, org, target, generation)).clone()
}

fn signed(seed: &Secret, org: &str, target: &str, generation: u64) -> SecretText {
    let device = Identity::from_seed(seed.clone());
    let claims = Claims {
        issuer: ISSUER.into(),
        audience: RELAY_AUDIENCE.into(),
        install: parsed("i"),
        org: parsed(org),
        runtime_target: parsed(target),
        machine: parsed("m"),
        role: DeviceKind::Daemon,
        generation,
        confirmation: Confirmation {
            static_key: device.static_key(),
            identity: Thumbprint::of_identity_key(device.identity_key()),
        },
        issued_at: UNIX,
        not_before: UNIX,
        expires_at: UNIX.plus(3_600),
        renewable_until: UNIX.plus(2_592_000),
        id: parsed("t"),
    };
    jose::sign(&claims, &platform_key())
}

pub(super) fn workspace(org: &str) -> Workspace {
    Workspace { id: parsed(org), slug: org.to_lowercase(), name: org.into() }
}

pub(super) fn relay_identity() -> Identity {
    identity(0x52)
}

pub(super) fn relay() -> RelayEndpoint {
    RelayEndpoint { url: "wss://relay.example/ws".into(), static_keys: vec![relay_identity().static_key()] }
}

pub(super) fn approval(seed: &Secret, org: &str, target: &str) -> Approval {
    Approval {
        workspace: workspace(org),
        install_id: parsed("i"),
        runtime_target_id: parsed(target),
        machine_id: parsed("m"),
        issue_token: token(seed, org, target, 1),
        relay: relay(),
        policy_mode: PolicyMode::Standard,
        psk: None,
    }
}

/// The binding of a device that paired with `A`.
pub(super) fn record() -> BindingRecord {
    let seed = secret(1);
    let Approval { workspace, install_id, runtime_target_id, machine_id, issue_token, relay, policy_mode, psk } =
        approval(&seed, "A", "r");
    BindingRecord {
        workspace_id: workspace.id,
        slug: workspace.slug,
        name: workspace.name,
        install_id,
        runtime_target_id,
        machine_id,
        issue_token,
        generation: 1,
        identity: "relay-identities/A.json".into(),
        relay: relay_record(relay),
        policy_mode,
        psk,
        api: None,
        state: BindingState::Active,
        unknown: Unknown::new(),
    }
}

pub(super) fn relay_record(relay: RelayEndpoint) -> RelayRecord {
    RelayRecord { url: relay.url, static_keys: relay.static_keys, retired_keys: Vec::new(), unknown: Unknown::new() }
}

pub(super) fn uplink_settings() -> uplink::Settings {
    uplink::Settings { api_endpoint: ISSUER.into(), relay_endpoint: None, software: "vpd".into(), aes_in_hardware: true }
}

pub(super) fn renewed(seed: &Secret, org: &str, target: &str, generation: u64) -> Renewed {
    Renewed { issue_token: token(seed, org, target, generation), relay: relay() }
}

pub(super) fn reasons() -> BoxedStrategy<Reason> {
    proptest::sample::select(Reason::ALL).boxed()
}

/// What becomes of an effect: a recipe for a [`Happening`]. `B` is the recipe of a body.
#[derive(Clone, Debug)]
pub enum Fate<B> {
    Answered { status: u16, retry_after: Option<u32>, body: B },
    Unanswered(NetFault),
    Connected(u8),
    Received(Vec<u8>),
    Sent(u32),
    Closed(Closed),
    Stored,
    NotStored,
}

impl<B> Fate<B> {
    /// The happening, with the body that `bake` makes.
    pub(super) fn happening<I>(&self, id: I, bake: impl FnOnce(&B) -> String) -> Happening<I> {
        match self {
            Self::Answered { status, retry_after, body } => {
                let body = SecretBytes::new(bake(body));
                Happening::Answered(id, HttpAnswer { status: *status, retry_after: *retry_after, body })
            }
            Self::Unanswered(fault) => Happening::Unanswered(id, *fault),
            Self::Connected(seed) => Happening::Connected(id, Entropy::new([*seed; 32])),
            Self::Received(bytes) => Happening::Received(id, Bytes::copy_from_slice(bytes)),
            Self::Sent(messages) => Happening::Sent(id, *messages),
            Self::Closed(closed) => Happening::Closed(id, *closed),
            Self::Stored => Happening::Stored(id),
            Self::NotStored => Happening::NotStored(id),
        }
    }
}

/// Fates of requests and files; most are good.
pub(super) fn fates<B: Clone + Debug + 'static>(bodies: impl Strategy<Value = B> + 'static) -> BoxedStrategy<Fate<B>> {
    let status = prop_oneof![6 => Just(200), 3 => Just(201), 1 => proptest::sample::select(&[204, 400, 401, 404, 410, 429, 503])];
    let retry_after = proptest::option::weighted(0.2, prop_oneof![0_u32..100, any::<u32>()]);
    prop_oneof![
        8 => (status, retry_after, bodies).prop_map(|(status, retry_after, body)| Fate::Answered { status, retry_after, body }),
        1 => faults().prop_map(Fate::Unanswered),
        6 => Just(Fate::Stored),
        1 => Just(Fate::NotStored),
    ]
    .boxed()
}

/// Fates of a WebSocket.
pub(super) fn socket_fates<B: Clone + Debug + 'static>() -> BoxedStrategy<Fate<B>> {
    let closed = prop_oneof![
        proptest::option::of(reasons()).prop_map(Closed::ByPeer),
        Just(Closed::ByUs),
        faults().prop_map(Closed::Fault)
    ];
    prop_oneof![
        4 => any::<u8>().prop_map(Fate::Connected),
        2 => vec(any::<u8>(), 0..128).prop_map(Fate::Received),
        1 => any::<u32>().prop_map(Fate::Sent),
        2 => closed.prop_map(Fate::Closed),
    ]
    .boxed()
}

pub(super) fn faults() -> BoxedStrategy<NetFault> {
    use NetFault::{BadUrl, Broken, Dns, NotUnderstood, Refused, TimedOut, Tls, TooLarge};
    proptest::sample::select(&[BadUrl, Dns, Refused, Tls, TimedOut, Broken, NotUnderstood, TooLarge]).boxed()
}

/// How far back the output lies that an answer is for: mostly the latest.
pub(super) fn recent() -> BoxedStrategy<usize> {
    prop_oneof![4 => Just(0), 1 => 0..RECENT].boxed()
}

/// The `back`-th latest output that `pick` takes something from.
pub(super) fn latest<'a, O, T: 'a>(said: &'a [O], back: usize, pick: impl Fn(&'a O) -> Option<T> + 'a) -> Option<T> {
    said.iter().rev().filter_map(pick).nth(back)
}

/// Whose an effect is.
pub(super) fn id_of<I: Clone>(effect: &Effect<I>) -> I {
    match effect {
        Effect::Http(id, _)
        | Effect::Connect(id, _)
        | Effect::Send(id, _)
        | Effect::Close(id, _)
        | Effect::Store(id, ..)
        | Effect::Remove(id, _) => id.clone(),
    }
}
