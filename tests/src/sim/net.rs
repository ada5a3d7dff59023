//! Connections, and the network faults (`NetworkFault`) between their ends.
//!
//! A [`Wire`] is one WebSocket: messages keep their order in each direction, take time, and may be lost only together with the
//! connection. A fault lasts for a while and stands between one party and one place, or everything.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use proto_core::{
    Instant,
    device::{daemon::EffectId, watcher},
    effect::{Closed, IoEvent, NetFault},
    keyset,
    noise::Noise,
    relay::{connection, hub::ConnectionId, revocations},
};

use super::{Party, Sim, dice::Dice, fault::Fault, plan::Place, step::Event};

/// Whose end of a connection or a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// A daemon's, in one of its lives.
    Host(usize, u32, EffectId),
    /// A viewer's, in one of its lives.
    Viewer(usize, u32, watcher::EffectId),
    /// A relay's connection that asks the platform.
    Peer(usize, ConnectionId, connection::EffectId),
    /// A relay's key set.
    Keys(usize, keyset::EffectId),
    /// A relay that follows the platform's revocations.
    RevocationFeed(usize, revocations::EffectId),
    /// The attacker's.
    Attacker,
}

impl End {
    pub(super) const fn party(&self) -> Party {
        match self {
            Self::Host(host, ..) => Party::Host(*host),
            Self::Viewer(viewer, ..) => Party::Viewer(*viewer),
            Self::Peer(station, ..) | Self::Keys(station, _) | Self::RevocationFeed(station, _) => Party::RelayProcess(*station),
            Self::Attacker => Party::RelayProcess(usize::MAX),
        }
    }
}

/// One WebSocket.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) end: End,
    pub(super) station: usize,
    pub(super) place: usize,
    /// The device's end is open.
    pub(super) is_open: bool,
    /// The relay's end is open.
    pub(super) is_taken: bool,
    /// Nothing passes any more, and neither end is told.
    pub(super) is_dead: bool,
    /// The latest arrival in each direction: what is sent later does not arrive before.
    pub(super) arrives: [Instant; 2],
    /// What the relay does not read yet.
    pub(super) unread: VecDeque<Bytes>,
    /// Messages sent by the device so far.
    pub(super) sent: u64,
    pub(super) dice: Dice,
}

/// A direction, seen from the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Up = 0,
    Down = 1,
}

/// A fault of the network that lasts.
#[derive(Clone, Debug)]
pub(super) struct NetworkFault {
    pub(super) fault: Fault,
    pub(super) party: Option<Party>,
    pub(super) place: Place,
    pub(super) until: Instant,
    pub(super) strength: u64,
    pub(super) dice: Dice,
}

impl NetworkFault {
    pub(super) fn stands_between(&self, party: Party, place: Place) -> bool {
        self.party.is_none_or(|own| own == party) && (self.place == Place::Everything || self.place == place)
    }
}

impl<N: Noise + 'static> Sim<N> {
    /// The fault of one of these kinds between a party and a place, if there is one now; it counts as injected.
    pub(super) fn struck(&mut self, party: Party, place: Place, faults: &[Fault]) -> Option<Fault> {
        if self.weather.is_empty() {
            return None;
        }
        let now = self.now;
        let is_it = |w: &&NetworkFault| w.until > now && faults.contains(&w.fault) && w.stands_between(party, place);
        let fault = self.weather.iter().find(is_it)?.fault;
        self.tally.count(fault);
        Some(fault)
    }

    /// The same for a fault that strikes only sometimes, by its strength in percent.
    pub(super) fn struck_by_chance(&mut self, party: Party, place: Place, fault: Fault) -> bool {
        if self.weather.is_empty() {
            return false;
        }
        let now = self.now;
        let is_it = |w: &&mut NetworkFault| w.until > now && w.fault == fault && w.stands_between(party, place);
        let strikes = self.weather.iter_mut().find(is_it).is_some_and(|weather| {
            let strength = 1 + weather.strength / 2;
            weather.dice.percent(strength)
        });
        if strikes {
            self.tally.count(fault);
        }
        strikes
    }

    /// How long so many bytes take, all faults together.
    pub(super) fn travel(&mut self, party: Party, place: Place, way: Way, len: usize, dice: &mut Dice) -> Duration {
        let mut time = self.options.latency + dice.time(Duration::ZERO, self.options.latency / 4);
        if self.weather.is_empty() {
            return time;
        }
        let now = self.now;
        let mut hit = Vec::new();
        for weather in self.weather.iter_mut().filter(|w| w.until > now && w.stands_between(party, place)) {
            let strength = u32::try_from(weather.strength).unwrap_or(1);
            let rest = weather.until.since(now);
            let more = match weather.fault {
                Fault::Delay => Duration::from_millis(40) * strength,
                Fault::JitterRng => weather.dice.time(Duration::ZERO, Duration::from_millis(50) * strength),
                Fault::Clog | Fault::Partition => rest,
                Fault::OneWay if (weather.strength % 2 == 0) == (way == Way::Up) => rest,
                // A packet is lost and comes again a little later; that holds up what is behind it.
                Fault::Drop if weather.dice.percent(1 + weather.strength / 3) => {
                    weather.dice.time(Duration::from_millis(200), Duration::from_secs(6))
                }
                Fault::SlowDrip => Duration::from_millis(10) * u32::try_from(len).unwrap_or(u32::MAX) / strength,
                _ => continue,
            };
            hit.push(weather.fault);
            time += more.min(rest + Duration::from_secs(10));
        }
        for fault in hit {
            self.tally.count(fault);
        }
        time
    }

    /// A message sets out on a wire.
    pub(super) fn sets_out(&mut self, id: ConnectionId, way: Way, message: Bytes) {
        let Some(wire) = self.wires.get(&id).filter(|wire| !wire.is_dead) else { return };
        let (party, place) = (wire.end.party(), Place::Relay(wire.place));
        let mut dice = wire.dice.clone();
        let message = self.on_the_way(party, place, message, &mut dice);
        let time = self.travel(party, place, way, message.len(), &mut dice);
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.dice = dice;
        let at = self.now.after(time).max(wire.arrives[way as usize]);
        wire.arrives[way as usize] = at;
        let event = if way == Way::Up { Event::Up(id, message) } else { Event::Down(id, message) };
        self.queue.put(at, event);
    }

    /// What a box on the way does to a message.
    fn on_the_way(&mut self, party: Party, place: Place, message: Bytes, dice: &mut Dice) -> Bytes {
        if message.is_empty() {
            return message;
        }
        if self.struck_by_chance(party, place, Fault::BitFlip) {
            let mut bytes = message.to_vec();
            let at = dice.index(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
            return bytes.into();
        }
        if self.struck_by_chance(party, place, Fault::Truncate) {
            return message.slice(..dice.index(message.len()));
        }
        message
    }

    /// One end closes; the other one is told, unless nothing passes.
    pub(super) fn closes(&mut self, id: ConnectionId, way: Way, closed: Closed) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        match way {
            Way::Up => wire.is_open = false,
            Way::Down => wire.is_taken = false,
        }
        let (party, place, is_dead) = (wire.end.party(), Place::Relay(wire.place), wire.is_dead);
        let end = wire.end.clone();
        if way == Way::Up && self.by_end.get(&end) == Some(&id) {
            self.by_end.remove(&end);
        }
        if !is_dead {
            let mut dice = self.wires[&id].dice.clone();
            let time = self.travel(party, place, way, 1, &mut dice);
            let Some(wire) = self.wires.get_mut(&id) else { return };
            wire.dice = dice;
            let at = self.now.after(time).max(wire.arrives[way as usize]);
            wire.arrives[way as usize] = at;
            let event = if way == Way::Up { Event::UpClosed(id, closed) } else { Event::DownClosed(id, closed) };
            self.queue.put(at, event);
        }
        self.forget_closed(id);
    }

    pub(super) fn forget_closed(&mut self, id: ConnectionId) {
        if self.wires.get(&id).is_some_and(|wire| !wire.is_open && !wire.is_taken) {
            self.wires.remove(&id);
        }
    }

    /// A connection breaks: what was on its way is lost, and both ends find out.
    pub(super) fn breaks(&mut self, id: ConnectionId) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.is_dead = true;
        let soon = self.now.after(Duration::from_millis(1));
        self.queue.put(soon, Event::DownClosed(id, Closed::Fault(NetFault::Broken)));
        self.queue.put(soon, Event::UpClosed(id, Closed::Fault(NetFault::Broken)));
    }

    /// A device opens a WebSocket.
    pub(super) fn dials(&mut self, end: End, url: &str, timeout: Duration) {
        let Some(place) = self.station_at(url) else {
            return self.tell_end(end, IoEvent::Closed((), Closed::Fault(NetFault::Dns)));
        };
        let id = ConnectionId(self.number());
        let party = end.party();
        let mut dice = Dice::of(self.options.seed, "wire", id.0);
        let station =
            if self.struck(party, Place::Relay(place), &[Fault::Mitm]).is_some() { self.stations.len() - 1 } else { place };
        let time = self.travel(party, Place::Relay(place), Way::Up, 1, &mut dice)
            + self.travel(party, Place::Relay(place), Way::Down, 1, &mut dice);
        let wire = Wire {
            end: end.clone(),
            station,
            place,
            is_open: true,
            is_taken: false,
            is_dead: false,
            arrives: [self.now; 2],
            unread: VecDeque::new(),
            sent: 0,
            dice,
        };
        self.wires.insert(id, wire);
        self.by_end.insert(end, id);
        if time > timeout {
            self.queue.put(self.now.after(timeout), Event::NotDialled(id, NetFault::TimedOut));
        } else {
            self.queue.put(self.now.after(time), Event::Dialled(id));
        }
    }

    /// The connection is there, or is refused.
    pub(super) fn dialled(&mut self, id: ConnectionId) {
        let Some(wire) = self.wires.get(&id).filter(|wire| wire.is_open) else { return };
        let (party, place, station) = (wire.end.party(), Place::Relay(wire.place), wire.station);
        if self.struck(party, place, &[Fault::CaptiveHtml]).is_some() {
            return self.not_dialled(id, NetFault::NotUnderstood);
        }
        if !self.stations[station].relay.is_up {
            return self.not_dialled(id, NetFault::Refused);
        }
        if self.struck(party, place, &[Fault::AcceptThenClose]).is_some() {
            self.connect_end(id);
            let soon = self.now.after(Duration::from_millis(20));
            self.queue.put(soon, Event::DownClosed(id, Closed::ByPeer(None)));
            return;
        }
        let (now, entropy) = (self.now, self.dice.entropy());
        let reading = self.stations[station].reading(now);
        self.stations[station].relay.accept(now, reading, id, &entropy);
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.is_taken = true;
        }
        self.connect_end(id);
        self.after_station(station, Vec::new());
    }

    fn connect_end(&mut self, id: ConnectionId) {
        let entropy = self.dice.entropy();
        if let Some(end) = self.wires.get(&id).map(|wire| wire.end.clone()) {
            self.tell_end(end, IoEvent::Connected((), entropy));
        }
    }

    pub(super) fn not_dialled(&mut self, id: ConnectionId, fault: NetFault) {
        let Some(wire) = self.wires.remove(&id) else { return };
        if wire.is_open {
            self.by_end.remove(&wire.end);
            self.tell_end(wire.end, IoEvent::Closed((), Closed::Fault(fault)));
        }
    }
}
