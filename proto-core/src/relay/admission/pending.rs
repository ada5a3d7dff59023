//! Connections that are not admitted yet: a place for each, and a share of the places for each address (ADM-1).

use alloc::collections::{BTreeMap, VecDeque};
use core::net::IpAddr;

use super::limiter::counted_as;

/// Names one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// The places of a relay for connections that have not been admitted: they speak HTTP, or shake hands.
///
/// An address has its share of them and no more. When all are taken, the address that holds most gives up its oldest one, so that
/// a flood from a few addresses cannot keep others out. IPv6 addresses count by their first 64 bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PendingConnections {
    places: usize,
    share: usize,
    waiting: BTreeMap<IpAddr, VecDeque<Ticket>>,
    taken: usize,
    next: u64,
}

/// What became of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It has this place.
    Welcome(Ticket),
    /// It has the first one, and the connection with the second one has to be closed for it.
    InsteadOf(Ticket, Ticket),
    /// The address has its share already.
    ShareTaken,
}

impl PendingConnections {
    /// So many places, and so many of them for one address; at least one each.
    pub fn new(places: usize, share: usize) -> Self {
        Self { places: places.max(1), share: share.max(1), waiting: BTreeMap::new(), taken: 0, next: 0 }
    }

    /// A connection was accepted. One that is `exempt`, say from a proxy that many stand behind, has no share to keep to.
    pub fn enter(&mut self, address: IpAddr, exempt: bool) -> Arrival {
        let address = counted_as(address);
        if !exempt && self.waiting.get(&address).is_some_and(|own| own.len() >= self.share) {
            return Arrival::ShareTaken;
        }
        let evicted = if self.taken >= self.places { self.evict() } else { None };
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        self.waiting.entry(address).or_default().push_back(ticket);
        self.taken = self.taken.saturating_add(1);
        evicted.map_or(Arrival::Welcome(ticket), |evicted| Arrival::InsteadOf(ticket, evicted))
    }

    /// The connection was admitted, or is over. One that was evicted has left already.
    pub fn leave(&mut self, address: IpAddr, ticket: Ticket) {
        let address = counted_as(address);
        let Some(own) = self.waiting.get_mut(&address) else { return };
        let before = own.len();
        own.retain(|other| *other != ticket);
        self.taken = self.taken.saturating_sub(before.saturating_sub(own.len()));
        if own.is_empty() {
            self.waiting.remove(&address);
        }
    }

    /// Number of occupied places.
    pub const fn waiting(&self) -> usize {
        self.taken
    }

    fn evict(&mut self) -> Option<Ticket> {
        let (address, own) = self.waiting.iter_mut().max_by_key(|(_, own)| own.len())?;
        let (address, ticket) = (*address, own.pop_front()?);
        if own.is_empty() {
            self.waiting.remove(&address);
        }
        self.taken = self.taken.saturating_sub(1);
        Some(ticket)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn ip(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    fn welcome(arrival: Arrival) -> Ticket {
        match arrival {
            Arrival::Welcome(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    /// F5: 2,000 connections of one address leave room for another's.
    #[test]
    fn an_address_has_its_share() {
        let mut lobby = PendingConnections::new(100, 10);
        let tickets: Vec<_> = (0..10).map(|_| welcome(lobby.enter(ip(1), false))).collect();
        assert!((0..1990).all(|_| lobby.enter(ip(1), false) == Arrival::ShareTaken));
        welcome(lobby.enter(ip(2), false));
        assert_eq!(lobby.waiting(), 11);
        lobby.leave(ip(1), tickets[3]);
        lobby.leave(ip(1), tickets[3]);
        assert_eq!(lobby.waiting(), 10);
        welcome(lobby.enter(ip(1), false));
        let networks = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
        assert!((0..5).all(|_| networks.iter().all(|address| matches!(lobby.enter(*address, false), Arrival::Welcome(_)))));
        assert_eq!(lobby.enter(networks[1], false), Arrival::ShareTaken, "the same network");
    }

    /// F5: a flood from many addresses makes room at the cost of the largest, oldest first.
    #[test]
    fn a_full_lobby_makes_room_at_the_cost_of_the_largest() {
        let mut lobby = PendingConnections::new(20, 10);
        let flood: Vec<_> = (0..10).map(|_| welcome(lobby.enter(ip(1), false))).collect();
        for n in 2..12 {
            welcome(lobby.enter(ip(n), false));
        }
        for (n, oldest) in (100..).zip(&flood[..9]) {
            let Arrival::InsteadOf(_, evicted) = lobby.enter(ip(n), false) else { panic!("no room") };
            assert_eq!(evicted, *oldest);
            lobby.leave(ip(1), evicted);
            assert_eq!(lobby.waiting(), 20);
        }
    }

    #[test]
    fn a_proxy_has_no_share_to_keep_to() {
        let mut lobby = PendingConnections::new(100, 1);
        assert!((0..50).all(|_| matches!(lobby.enter(ip(1), true), Arrival::Welcome(_))));
    }
}
