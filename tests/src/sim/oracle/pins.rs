//! PIN-1, PIN-2: a link comes up only at a relay whose key the platform announced.

use std::collections::{BTreeMap, BTreeSet};

use proto_core::{BindingId, Instant, key::StaticKey, noise::Noise};

use super::{Oracle, Seen, Verdicts};

/// The oracle.
#[derive(Debug, Default)]
pub(super) struct Pins {
    pinned: BTreeMap<(usize, BindingId), Vec<StaticKey>>,
    damaged: BTreeSet<usize>,
}

impl<N: Noise + 'static> Oracle<N> for Pins {
    fn see(&mut self, at: Instant, seen: &Seen<'_>, verdicts: &mut Verdicts) {
        match seen {
            Seen::Configured { host, config: Some(config) } => {
                for record in &config.bindings {
                    self.pinned.insert((*host, record.id()), record.relay.static_keys.clone());
                }
            }
            Seen::LinkUp { host, binding, key, is_false } => {
                verdicts.demand(!is_false, at, "PIN-1", || format!("laptop-{host} believes a false relay"));
                let pins = self.pinned.get(&(*host, (*binding).clone()));
                let is_pinned = pins.is_some_and(|pins| pins.contains(key)) || self.damaged.contains(host);
                verdicts.demand(is_pinned, at, "PIN-2", || {
                    format!("laptop-{host} is connected for {} to a relay with a key that it has not pinned", binding.org)
                });
            }
            Seen::Damaged { host } => drop(self.damaged.insert(*host)),
            _ => {}
        }
    }
}
