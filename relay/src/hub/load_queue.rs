//! Who waits until the sessions of an organization are loaded: what its connections bring meanwhile comes after them.

use std::collections::{HashMap, HashSet};

use proto_core::{
    OrgId,
    relay::hub::{Confirmed, ConnectionId, Input},
};

/// The organizations that are loaded, and who waits for others.
#[derive(Debug, Default)]
pub(super) struct LoadQueue {
    loaded: HashSet<OrgId>,
    /// What the connections of organizations that are being loaded bring, in order.
    waiting: HashMap<OrgId, Vec<Input>>,
    /// The organizations of those connections.
    connections: HashMap<ConnectionId, OrgId>,
}

/// What becomes of a connection that comes in.
#[derive(Debug)]
pub(super) enum Entry {
    /// Its organization is loaded.
    Loaded(Confirmed),
    /// Its organization is being loaded.
    Waits,
    /// The same, and it is the first: its organization has to be loaded.
    First,
}

impl LoadQueue {
    /// A connection comes in.
    pub(super) fn enter(&mut self, connection: ConnectionId, confirmed: Confirmed) -> Entry {
        if self.loaded.contains(&confirmed.org) {
            return Entry::Loaded(confirmed);
        }
        let org = confirmed.org.clone();
        self.connections.insert(connection, org.clone());
        let is_first = !self.waiting.contains_key(&org);
        self.waiting.entry(org).or_default().push(Input::Confirmed(connection, confirmed));
        if is_first { Entry::First } else { Entry::Waits }
    }

    /// What connections bring: what is not to wait comes back.
    pub(super) fn pass(&mut self, inputs: Vec<Input>) -> Vec<Input> {
        if self.connections.is_empty() {
            return inputs;
        }
        inputs.into_iter().filter_map(|input| self.pass_one(input)).collect()
    }

    fn pass_one(&mut self, input: Input) -> Option<Input> {
        let org = match &input {
            Input::Received(from, _) | Input::Taken(from, _) | Input::Renewed(from, _) => self.connections.get(from),
            _ => None,
        };
        let Some(waiting) = org.and_then(|org| self.waiting.get_mut(org)) else { return Some(input) };
        waiting.push(input);
        None
    }

    /// A connection is over. Whether it was waiting: then nothing of it is left.
    pub(super) fn leave(&mut self, connection: ConnectionId) -> bool {
        let Some(org) = self.connections.remove(&connection) else { return false };
        if let Some(waiting) = self.waiting.get_mut(&org) {
            waiting.retain(|input| match input {
                Input::Confirmed(of, _) | Input::Received(of, _) | Input::Taken(of, _) | Input::Renewed(of, _) => {
                    *of != connection
                }
                _ => true,
            });
        }
        true
    }

    /// An organization is loaded: what has waited, in order.
    pub(super) fn loaded(&mut self, org: &OrgId) -> Vec<Input> {
        self.loaded.insert(org.clone());
        self.connections.retain(|_, of| of != org);
        self.waiting.remove(org).unwrap_or_default()
    }

    /// An organization cannot be loaded: who has waited in vain.
    pub(super) fn failed(&mut self, org: &OrgId) -> Vec<ConnectionId> {
        self.waiting.remove(org);
        self.connections.extract_if(|_, of| of == org).map(|(connection, _)| connection).collect()
    }
}
