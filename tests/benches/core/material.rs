//! What the measurements are made with: keys, a platform that signs, a binding.

use std::{fmt::Debug, sync::Arc};

use io_engine::AwsLc;
use proto_core::{
    Entropy, Instant, JitterRng, OrgId, SessionId, UnixTime, WallClock,
    api::{Approval, PolicyMode, RelayEndpoint, Workspace},
    crypto::{
        Identity, Primitives, PureRust,
        seal::{EpochSecret, Scope},
    },
    device::{
        daemon::{Daemon, Settings, StoredState},
        files::{BindingRecord, Config, Document, IdentityFile, SessionFile, Unknown, VERSION},
        link::{self, Link},
        uplink,
    },
    effect::{Effect, IoEvent, StateFile},
    id::DeviceKind,
    jose::{self, Claims, Confirmation, RELAY_AUDIENCE, SigningKey, Thumbprint},
    machine::Machine,
    noise::{
        Noise, Snow,
        channel::{Channel, Tails},
    },
    relay::admission::PlatformAccess,
    secret::{Secret, SecretBytes, SecretText},
    wire::{Answer, Pattern, Role, Suite, Title, Welcome},
};

/// The accelerated primitives.
pub(crate) type Fast = AwsLc;
/// Those of the core itself.
pub(crate) type Plain = PureRust;

/// A set of primitives and its name.
#[derive(Clone, Copy)]
pub(crate) struct Library {
    pub(crate) name: &'static str,
    pub(crate) primitives: &'static dyn Primitives,
}

/// Both of them.
pub(crate) const LIBRARIES: [Library; 2] =
    [Library { name: "AWS-LC", primitives: &AwsLc }, Library { name: "pure Rust", primitives: &PureRust }];

/// When everything happens.
pub(crate) const START: Instant = Instant::from_nanos(3_600_000_000_000);

pub(crate) const ISSUER: &str = "https://api.example";

const UNIX: UnixTime = UnixTime(1_800_000_000);

pub(crate) fn clock() -> WallClock {
    WallClock::new(START, UNIX)
}

pub(crate) fn parsed<T: std::str::FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("well-formed")
}

pub(crate) fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

pub(crate) fn identity(seed: u8) -> Identity {
    Identity::from_seed(secret(seed))
}

pub(crate) fn psk(suite: Suite) -> Option<Secret> {
    (suite.pattern() == Pattern::IkPsk2).then(|| secret(5))
}

pub(crate) fn welcome() -> Welcome {
    Welcome { frame_max: 1 << 20, time: UNIX.0, software: "relay 0.1.0".into() }
}

pub(crate) fn platform_key() -> SigningKey {
    SigningKey::from_seed(&secret(0x50))
}

/// A credential of the device with seed 1.
pub(crate) fn token(org: &str, target: &str) -> SecretText {
    let device = identity(1);
    let claims = Claims {
        issuer: ISSUER.into(),
        audience: RELAY_AUDIENCE.into(),
        install: parsed("install"),
        org: parsed(org),
        runtime_target: parsed(target),
        machine: parsed("machine"),
        role: DeviceKind::Daemon,
        generation: 1,
        confirmation: Confirmation {
            static_key: device.static_key(),
            identity: Thumbprint::of_identity_key(device.identity_key()),
        },
        issued_at: UNIX,
        not_before: UNIX,
        expires_at: UNIX.plus(3_600),
        renewable_until: UNIX.plus(2_592_000),
        id: parsed("token"),
    };
    jose::sign(&claims, &platform_key())
}

/// A durable binding with this organization, of the device with seed 1.
pub(crate) fn record(org: &str) -> BindingRecord {
    let id: OrgId = parsed(org);
    let identity_file = StateFile::Identity(id.clone(), 0).path();
    let approval = Approval {
        workspace: Workspace { id, slug: org.to_lowercase(), name: org.into() },
        install_id: parsed("install"),
        runtime_target_id: parsed("target"),
        machine_id: parsed("machine"),
        issue_token: token(org, "target"),
        relay: RelayEndpoint { url: "wss://relay.example/ws".into(), static_keys: vec![identity(2).static_key()] },
        policy_mode: PolicyMode::Standard,
        psk: None,
    };
    BindingRecord::new(approval, 1, identity_file)
}

pub(crate) fn uplink_settings() -> uplink::Settings {
    uplink::Settings { api_endpoint: ISSUER.into(), relay_endpoint: None, software: "vpd".into(), aes_in_hardware: true }
}

pub(crate) const SESSION: SessionId = SessionId([7; 16]);

/// What the session's records are sealed for.
pub(crate) fn scope(cipher: proto_core::crypto::Cipher) -> Scope {
    Scope { org: parsed("org"), session: SESSION, cipher }
}

pub(crate) fn epoch_secret() -> EpochSecret {
    EpochSecret::new(secret(9))
}

/// The relay's end of a fresh session, and its message 2, as answer to a device's message 1.
pub(crate) fn answer<P>(first: &[u8]) -> (Snow<P>, bytes::Bytes)
where
    Snow<P>: Noise,
{
    let relay = identity(2);
    let (mut noise, _) = Snow::<P>::respond(relay.static_keys(), Entropy::new([4; 32]), first).expect("message 1");
    let second = noise.answer(None, &Answer::Welcome(welcome()).encode()).expect("message 2");
    (noise, second.into())
}

/// A link that is up, and the relay's end of it.
pub(crate) fn link<P>(role: Role, aes_in_hardware: bool) -> (Link<Snow<P>>, Channel<Snow<P>>)
where
    Snow<P>: Noise,
{
    let config = link::Config {
        role,
        url: "wss://relay.example/ws".into(),
        relay_keys: vec![identity(2).static_key()],
        identity: identity(1),
        psk: None,
        token: token("org", "target"),
        software: "vpd".into(),
        aes_in_hardware,
    };
    let mut link = Link::new(config, JitterRng::new(1), START);
    link.handle_timeout(START);
    tell(&mut link, IoEvent::Connected((), Entropy::new([3; 32])));
    let (noise, second) = answer(&sent(&mut link).expect("message 1"));
    let mut relay = Channel::new(noise, Tails::Refused);
    tell(&mut link, IoEvent::Received((), second));
    relay.open(&sent(&mut link).expect("a ping")).expect("a ping");
    assert!(link.is_up(), "the link is up");
    (link, relay)
}

pub(crate) fn tell<P>(link: &mut Link<Snow<P>>, event: IoEvent<()>)
where
    Snow<P>: Noise,
{
    link.handle_input(START, link::Input::Io(event)).expect("taken");
}

/// The latest message that the link wants to send; the rest of what it says is dropped.
pub(crate) fn sent<P>(link: &mut Link<Snow<P>>) -> Option<bytes::Bytes>
where
    Snow<P>: Noise,
{
    let outputs = std::iter::from_fn(|| link.poll_output());
    outputs
        .filter_map(|output| if let link::Output::Effect(Effect::Send((), message)) = output { Some(message) } else { None })
        .last()
}

/// A daemon whose disk names that many bindings, and that many sessions of the first of them.
pub(crate) fn boot(bindings: usize, sessions: usize) -> Daemon<Snow<Fast>> {
    let orgs: Vec<_> = (0..bindings).map(|number| format!("org-{number}")).collect();
    let config = Config { bindings: orgs.iter().map(|org| record(org)).collect(), ..Config::default() };
    let key = |org: &String| (StateFile::Identity(parsed(org), 0), IdentityFile::new(secret(1)).write().expect("written"));
    let found = StoredState {
        config: Some(config.write().expect("written")),
        identities: orgs.iter().map(key).collect(),
        sessions: (0..sessions).map(session_file).collect(),
        ..StoredState::default()
    };
    let settings = Settings { host: "laptop".into(), version: "0.1.0".into(), pid: 1, api_endpoint: None, aes_in_hardware: true };
    Daemon::boot(START, clock(), &found, settings, JitterRng::new(1)).expect("a good disk")
}

fn session_file(number: usize) -> SecretBytes {
    let mut session = [0; 16];
    session[..8].copy_from_slice(&number.to_be_bytes());
    let title = Title { command: "sh".into(), directory: "~".into(), started: UNIX.0, columns: 80, rows: 24 };
    let file = SessionFile {
        version: VERSION,
        session: SessionId(session),
        workspace_id: parsed("org-0"),
        runtime_target_id: parsed("target"),
        cipher: 1,
        secret: secret(9),
        started: UNIX,
        title,
        unknown: Unknown::new(),
    };
    file.write().expect("written")
}

/// What a relay knows of its platform.
pub(crate) fn gate() -> Arc<PlatformAccess> {
    Arc::new(PlatformAccess {
        validate_url: format!("{ISSUER}/api/relay/validate"),
        internal_key: SecretText::new("internal"),
        issuer: Some(ISSUER.into()),
    })
}
