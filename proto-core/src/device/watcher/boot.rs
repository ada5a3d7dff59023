//! From the disk.

use alloc::{string::String, vec::Vec};

use super::{Goal, Output, PairingCause, SessionSelection, State, Watcher, choice::Wanted};
use crate::{
    Entropy, EntropyChain, Instant, JitterRng, MachineBase, Reason, SessionId, WallClock,
    crypto::Primitives,
    device::{
        binding::Bindings,
        files::{Document, PendingPairing},
        incarnation::IncarnationCounter,
        orgkey::KeyFiles,
        uplink,
    },
    effect::StateFile,
    noise::Noise,
    secret::SecretBytes,
};

/// What is the same for the whole life of a watcher.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The device's host name.
    pub host: String,
    /// Software and version.
    pub software: String,
    /// The platform to pair with, where the environment names one over `config.json`.
    pub api_endpoint: Option<String>,
    /// Whether the CPU has AES instructions: decides suites and ciphers.
    pub aes_in_hardware: bool,
    /// What opens records.
    pub primitives: &'static dyn Primitives,
    /// The organization that is meant, by id or slug; without one, the only one there is.
    pub org: Option<String>,
    /// What a person wants to see.
    pub goal: Goal,
    /// Which session is meant where the goal is [`Goal::TheOnly`].
    pub wanted: Wanted,
    /// The session of which this device's output becomes a part: it is never shown.
    pub surrounding: Option<SessionId>,
}

/// The state files of a viewing device as they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StoredState {
    /// `config.json`.
    pub config: Option<SecretBytes>,
    /// What stands in `relay-identities/`.
    pub identities: Vec<(StateFile, SecretBytes)>,
    /// `pending-pairing.json`.
    pub pending: Option<SecretBytes>,
    /// What stands in `organization-keys/`.
    pub organization_keys: Vec<(StateFile, SecretBytes)>,
}

impl<N: Noise> Watcher<N> {
    /// The device as its last run left it. Where a pairing fits it connects, else it pairs. The entropy is for new identities.
    ///
    /// [`Reason::OrgAmbiguous`] is where it ends at once when several pairings fit, [`Reason::WatchesItself`] when it is to show
    /// the session of which it is a part.
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`] or [`Reason::ConfigNewer`] for `config.json`, which is left as it is.
    pub fn boot(
        now: Instant,
        clock: WallClock,
        found: &StoredState,
        settings: Settings,
        entropy: &Entropy,
        jitter: JitterRng,
    ) -> Result<Self, Reason> {
        let config = found.config.as_ref().map(SecretBytes::expose);
        let bindings = Bindings::boot(now, config, found.identities.iter().cloned(), [])?;
        // A file that is invalid is of no use; a new pairing overwrites it.
        let pending = found.pending.as_ref().and_then(|bytes| PendingPairing::parse(bytes.expose()).ok());
        let (keys, unreadable) = KeyFiles::found(&found.organization_keys);
        let mut watcher = Self {
            uplinks: uplink::Settings {
                api_endpoint: bindings.settings().api_endpoint().into(),
                relay_endpoint: bindings.settings().relay_endpoint().map(Into::into),
                software: settings.software.clone(),
                aes_in_hardware: settings.aes_in_hardware,
            },
            selection: SessionSelection::new(settings.goal, settings.wanted.clone(), settings.surrounding),
            settings,
            clock,
            entropy: EntropyChain::new(entropy),
            jitter,
            bindings,
            keys,
            pending,
            lives: IncarnationCounter::default(),
            state: State::Finished,
            port: MachineBase::new(now),
        };
        watcher.port.extend(unreadable.into_iter().map(Output::Trouble));
        watcher.forget_lost_keys();
        watcher.enter();
        watcher.drain();
        Ok(watcher)
    }

    /// What to begin with.
    pub(super) fn enter(&mut self) {
        if matches!(self.settings.goal, Goal::This(session) if self.settings.surrounding == Some(session)) {
            self.state = State::Failed(Reason::WatchesItself);
            return;
        }
        if let Some(pending) = self.pending.take_if(|pending| self.bindings.has_seed(&pending.seed)) {
            return self.finish_pairing(pending);
        }
        match self.which() {
            Ok(binding) => self.view(binding),
            Err(Reason::NotPaired | Reason::OrgUnknown) if self.settings.goal != Goal::Leave => {
                let org = self.settings.org.clone();
                self.state = State::Pairing(self.ask(PairingCause::First, org));
            }
            Err(reason) => self.state = State::Failed(reason),
        }
    }
}
