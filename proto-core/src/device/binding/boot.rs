//! From the disk.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
};

use super::{Binding, Bindings, Disk, Output, Phase};
use crate::{
    BindingId, Instant, MachineBase, Reason, SessionId, Unhashed,
    crypto::Identity,
    device::files::{BindingRecord, BindingState, Config, Document, IdentityFile},
    effect::StateFile,
    jose::{Confirmation, Thumbprint, Unverified},
    secret::SecretBytes,
};

impl Bindings {
    /// The bindings as the last run left them: `config.json` if there is one, every file in `relay-identities/` that
    /// [`StateFile::identity_at`] knows, and the pins of the sessions that may still run. A pin to a binding that is not there
    /// is passed over: that session streams no more.
    ///
    /// # Errors
    /// What [`Document::parse`] says about `config.json`. It is then left as it is.
    pub fn boot(
        now: Instant,
        config: Option<&[u8]>,
        identities: impl IntoIterator<Item = (StateFile, SecretBytes)>,
        sessions: impl IntoIterator<Item = (SessionId, BindingId)>,
    ) -> Result<Self, Reason> {
        let mut durable = config.map_or_else(|| Ok(Config::default()), Config::parse)?;
        // A file whose records stand in another order is not rewritten for that alone.
        durable.bindings.sort_by_key(BindingRecord::id);
        let keys: BTreeMap<_, _> = identities.into_iter().collect();
        let load = |record: &BindingRecord| (record.id(), Box::new(load(record, &keys)));
        let mut bindings = Self {
            settings: Config { bindings: alloc::vec::Vec::new(), ..durable.clone() },
            by_id: durable.bindings.iter().map(load).collect(),
            joining: None,
            durable,
            keys: keys.into_keys().collect(),
            disk: Disk::Idle,
            failures: 0,
            asked: Unhashed(0),
            port: MachineBase::new(now),
        };
        for (session, pin) in sessions {
            if let Some(binding) = bindings.by_id.get_mut(&pin) {
                binding.sessions.insert(session);
            }
        }
        bindings.finish_draining();
        let able = bindings.by_id.iter().filter(|(_, binding)| binding.identity().is_some());
        bindings.port.extend(able.map(|(id, _)| Output::Started(id.clone())));
        bindings.follow();
        Ok(bindings)
    }
}

fn load(record: &BindingRecord, keys: &BTreeMap<StateFile, SecretBytes>) -> Binding {
    let phase = match (key_of(record, keys), record.state) {
        (Ok(identity), BindingState::Active) => Phase::Active(identity),
        (Ok(identity), BindingState::Draining) => Phase::Draining(identity),
        (Err(reason), BindingState::Active) => Phase::Broken(reason),
        (Err(_), BindingState::Draining) => Phase::Leaving,
    };
    Binding { record: record.clone(), phase, sessions: BTreeSet::new() }
}

/// The key that the record's credential names.
fn key_of(record: &BindingRecord, keys: &BTreeMap<StateFile, SecretBytes>) -> Result<Identity, Reason> {
    let file = record.identity_file().and_then(|file| keys.get(&file)).ok_or(Reason::StateInvalid)?;
    let identity = Identity::from_seed(IdentityFile::parse(file.expose())?.seed);
    let confirmation = Unverified::parse(&record.issue_token)?.into_unproven().confirmation;
    let own = Confirmation { static_key: identity.static_key(), identity: Thumbprint::of_identity_key(identity.identity_key()) };
    if confirmation == own { Ok(identity) } else { Err(Reason::TokenKeyMismatch) }
}
