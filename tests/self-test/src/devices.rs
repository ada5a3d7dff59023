//! A daemon with as many bindings as wanted, each to an org of its own, offline or connected.

use alloc::{collections::BTreeMap, format, vec::Vec};

use proto_core::{
    Entropy, Instant, JitterRng, Machine, OrgId, WallClock,
    api::{Approval, PolicyMode, RelayEndpoint, Workspace},
    crypto::Identity,
    device::{
        daemon::{Daemon, EffectId, Input, Output, Settings, StoredState},
        files::{Api, BindingRecord, Config, Document, IdentityFile, Unknown},
        link::LinkState,
    },
    effect::{Effect, IoEvent, StateFile},
    secret::{Secret, SecretBytes},
};

use crate::{Noise, Wrong, platform, relay, relay::Relay};

/// Whether a daemon's bindings reach their relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every link waits for its first connection.
    Offline,
    /// Every link is up and idle.
    Connected,
}

/// A daemon with `bindings` bindings, with nothing left to do but wait.
///
/// # Errors
/// It did not come to that.
pub fn daemon(bindings: u8, reach: Reach) -> Result<Daemon<Noise>, Wrong> {
    let clock = WallClock::new(Instant::ZERO, platform::TODAY);
    let settings =
        Settings { host: "sensor 7".into(), version: "0.1.0".into(), pid: 1, api_endpoint: None, aes_in_hardware: false };
    let found = found(bindings)?;
    let booted = Daemon::boot(Instant::ZERO, clock, &found, settings, JitterRng::new(7));
    let mut daemon = booted.map_err(|_| Wrong::new("state files that a daemon starts from"))?;
    drop(found);
    daemon.handle_timeout(Instant::ZERO);
    connect(&mut daemon, reach)?;
    let connected = daemon.report().bindings.iter().filter(|row| row.link == LinkState::Connected).count();
    let expected = if reach == Reach::Connected { usize::from(bindings) } else { 0 };
    if connected == expected { Ok(daemon) } else { Err(Wrong::new("every binding to be connected, or none")) }
}

fn connect(daemon: &mut Daemon<Noise>, reach: Reach) -> Result<(), Wrong> {
    let mut relays: BTreeMap<EffectId, Relay> = BTreeMap::new();
    while let Some(output) = daemon.poll_output() {
        match output {
            Output::Effect(Effect::Connect(effect_id, _)) if reach == Reach::Connected => {
                relays.insert(effect_id.clone(), Relay::new(None));
                tell(daemon, IoEvent::Connected(effect_id, Entropy::new([3; 32])))?;
            }
            Output::Effect(Effect::Send(effect_id, message)) => {
                let relay = relays.get_mut(&effect_id).ok_or(Wrong::new("a connection"))?;
                for answer in relay.hear(&message)? {
                    tell(daemon, IoEvent::Received(effect_id.clone(), answer))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn tell(daemon: &mut Daemon<Noise>, event: IoEvent<EffectId>) -> Result<(), Wrong> {
    daemon.handle_input(Instant::ZERO, Input::Io(event)).map_err(|_| Wrong::new("a daemon that takes inputs"))
}

fn found(bindings: u8) -> Result<StoredState, Wrong> {
    let mut identities = Vec::new();
    let mut records = Vec::new();
    for n in 0..bindings {
        let org: OrgId = platform::id(&format!("org-{n:02}"))?;
        let seed = Secret::new([n; 32]);
        let file = StateFile::Identity(org.clone(), 0);
        records.push(record(org, &Identity::from_seed(seed.clone()), &file)?);
        identities.push((file, written(&IdentityFile::new(seed))?));
    }
    let config = written(&Config { bindings: records, ..Config::default() })?;
    Ok(StoredState { config: Some(config), identities, ..StoredState::default() })
}

fn written(document: &impl Document) -> Result<SecretBytes, Wrong> {
    document.write().map_err(|_| Wrong::new("a file that can be written"))
}

fn record(org: OrgId, identity: &Identity, file: &StateFile) -> Result<BindingRecord, Wrong> {
    let approval = Approval {
        issue_token: platform::credential(&org, identity.static_key(), identity.identity_key())?,
        workspace: Workspace { id: org, slug: "acme".into(), name: "Acme Engineering".into() },
        install_id: platform::id("install")?,
        runtime_target_id: platform::id("target")?,
        machine_id: platform::id("machine")?,
        relay: RelayEndpoint { url: platform::RELAY.into(), static_keys: [relay::keys().public()].into() },
        policy_mode: PolicyMode::Standard,
        psk: None,
    };
    let api = Api { endpoint: Some(platform::API.into()), unknown: Unknown::new() };
    Ok(BindingRecord { api: Some(api), ..BindingRecord::new(approval, 1, file.path()) })
}
