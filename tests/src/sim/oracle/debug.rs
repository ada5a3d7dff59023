//! ISO-1 for what is printed: no secret stands in the `Debug` text of any machine.

use proto_core::{
    Instant,
    crypto::Identity,
    device::files::{BindingRecord, Document, IdentityFile, SessionFile},
    effect::StateFile,
    noise::Noise,
};

use super::{
    Oracle, Seen, Verdicts,
    canary::{Canaries, Canary},
};
use crate::sim::Sim;

/// The oracle.
#[derive(Debug, Default)]
pub(super) struct Silence {
    secrets: Canaries,
}

impl Silence {
    fn watch(&mut self, name: &'static str, value: &[u8]) {
        self.secrets.watch(value, Canary { owner: 0, name, is_secret: true });
    }

    fn learn(&mut self, file: &StateFile, bytes: &[u8]) {
        match file {
            StateFile::Identity(..) => {
                if let Ok(IdentityFile { seed, .. }) = IdentityFile::parse(bytes) {
                    self.watch("a seed", seed.expose());
                    self.watch("a private key", Identity::from_seed(seed).static_keys().private().expose());
                }
            }
            StateFile::Session(_) => {
                if let Ok(pin) = SessionFile::parse(bytes) {
                    self.watch("a session's secret", pin.secret.expose());
                }
            }
            _ => {}
        }
    }

    fn learn_record(&mut self, record: &BindingRecord) {
        let signature = record.issue_token.expose().rsplit('.').next().unwrap_or_default();
        self.watch("a credential", signature.as_bytes());
        if let Some(psk) = &record.psk {
            self.watch("a pre-shared key", psk.expose());
        }
    }
}

impl<N: Noise + 'static> Oracle<N> for Silence {
    fn see(&mut self, _: Instant, seen: &Seen<'_>, _: &mut Verdicts) {
        match seen {
            Seen::Durable { file, contents: Some(contents), .. } => self.learn(file, contents.expose()),
            Seen::Configured { config: Some(config), .. } => {
                config.bindings.iter().for_each(|record| self.learn_record(record));
            }
            _ => {}
        }
    }

    fn every(&self) -> u64 {
        4_096
    }

    fn inspect(&mut self, sim: &Sim<N>, verdicts: &mut Verdicts) {
        let hosts = sim.hosts.iter().filter_map(|host| host.laptop.daemon.as_ref()).map(|daemon| format!("{daemon:?}"));
        let viewers = sim.viewers.iter().map(|viewer| format!("{:?}", viewer.tablet.watcher));
        let stations = sim.stations.iter().flat_map(|station| {
            let connections = station.relay.connections.values().map(|connection| format!("{connection:?}"));
            connections.chain([format!("{:?}", station.relay.hub)])
        });
        for text in hosts.chain(viewers).chain(stations) {
            self.secrets.find(text.as_bytes(), |found, at| {
                let before = String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(60)..at]).into_owned();
                verdicts.broken(sim.now, "ISO-1", format!("{} in a Debug text, after: {before}", found.name));
            });
        }
    }
}
