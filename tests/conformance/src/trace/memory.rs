//! The link's world in memory: its relay is called, and its clock moves only when the test waits.

use std::collections::VecDeque;

use proto_core::{
    Deadline, Entropy, Instant,
    effect::{Closed, Effect, IoEvent, NetFault},
};

use super::{
    World,
    relay::{Relay, Visit, Word},
};

pub(super) struct Memory {
    now: Instant,
    visits: std::array::IntoIter<Visit, 6>,
    relay: Option<Relay>,
    events: VecDeque<IoEvent<()>>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self { now: Instant::ZERO, visits: Visit::ALL.into_iter(), relay: None, events: VecDeque::new() }
    }

    fn close(&mut self, closed: Closed) {
        self.relay = None;
        self.events.push_back(IoEvent::Closed((), closed));
    }
}

impl World for Memory {
    fn now(&self) -> Instant {
        self.now
    }

    fn perform(&mut self, effect: Effect<()>) {
        match effect {
            Effect::Connect(..) => {
                self.relay = self.visits.next().map(Relay::new);
                self.events.push_back(IoEvent::Connected((), Entropy::new([0; 32])));
            }
            Effect::Send((), message) => {
                for word in self.relay.as_mut().map(|relay| relay.receive(message)).unwrap_or_default() {
                    match word {
                        Word::Send(message) => self.events.push_back(IoEvent::Received((), message)),
                        Word::Close(reason) => self.close(Closed::ByPeer(Some(reason))),
                        Word::Vanish => self.close(Closed::Fault(NetFault::Broken)),
                    }
                }
            }
            Effect::Close(..) => self.close(Closed::ByUs),
            Effect::Http(..) | Effect::Store(..) | Effect::Remove(..) | Effect::Load(..) => {
                panic!("a link asks for none of these")
            }
        }
    }

    fn next(&mut self, deadline: Option<Deadline>) -> Option<IoEvent<()>> {
        let event = self.events.pop_front();
        if event.is_none() {
            self.now = self.now.max(deadline.expect("something is to come").at);
        }
        event
    }
}
