//! From the disk.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use super::{
    Daemon, Event, Output, RETURN_WITHIN,
    ledger::Ledger,
    running::{Presence, Sessions},
};
use crate::{
    Instant, JitterRng, MachineBase, Reason, SessionId, Unhashed, WallClock,
    device::{
        binding::Bindings,
        files::{Document, Grants, PendingPairing, SessionFile},
        incarnation::IncarnationCounter,
        orgkey::KeyFiles,
        pairing::Pairing,
        uplink,
    },
    effect::StateFile,
    machine::timed::TimedMap,
    noise::Noise,
    secret::SecretBytes,
};

/// What is the same for the whole life of a daemon.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The machine's host name.
    pub host: String,
    /// The daemon's version, such as `0.1.0`.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// The platform to pair with, where the environment names one over `config.json`.
    pub api_endpoint: Option<String>,
    /// Whether the CPU has AES instructions: decides suites and ciphers.
    pub aes_in_hardware: bool,
}

/// The state files as they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StoredState {
    /// `config.json`.
    pub config: Option<SecretBytes>,
    /// What stands in `relay-identities/`.
    pub identities: Vec<(StateFile, SecretBytes)>,
    /// `pending-pairing.json`.
    pub pending: Option<SecretBytes>,
    /// `grants.json`.
    pub grants: Option<SecretBytes>,
    /// What stands in `organization-keys/`.
    pub organization_keys: Vec<(StateFile, SecretBytes)>,
    /// What stands in `state/sessions/`.
    pub sessions: Vec<SecretBytes>,
    /// What stands in `state/spool/`: for each session its segments, by the number of their first record, and the bytes of each.
    pub spools: BTreeMap<SessionId, BTreeMap<u64, u64>>,
}

impl<N: Noise> Daemon<N> {
    /// The daemon as its last run left it: bindings connect, a pairing that waits is taken up again (S22), sessions may come
    /// back.
    ///
    /// # Errors
    /// [`Reason::ConfigInvalid`] or [`Reason::ConfigNewer`] for `config.json`, [`Reason::StateInvalid`] for the ledger: without
    /// them it is unknown what may stream, so nothing starts. Damaged pins and pairings are passed over, and said.
    pub fn boot(
        now: Instant,
        clock: WallClock,
        found: &StoredState,
        settings: Settings,
        jitter: JitterRng,
    ) -> Result<Self, Reason> {
        let mut log = Vec::new();
        let away = Presence::Away { until: now.after(RETURN_WITHIN) };
        let mut sessions = Sessions::default();
        for file in found.sessions.iter().filter_map(|bytes| parse::<SessionFile>(bytes, &mut log)) {
            sessions.insert(file, away);
        }
        let pending = found.pending.as_ref().and_then(|bytes| parse::<PendingPairing>(bytes, &mut log));
        let (keys, unreadable) = KeyFiles::found(&found.organization_keys);
        log.extend(unreadable);
        let ledger = found.grants.as_ref().map_or_else(|| Ok(Grants::default()), |bytes| Grants::parse(bytes.expose()))?;

        let config = found.config.as_ref().map(SecretBytes::expose);
        let pins = sessions.iter().map(|(session, running)| (session, running.pin()));
        let bindings = Bindings::boot(now, config, found.identities.iter().cloned(), pins)?;
        let uplinks = uplink::Settings {
            api_endpoint: bindings.settings().api_endpoint().into(),
            relay_endpoint: bindings.settings().relay_endpoint().map(Into::into),
            software: alloc::format!("vpd {}", settings.version),
            aes_in_hardware: settings.aes_in_hardware,
        };
        let pairing = pending.map(|pending| (pending.seed.clone(), Pairing::resume(now, clock, pending)));
        let mut daemon = Self {
            settings,
            uplinks,
            clock,
            jitter,
            bindings,
            bridges: TimedMap::new(),
            undrained: BTreeSet::new(),
            pairing: None,
            paired: None,
            lives: IncarnationCounter::default(),
            ledger: Ledger::new(ledger),
            keys,
            sessions,
            spools: TimedMap::new(),
            unremoved: None,
            tasks: BTreeMap::new(),
            stats: Unhashed(super::Stats::default()),
            port: MachineBase::new(now),
        };
        daemon.port.extend(log.into_iter().map(|reason| Output::Log(Event::Trouble(reason))));
        daemon.forget_lost_pins();
        daemon.recall_spools(&found.spools);
        daemon.forget_lost_keys();
        if let Some((seed, pairing)) = pairing {
            daemon.resume_pairing(pairing, &seed);
        }
        daemon.drain();
        Ok(daemon)
    }

    /// The platform to pair with. A binding's credential is renewed at the one that approved it, whatever the environment says.
    pub(super) fn pairing_endpoint(&self) -> &str {
        self.settings.api_endpoint.as_deref().unwrap_or_else(|| self.bindings.platform())
    }

    /// A session whose binding is gone streams no more, and its key is given to no viewer.
    fn forget_lost_pins(&mut self) {
        let lost: Vec<_> = self.sessions.iter().filter(|(_, r)| self.bindings.get(&r.pin()).is_none()).map(|(s, _)| s).collect();
        for session in lost {
            self.forget(session);
        }
    }
}

fn parse<T: Document>(bytes: &SecretBytes, log: &mut Vec<Reason>) -> Option<T> {
    T::parse(bytes.expose()).map_err(|reason| log.push(reason)).ok()
}
