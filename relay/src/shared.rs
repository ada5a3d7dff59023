//! What all parts of a relay share.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use io_tokio::Roots;
use proto_core::{
    Instant,
    relay::{admission::RateLimiter, connection::Settings, hub::ConnectionId},
};
use tokio::{
    sync::{mpsc, watch},
    time,
};

use crate::{Tap, address, config::Config, hub::HubHandle, journal::Journal, keys::Keys};

/// What it says it is, to devices and in `/health`.
pub(crate) const SOFTWARE: &str = concat!("viewport-relay ", env!("CARGO_PKG_VERSION"));

/// The window of `RELAY_RATE_LIMIT_PER_IP`.
const RATE_WINDOW: Duration = Duration::from_mins(1);

/// What all parts of a relay share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) settings: Arc<Settings>,
    pub(crate) roots: Roots,
    pub(crate) journal: Arc<Journal>,
    pub(crate) keys: Keys,
    pub(crate) hub: HubHandle,
    pub(crate) store_works: Arc<AtomicBool>,
    pub(crate) tap: Option<Tap>,
    pub(crate) shutdown: watch::Receiver<bool>,
    pub(crate) doors: Doors,
}

/// What the handlers of requests know.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    /// Held by every task of a connection, so that their end can be waited for.
    pub(crate) alive: mpsc::Sender<()>,
}

/// Counts arrivals and connections against the limits.
#[derive(Debug)]
pub(crate) struct Doors {
    started: time::Instant,
    limiter: Mutex<RateLimiter>,
    connections: Arc<AtomicUsize>,
    numbers: AtomicU64,
}

/// One of the connections that `RELAY_MAX_CONNECTIONS` allows; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Doors {
    /// Doors through which nothing has come yet.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            started: time::Instant::now(),
            limiter: Mutex::new(RateLimiter::new(config.rate_limit_per_ip, RATE_WINDOW)),
            connections: Arc::default(),
            numbers: AtomicU64::new(1),
        }
    }
}

impl Shared {
    pub(crate) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.doors.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// A place for one more connection, if there is one.
    pub(crate) fn slot(&self) -> Option<Slot> {
        let slot = Slot(Arc::clone(&self.doors.connections));
        let before = self.doors.connections.fetch_add(1, Ordering::Relaxed);
        (before < self.config.max_connections).then_some(slot)
    }

    pub(crate) fn connections(&self) -> usize {
        self.doors.connections.load(Ordering::Relaxed)
    }

    /// Counts an arrival, or says how long it has to wait.
    pub(crate) fn rate_limit(&self, address: IpAddr) -> Result<(), Duration> {
        if address::is_among(address, &self.config.trusted_ips) {
            return Ok(());
        }
        let now = Instant::ZERO.after(self.doors.started.elapsed());
        self.doors.limiter.lock().unwrap_or_else(PoisonError::into_inner).admit(now, address)
    }
}
