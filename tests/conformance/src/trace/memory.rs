//! The link's world in memory: its relay is called, and its clock moves only when somebody waits.

use std::collections::VecDeque;

use proto_core::{
    Deadline, Entropy, Instant,
    effect::{Closed, Effect, Happening, NetFault},
};

use super::{
    World,
    relay::{Relay, Visit, Word},
};

pub(super) struct Memory {
    now: Instant,
    visits: std::array::IntoIter<Visit, 6>,
    relay: Option<Relay>,
    happenings: VecDeque<Happening<()>>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self { now: Instant::ZERO, visits: Visit::ALL.into_iter(), relay: None, happenings: VecDeque::new() }
    }

    fn close(&mut self, closed: Closed) {
        self.relay = None;
        self.happenings.push_back(Happening::Closed((), closed));
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
                self.happenings.push_back(Happening::Connected((), Entropy::new([0; 32])));
            }
            Effect::Send((), message) => {
                for word in self.relay.as_mut().map(|relay| relay.receive(message)).unwrap_or_default() {
                    match word {
                        Word::Send(message) => self.happenings.push_back(Happening::Received((), message)),
                        Word::Close(reason) => self.close(Closed::ByPeer(Some(reason))),
                        Word::Vanish => self.close(Closed::Fault(NetFault::Broken)),
                    }
                }
            }
            Effect::Close(..) => self.close(Closed::ByUs),
            Effect::Http(..) | Effect::Store(..) | Effect::Remove(..) => panic!("a link asks for none of these"),
        }
    }

    fn next(&mut self, deadline: Option<Deadline>) -> Option<Happening<()>> {
        let happening = self.happenings.pop_front();
        if happening.is_none() {
            self.now = self.now.max(deadline.expect("something is to come").at);
        }
        happening
    }
}
