//! How the daemon stands: what `vpd status` shows (S139 to S150).

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use super::{Daemon, running::Presence};
use crate::{
    BindingId,
    device::{
        binding::{Binding, Phase},
        bridge::Bridge,
        control::{BindingRow, DirectoryRow, KeyRow, Report, SessionRow, SpoolRow},
        link::LinkState,
    },
    noise::Noise,
    orgkey::Lineage,
};

impl<N: Noise> Daemon<N> {
    /// How the daemon stands now.
    pub fn report(&self) -> Report {
        let mut bindings: Vec<_> = self.bindings.iter().filter_map(|(id, binding)| self.binding_row(id, binding)).collect();
        bindings.sort_by(|a, b| a.org.name.cmp(&b.org.name));
        let sessions = self.sessions.iter().filter(|(_, running)| matches!(running.presence(), Presence::Here(_)));
        Report {
            name: self.bindings.settings().machine.as_ref().unwrap_or(&self.settings.host).clone(),
            version: self.settings.version.clone(),
            pid: self.settings.pid,
            api_endpoint: self.pairing_endpoint().into(),
            api_proxy: None,
            bindings,
            directories: self
                .ledger
                .grants
                .directories
                .iter()
                .map(|(path, grant)| DirectoryRow {
                    path: path.clone(),
                    recursive: grant.recursive,
                    org: self.name_of(grant.org_id.as_str()),
                })
                .collect(),
            sessions: sessions
                .map(|(session, running)| SessionRow {
                    id: session.to_string(),
                    org: self.name_of(running.file.workspace_id.as_str()),
                    command: running.file.title.command.clone(),
                    reason: self.bridges.get(&running.pin()).and_then(|bridge| bridge.machine.declined(session)),
                })
                .collect(),
            spool: self.spool_rows(),
            pairing: self.shown(),
        }
    }

    fn binding_row(&self, id: &BindingId, binding: &Binding) -> Option<BindingRow> {
        let bridge = self.bridges.get(id).map(|bridge| &*bridge.machine);
        let (draining, broken) = match binding.phase() {
            Phase::Active(_) => (false, None),
            Phase::Draining(_) => (true, None),
            Phase::Broken(reason) => (false, Some(*reason)),
            Phase::Leaving => return None,
        };
        let reason = broken.or_else(|| bridge.and_then(Bridge::trouble));
        Some(BindingRow {
            org: binding.workspace(),
            relay: self.uplinks.relay_endpoint.clone().unwrap_or_else(|| binding.record().relay.url.clone()),
            proxy: None,
            link: bridge.map_or(LinkState::Disconnected, Bridge::link_state),
            reason,
            obstacle: reason.and_then(|reason| self.obstacle(id, reason)),
            clock_ahead: bridge.and_then(Bridge::clock_ahead),
            draining,
            renewable_until: bridge.map_or(0, |bridge| bridge.renewable_until().0),
            key: bridge.and_then(|bridge| key_row(bridge.organization_key().lineage())),
            key_reason: bridge.and_then(|bridge| bridge.organization_key().trouble()),
            without_envelope: bridge.map_or(0, Bridge::without_envelope),
        })
    }

    fn spool_rows(&self) -> Vec<SpoolRow> {
        let row = |(session, bytes): (crate::SessionId, u64)| {
            let org = self.name_of(self.sessions.get(session)?.file.workspace_id.as_str());
            Some(SpoolRow { session: session.to_string(), org, bytes })
        };
        self.spooled().filter_map(row).collect()
    }

    /// The org's name, or its id when this daemon is not paired with it.
    fn name_of(&self, org: &str) -> String {
        let binding = self.bindings.iter().find(|(id, _)| id.org.as_str() == org);
        binding.map_or_else(|| org.to_string(), |(_, binding)| binding.record().name.clone())
    }
}

fn key_row(lineage: &Lineage) -> Option<KeyRow> {
    Some(KeyRow { generation: lineage.generation(), fingerprint: lineage.fingerprint()? })
}
