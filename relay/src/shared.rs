//! What all parts of a relay share.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use io_tokio::Network;
use proto_core::{
    Instant,
    relay::{
        admission::{Arrival, PendingConnections, RateLimiter, Ticket},
        connection::Settings,
        hub::ConnectionId,
    },
};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
    time,
};

use crate::{Tap, address, config::Config, event_log::EventLog, hub::HubHandle, keys::Keys};

/// What it says it is, to devices and in `/health`.
pub(crate) const SOFTWARE: &str = concat!("viewport-relay ", env!("CARGO_PKG_VERSION"));

/// How many connections may wait to be admitted: speak HTTP, or shake hands.
const LOBBY: usize = 1024;
/// How many of them one address may have. A team behind one address comes in by turns: each takes a moment.
const LOBBY_SHARE: usize = 64;
/// The window of `RELAY_RATE_LIMIT_PER_IP`.
const RATE_WINDOW: Duration = Duration::from_mins(1);

/// What all parts of a relay share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) settings: Arc<Settings>,
    pub(crate) network: Network,
    pub(crate) event_log: Arc<EventLog>,
    pub(crate) keys: Keys,
    pub(crate) hub: HubHandle,
    pub(crate) store_works: Arc<AtomicBool>,
    pub(crate) store_reads: Arc<AtomicBool>,
    pub(crate) tap: Option<Tap>,
    pub(crate) shutdown: watch::Receiver<bool>,
    pub(crate) doors: ConnectionLimits,
}

/// What the handlers of requests know.
#[derive(Clone, Debug)]
pub(crate) struct AppState {
    pub(crate) shared: Arc<Shared>,
    /// Held by every task of a connection, so that their end can be waited for.
    pub(crate) alive: mpsc::Sender<()>,
}

/// Counts arrivals and connections against the limits.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    started: time::Instant,
    limiter: Mutex<RateLimiter>,
    room: Arc<Mutex<Room>>,
    upgraded: Arc<AtomicUsize>,
    admitted: Arc<AtomicUsize>,
    numbers: AtomicU64,
}

/// The lobby, and the tasks of the connections that wait in it.
#[derive(Debug)]
struct Room {
    lobby: PendingConnections,
    tasks: HashMap<Ticket, AbortHandle>,
}

/// A place in the lobby, held by a connection until it is admitted; given back when dropped.
#[derive(Debug)]
pub(crate) struct PendingSlot {
    room: Arc<Mutex<Room>>,
    address: IpAddr,
    ticket: Ticket,
}

impl PendingSlot {
    /// This task ends when its place has to make room for others.
    pub(crate) fn is_held_by(&self, task: AbortHandle) {
        let mut room = lock(&self.room);
        match room.tasks.get_mut(&self.ticket) {
            Some(known) => *known = task,
            None => task.abort(),
        }
    }

    fn leave(&self) {
        let mut room = lock(&self.room);
        room.lobby.leave(self.address, self.ticket);
        room.tasks.remove(&self.ticket);
    }
}

impl Drop for PendingSlot {
    fn drop(&mut self) {
        self.leave();
    }
}

/// An upgraded connection: in the lobby, and once it is admitted one of those that `RELAY_MAX_CONNECTIONS` allows.
#[derive(Debug)]
pub(crate) struct Slot {
    place: Arc<PendingSlot>,
    _upgraded: Count,
    admitted: Option<Count>,
}

impl Slot {
    /// The device was admitted. False when there are as many as there may be.
    pub(crate) fn admit(&mut self, shared: &Shared) -> bool {
        let (count, before) = Count::one_more(&shared.doors.admitted);
        let has_room = before < shared.config.max_connections;
        self.admitted = has_room.then_some(count);
        self.place.leave();
        has_room
    }
}

/// Counts one of something for as long as it lives.
#[derive(Debug)]
struct Count(Arc<AtomicUsize>);

impl Count {
    /// One more, and how many there were before.
    fn one_more(of: &Arc<AtomicUsize>) -> (Self, usize) {
        let before = of.fetch_add(1, Ordering::Relaxed);
        (Self(Arc::clone(of)), before)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ConnectionLimits {
    /// Counters of a relay without connections.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            started: time::Instant::now(),
            limiter: Mutex::new(RateLimiter::new(config.rate_limit_per_ip, RATE_WINDOW)),
            room: Arc::new(Mutex::new(Room { lobby: PendingConnections::new(LOBBY, LOBBY_SHARE), tasks: HashMap::new() })),
            upgraded: Arc::default(),
            admitted: Arc::default(),
            numbers: AtomicU64::new(1),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.doors.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// A place for a connection that was accepted and the task that serves it. `None` when its address has its share already.
    pub(crate) fn enter(&self, peer: IpAddr, task: impl FnOnce(Arc<PendingSlot>) -> AbortHandle) -> Option<()> {
        let mut room = lock(&self.doors.room);
        let ticket = match room.lobby.enter(peer, self.has_no_share(peer)) {
            Arrival::Welcome(ticket) => ticket,
            Arrival::InsteadOf(ticket, evicted) => {
                if let Some(task) = room.tasks.remove(&evicted) {
                    task.abort();
                }
                ticket
            }
            Arrival::ShareTaken => return None,
        };
        let place = Arc::new(PendingSlot { room: Arc::clone(&self.doors.room), address: peer, ticket });
        room.tasks.insert(ticket, task(place));
        Some(())
    }

    /// Whose connections are many people's, or are not limited.
    fn has_no_share(&self, peer: IpAddr) -> bool {
        let Config { rate_limit_per_ip, trusted_ips, trusted_proxies, .. } = &self.config;
        let peer = peer.to_canonical();
        *rate_limit_per_ip == 0 || address::is_among(peer, trusted_ips) || address::is_among(peer, trusted_proxies)
    }

    /// An upgraded connection, if there is room for it to be admitted.
    pub(crate) fn slot(&self, place: Arc<PendingSlot>) -> Option<Slot> {
        let is_full = self.doors.admitted.load(Ordering::Relaxed) >= self.config.max_connections;
        let slot = || Slot { place, _upgraded: Count::one_more(&self.doors.upgraded).0, admitted: None };
        (!is_full).then(slot)
    }

    /// Upgraded connections, admitted or not.
    pub(crate) fn connections(&self) -> usize {
        self.doors.upgraded.load(Ordering::Relaxed)
    }

    /// Counts an arrival, or says how long it has to wait.
    pub(crate) fn rate_limit(&self, address: IpAddr) -> Result<(), Duration> {
        if address::is_among(address, &self.config.trusted_ips) {
            return Ok(());
        }
        let now = Instant::ZERO.after(self.doors.started.elapsed());
        lock(&self.doors.limiter).admit(now, address)
    }
}
