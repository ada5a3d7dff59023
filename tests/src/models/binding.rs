//! The life of bindings (BIND-1 to BIND-3, BIND-5, BIND-6, D1, D2): which orgs are bound, and the only edges there are.

use std::collections::{BTreeMap, BTreeSet};

use proto_core::{api::PairingMode, device::binding::Output};

/// A binding: org and runtime target.
pub type Name = (String, String);

/// Where a binding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Takes sessions.
    Active,
    /// Takes no new ones (D2).
    Draining,
    /// Cut, or drained to its end; what is left on disk is being erased.
    Leaving,
}

/// All bindings, as an observer of every output sees them.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Those that are not gone.
    pub phases: BTreeMap<Name, Phase>,
    /// Those that were connected since the daemon came up.
    pub connected: BTreeSet<Name>,
    /// Their sessions.
    pub sessions: BTreeSet<(Name, u8)>,
    /// What the commands ask for: the runtime target that each org shall be bound to.
    pub wanted: BTreeMap<String, String>,
}

impl Life {
    /// Whether a pairing may be adopted (D1, PAIR-10), and if so, what is wanted from then on.
    pub fn adopt(&mut self, org: &str, target: &str, mode: PairingMode) -> bool {
        match mode {
            PairingMode::New if !self.wanted.is_empty() => return false,
            PairingMode::Replace => self.wanted.clear(),
            PairingMode::New | PairingMode::Add => {}
        }
        self.wanted.insert(org.into(), target.into());
        true
    }

    /// `vpd unpair`, or a revocation: wanted no more.
    pub fn leave(&mut self, org: &str) {
        self.wanted.remove(org);
    }

    /// One output: an edge.
    ///
    /// # Panics
    /// When there is no such edge.
    pub fn follow(&mut self, output: &Output) {
        let name = |id: &proto_core::BindingId| (id.org.to_string(), id.runtime_target.to_string());
        match output {
            Output::Started(id) => {
                // After a restart a draining one is connected as well, and goes on draining.
                let is_new = self.connected.insert(name(id));
                let before = *self.phases.entry(name(id)).or_insert(Phase::Active);
                assert!(before == Phase::Active || is_new && before == Phase::Draining, "BIND-2: {id} starts, being {before:?}");
            }
            Output::Draining(id) => {
                let before = self.phases.insert(name(id), Phase::Draining);
                assert_eq!(before, Some(Phase::Active), "BIND-2: {id} drains");
            }
            Output::Drained(id) => {
                let before = self.phases.insert(name(id), Phase::Leaving);
                assert_eq!(before, Some(Phase::Draining), "BIND-2: {id} is drained");
                assert!(!self.sessions.iter().any(|(of, _)| *of == name(id)), "BIND-3: {id} still has sessions");
            }
            Output::Cut(id, _) => {
                let before = self.phases.insert(name(id), Phase::Leaving);
                assert!(matches!(before, Some(Phase::Active | Phase::Draining)), "BIND-2: {id} is cut after {before:?}");
                self.sessions.retain(|(of, _)| *of != name(id));
            }
            Output::Gone(id) => {
                let before = self.phases.remove(&name(id));
                self.connected.remove(&name(id));
                assert_eq!(before, Some(Phase::Leaving), "BIND-2: {id} goes");
            }
            _ => {}
        }
        let active: Vec<_> = self.phases.iter().filter(|(_, phase)| **phase == Phase::Active).map(|((org, _), _)| org).collect();
        assert!(active.windows(2).all(|pair| pair[0] != pair[1]), "BIND-1: {active:?}");
    }

    /// The orgs that take sessions.
    pub fn active(&self) -> BTreeMap<String, String> {
        self.phases.iter().filter(|(_, phase)| **phase == Phase::Active).map(|(name, _)| name.clone()).collect()
    }
}
