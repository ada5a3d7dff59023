//! A whole world in memory, on virtual time: a machine with the real daemon and commands that run on it, real relays, real
//! viewers, and a scripted platform. Its disk can crash, its network can be taken away, and it can be stopped at every step.
//!
//! ```text
//!   Run (session::Session) ◄──► Laptop (daemon::Daemon) ◄── events ──► Relay (connection::Connection, hub::Hub, a store)
//!                                     │                                    │            ▲
//!                                     └──────────► Platform ◄──────────────┘            └──► Tablet (watcher::Watcher)
//! ```
//!
//! Everything that happens is one event in one queue; when the queue is empty, time jumps to the earliest deadline.
//! The same calls give the same world, to the byte.

#![allow(clippy::missing_panics_doc, reason = "a world that does not hold up is a failed test")]

mod events;
mod faults;
mod interference;
mod issuer;
mod laptop;
mod organization_key;
mod people;
mod platform;
mod relay;
mod revocations;
mod tablet;
mod time;
mod turns;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
pub use laptop::{Laptop, Run};
pub use organization_key::OrganizationKey;
pub use platform::{API, Code, Org, Platform, Target};
use proto_core::{
    Entropy, Instant, JitterRng, OrgId, UnixTime, WallClock,
    api::{PolicyMode, RelayEndpoint, Workspace},
    device::{
        consent::{Change, Directory},
        daemon::{self, EffectId, TaskId},
        watcher,
    },
    effect::{HttpRequest, IoEvent, StateFile},
    relay::{connection, hub::ConnectionId},
    secret::SecretBytes,
};
pub(crate) use relay::Want;
pub use relay::{Relay, Stored, Tampering};
pub use revocations::Ended;
pub(crate) use tablet::adopted;
pub use tablet::{Disk, ViewerDevice};
pub(crate) use turns::Wants;

/// What the wall clock shows at the beginning.
pub const EPOCH: UnixTime = UnixTime(1_800_000_000);

/// Something left the machine or a viewer.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// A relay's URL, or [`API`].
    pub to: String,
    /// The WebSocket message, or the request's URL, headers and body one after the other.
    pub bytes: Bytes,
}

/// The world. See the [module page](self).
#[derive(Debug)]
pub struct World {
    /// The virtual moment.
    pub now: Instant,
    /// The control plane.
    pub platform: Platform,
    /// The relays, by URL.
    pub relays: BTreeMap<String, Relay>,
    /// The machine.
    pub laptop: Laptop,
    /// The viewers.
    pub watchers: Vec<ViewerDevice>,
    /// Whether they reach the platform.
    pub watchers_reach_platform: bool,
    /// What the machine sent, in order.
    pub sent: Vec<Sent>,
    /// How many events there were.
    count: usize,
    events: VecDeque<Event>,
    /// Writes that wait for a disk that does not move.
    stuck: Vec<Event>,
    sockets: BTreeMap<ConnectionId, Socket>,
    /// What the wall clock shows.
    wall: WallClock,
    /// What the machine and the viewers take it for: they sleep until [`World::wake`].
    told: WallClock,
    drawn: JitterRng,
    numbers: u64,
}

#[derive(Debug)]
struct Socket {
    end: End,
    url: String,
}

/// Whose end of a WebSocket or a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Laptop(u32, EffectId),
    Watcher(usize, watcher::EffectId),
    Relay(String, ConnectionId, connection::EffectId),
}

#[derive(Debug)]
enum Event {
    Laptop(u32, daemon::Input),
    Disk(u32, EffectId, StateFile, Option<SecretBytes>),
    Load(u32, EffectId, StateFile),
    Look(u32, TaskId, Directory),
    Change(u32, TaskId, Vec<Change>),
    Watcher(usize, watcher::Input),
    Http(End, HttpRequest),
    Dial(End, String),
    Relay(String, ConnectionId, connection::Input),
    ToDevice(ConnectionId, IoEvent<()>),
    Commit(String),
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world with a machine on which the daemon runs, and a platform without organizations.
    pub fn new() -> Self {
        let mut world = Self {
            now: Instant::from_nanos(1_000_000_000),
            platform: Platform::default(),
            relays: BTreeMap::new(),
            laptop: Laptop::new("laptop", 0),
            watchers: Vec::new(),
            watchers_reach_platform: true,
            sent: Vec::new(),
            count: 0,
            events: VecDeque::new(),
            stuck: Vec::new(),
            sockets: BTreeMap::new(),
            wall: WallClock::new(Instant::from_nanos(1_000_000_000), EPOCH),
            told: WallClock::new(Instant::from_nanos(1_000_000_000), EPOCH),
            drawn: JitterRng::new(0x776f_726c),
            numbers: 0,
        };
        world.boot();
        world
    }

    /// A world with the organizations `names`, each with a relay of its own.
    pub fn with(names: &[&str]) -> Self {
        let mut world = Self::new();
        for name in names {
            world.found(name, PolicyMode::Standard);
        }
        world
    }

    /// A person founds an organization, with a relay of its own.
    pub fn found(&mut self, slug: &str, policy: PolicyMode) -> OrgId {
        let id: OrgId = format!("ORG-{slug}-{:016X}", self.drawn.next()).parse().unwrap();
        let url = format!("wss://relay-{slug}.example/ws");
        let relay = Relay::new(u8::try_from(self.relays.len() + 1).unwrap());
        let endpoint = RelayEndpoint { url: url.clone(), static_keys: vec![relay.key()] };
        let workspace = Workspace { id: id.clone(), slug: slug.into(), name: format!("{slug} Inc.") };
        self.platform.orgs.insert(
            id.clone(),
            Org { workspace, relay: endpoint, policy, deleted: false, members: ["owner".parse().unwrap()].into() },
        );
        self.relays.insert(url, relay);
        id
    }

    /// The id of an organization.
    pub fn org(&self, slug: &str) -> OrgId {
        let org = self.platform.orgs.values().find(|org| org.workspace.slug == slug);
        org.expect("the org was founded").workspace.id.clone()
    }

    /// An organization's relay.
    pub fn relay(&mut self, slug: &str) -> &mut Relay {
        self.relays.get_mut(&relay_url(slug)).unwrap()
    }

    /// What the wall clock shows.
    pub fn unix(&self) -> UnixTime {
        self.wall.unix_at(self.now)
    }

    /// 32 bytes that were not drawn before.
    pub fn entropy(&mut self) -> Entropy {
        Entropy::new(self.bytes())
    }

    fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.drawn.next().to_be_bytes()));
        bytes
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

fn relay_url(slug: &str) -> String {
    format!("wss://relay-{slug}.example/ws")
}
