//! What an attacker on the path between a device and its relay does to their messages.

use bytes::Bytes;
use proto_core::{effect::IoEvent, relay::connection};

use super::{Event, World};

impl World {
    /// The next WebSocket message that is under way, in whichever direction.
    pub fn under_way(&self) -> Option<Bytes> {
        self.events.iter().find_map(message).cloned()
    }

    /// Others arrive in its place: none, a changed one, or several.
    pub fn replace(&mut self, by: Vec<Bytes>) {
        let Some(at) = self.events.iter().position(|event| message(event).is_some()) else { return };
        let Some(event) = self.events.remove(at) else { return };
        for bytes in by.into_iter().rev() {
            let event = match &event {
                Event::Relay(url, connection, _) => {
                    let received = IoEvent::Received(connection::EffectId::Socket, bytes);
                    Event::Relay(url.clone(), *connection, connection::Input::Io(received))
                }
                Event::ToDevice(connection, _) => Event::ToDevice(*connection, IoEvent::Received((), bytes)),
                _ => return,
            };
            self.events.insert(at, event);
        }
    }

    /// It arrives after everything else that is under way.
    pub fn delay(&mut self) {
        let at = self.events.iter().position(|event| message(event).is_some());
        if let Some(event) = at.and_then(|at| self.events.remove(at)) {
            self.events.push_back(event);
        }
    }
}

fn message(event: &Event) -> Option<&Bytes> {
    match event {
        Event::Relay(_, _, connection::Input::Io(IoEvent::Received(_, bytes)))
        | Event::ToDevice(_, IoEvent::Received((), bytes)) => Some(bytes),
        _ => None,
    }
}
