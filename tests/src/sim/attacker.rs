//! The attacker, who is always there: sees and replays what goes to relays, stands in their place, and lies as one of them.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use proto_core::{
    Instant, SessionId,
    effect::IoEvent,
    noise::Noise,
    relay::{connection, hub::ConnectionId},
    wire::{Frame, Head},
};

use super::{
    Sim,
    dice::Dice,
    fault::Fault,
    net::{End, Way, Wire},
    step::Event,
};
use crate::world::Tampering;

/// So many first messages of each relay are kept.
const MAX_RECORDED: usize = 32;

impl<N: Noise + 'static> Sim<N> {
    /// The first message of a connection goes by.
    pub(super) fn record(&mut self, station: usize, message: Bytes) {
        let recorded = &mut self.stations[station].recorded;
        recorded.push_back(message);
        if recorded.len() > MAX_RECORDED {
            recorded.pop_front();
        }
    }

    /// A recorded first message is sent again over a connection of the attacker's own (NOI-4).
    pub(super) fn replay(&mut self, dice: &mut Dice) {
        let station = dice.index(self.options.relays);
        let recorded = &self.stations[station].recorded;
        if recorded.is_empty() || !self.stations[station].relay.is_up {
            return;
        }
        let message = recorded[dice.index(recorded.len())].clone();
        self.tally.count(Fault::Replay);
        let id = ConnectionId(self.number());
        let (now, entropy) = (self.now, self.dice.entropy());
        let reading = self.stations[station].reading(now);
        self.stations[station].relay.accept(now, reading, id, &entropy);
        let wire = Wire {
            end: End::Attacker,
            station,
            place: station,
            is_open: true,
            is_taken: true,
            is_dead: false,
            arrives: [now; 2],
            unread: VecDeque::new(),
            sent: 0,
            dice: dice.split(),
        };
        self.wires.insert(id, wire);
        self.oracles.attackers.insert(id);
        // And then something that looks like a transport message.
        let nonsense = Bytes::copy_from_slice(&dice.bytes());
        self.sets_out(id, Way::Up, message);
        self.queue.put(now.after(Duration::from_secs(1)), Event::Up(id, nonsense));
    }

    /// A relay's operator sends what was not asked for, and shows viewers what was not shown.
    pub(super) fn lie(&mut self, station: usize, number: usize, until: Instant, dice: &mut Dice) {
        let at = dice.below(6);
        let ways = [Tampering::Forges(at), Tampering::Omits(at), Tampering::Swaps(at), Tampering::EndsBefore(at)];
        self.stations[station].relay.tampering = *dice.pick(&ways);
        self.stations[station].lies = true;
        let daemons: Vec<_> = self.stations[station].relay.admitted.keys().copied().collect();
        for id in daemons {
            self.tally.count(Fault::LyingRelay);
            let session = SessionId::generate(&dice.entropy());
            let head = match dice.below(4) {
                0 => Head::Peer { session, viewer: dice.next() },
                1 => Head::Acknowledge { session, next: dice.next() },
                2 => Head::Resume { session, next: dice.below(3) },
                _ => Head::Pong { nonce: dice.next() },
            };
            let body = if matches!(head, Head::Peer { .. }) { Bytes::copy_from_slice(&dice.bytes()) } else { Bytes::new() };
            let wants = self.stations[station].relay.tell(self.now, id, connection::Input::Send(Frame { head, body }));
            self.after_station(station, wants);
        }
        self.queue.put(until, Event::Over(number));
    }

    /// Viewers that were shown lies have found out; they begin anew with an honest relay.
    pub(super) fn stop_lying(&mut self, station: usize) {
        self.stations[station].relay.tampering = Tampering::None;
        self.stations[station].lies = false;
        for viewer in 0..self.viewers.len() {
            if self.options.relay_of(self.viewers[viewer].org) == station {
                self.restart_viewer(viewer);
            }
        }
    }

    /// What the relay itself would see as the attacker's event; kept so that its connection ends like any other.
    pub(super) fn hang_up_attackers(&mut self) {
        let ids: Vec<_> = self.wires.iter().filter(|(_, wire)| wire.end == End::Attacker).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(wire) = self.wires.remove(&id) else { continue };
            let closed = IoEvent::Closed(connection::EffectId::Socket, proto_core::effect::Closed::ByPeer(None));
            let wants = self.stations[wire.station].relay.tell(self.now, id, connection::Input::Io(closed));
            self.after_station(wire.station, wants);
        }
    }
}
