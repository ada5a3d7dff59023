//! Which WebSocket bears which name.

use std::{collections::HashMap, hash::Hash};

use proto_core::effect::IoEvent;

/// The WebSockets whose end an adapter has not reported, each as an `L`.
///
/// A name can be given to another WebSocket at any time. Each has a generation as well, so that nothing of the older one appears
/// under the name of the newer.
#[derive(Debug)]
pub struct SocketTable<I, L> {
    live: HashMap<I, (u64, L)>,
    generation: u64,
}

impl<I, L> Default for SocketTable<I, L> {
    fn default() -> Self {
        Self { live: HashMap::new(), generation: 0 }
    }
}

impl<I: Eq + Hash, L> SocketTable<I, L> {
    /// Gives the name to the link that `open` makes of its generation. Gives back the link that bore it before.
    pub fn open(&mut self, id: I, open: impl FnOnce(u64) -> L) -> Option<L> {
        self.generation += 1;
        let replaced = self.live.insert(id, (self.generation, open(self.generation)));
        replaced.map(|(_, link)| link)
    }

    /// The link that has the name now.
    pub fn get(&self, id: &I) -> Option<&L> {
        self.live.get(id).map(|(_, link)| link)
    }

    /// The event that the link of `generation` reported, unless its name is another one's by now. With its end it is forgotten.
    pub fn told(&mut self, generation: u64, event: IoEvent<I>) -> Option<IoEvent<I>> {
        let (IoEvent::Connected(id, _) | IoEvent::Received(id, _) | IoEvent::Sent(id, _) | IoEvent::Closed(id, _)) = &event
        else {
            return Some(event);
        };
        self.live.get(id).filter(|(current, _)| *current == generation)?;
        if let IoEvent::Closed(id, _) = &event {
            self.live.remove(id);
        }
        Some(event)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &L> {
        self.live.values().map(|(_, link)| link)
    }
}

#[cfg(test)]
mod tests {
    use proto_core::effect::Closed;

    use super::*;

    #[test]
    fn nothing_of_an_older_link_appears_under_its_name() {
        let mut links = SocketTable::default();
        assert_eq!(links.open("relay", |generation| generation), None);
        assert_eq!(links.open("relay", |generation| generation), Some(1));
        assert_eq!(links.told(1, IoEvent::Sent("relay", 1)), None);
        assert_eq!(links.told(1, IoEvent::Closed("relay", Closed::ByUs)), None);
        assert_eq!(links.get(&"relay"), Some(&2));
        assert_eq!(links.told(2, IoEvent::Sent("relay", 1)), Some(IoEvent::Sent("relay", 1)));
    }

    #[test]
    fn a_link_is_forgotten_with_its_end() {
        let mut links = SocketTable::default();
        links.open("relay", |_| ());
        assert!(links.told(1, IoEvent::Closed("relay", Closed::ByUs)).is_some());
        assert_eq!(links.get(&"relay"), None);
        assert_eq!(links.told(1, IoEvent::Closed("relay", Closed::ByUs)), None);
        assert_eq!(links.told(0, IoEvent::Stored("relay")), Some(IoEvent::Stored("relay")));
    }
}
