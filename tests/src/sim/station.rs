//! A relay as a process: its connections, hub and store, the platform's key set, its clock.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proto_core::{
    Instant, Machine, WallClock,
    api::{JWKS_PATH, REVOCATIONS_PATH},
    crypto::StaticKeys,
    effect::{Effect, HttpRequest},
    jose::Thumbprint,
    keyset::{self, KeySet, LookupId},
    noise::Noise,
    relay::{
        admission::KeyAnswer,
        connection,
        hub::{self, ConnectionId},
        revocations::{self, RevocationFeed},
    },
    secret::{Secret, SecretText},
};

use super::{dice::Dice, host::Clock};
use crate::world::{API, Relay};

/// One relay, or an attacker in the place of relays.
#[derive(Debug)]
pub struct RelayProcess<N> {
    /// Connections, hub and store.
    pub relay: Relay<N>,
    /// The platform's keys as it holds them.
    pub keys: KeySet,
    /// How it follows the platform's revocations.
    pub feed: RevocationFeed,
    /// Its clock.
    pub clock: Clock,
    /// Whether this is the attacker's: it has other keys, and accepts every credential.
    pub is_false: bool,
    /// The key that was announced.
    pub(super) next_keys: Option<StaticKeys>,
    /// Whether it sends what was not asked for.
    pub(super) lies: bool,
    /// Where it is.
    pub url: String,
    /// When its timer fires.
    pub(super) scheduled: Option<Instant>,
    /// Whether a commit is on its way.
    pub(super) commits_at: Option<Instant>,
    /// First messages that an attacker recorded on their way to it.
    pub(super) recorded: VecDeque<Bytes>,
    lookups: BTreeMap<LookupId, (ConnectionId, connection::EffectId)>,
    number: u64,
    dice: Dice,
}

/// What a station's key set wants.
pub(super) enum KeyWant {
    Fetch(keyset::EffectId, HttpRequest),
    Answer(ConnectionId, connection::EffectId, KeyAnswer),
}

/// What the feed of revocations wants.
pub(super) enum FeedWant {
    Http(revocations::EffectId, HttpRequest),
    Tell(hub::Input),
}

impl<N: Noise> RelayProcess<N> {
    pub(super) fn new(number: usize, is_false: bool, now: Instant, mut dice: Dice) -> Self {
        let keys = KeySet::new(now, format!("{API}{JWKS_PATH}"), dice.jitter());
        let feed = feed(now, &mut dice);
        Self {
            relay: Relay::with_keys(StaticKeys::from_private(Secret::new(dice.bytes()))),
            keys,
            feed,
            clock: Clock::of_server(),
            is_false,
            next_keys: None,
            lies: false,
            url: format!("wss://relay-{number}.example/ws"),
            scheduled: None,
            commits_at: None,
            recorded: VecDeque::new(),
            lookups: BTreeMap::new(),
            number: 0,
            dice,
        }
    }

    /// What its connections are told of the time.
    pub(super) fn reading(&self, now: Instant) -> WallClock {
        WallClock::new(now, self.clock.unix(now))
    }

    /// Other keys for it.
    pub(super) fn fresh_keys(&mut self) -> StaticKeys {
        StaticKeys::from_private(Secret::new(self.dice.bytes()))
    }

    /// The process died and is there again: what it knew of keys is lost.
    pub(super) fn restart(&mut self, now: Instant) {
        self.relay.restart(now);
        self.lookups.clear();
        self.commits_at = None;
        self.keys = KeySet::new(now, format!("{API}{JWKS_PATH}"), self.dice.jitter());
        self.feed = feed(now, &mut self.dice);
    }

    pub(super) fn look_up(&mut self, now: Instant, connection: ConnectionId, effect_id: connection::EffectId, kid: Thumbprint) {
        self.number += 1;
        self.lookups.insert(LookupId(self.number), (connection, effect_id));
        self.keys.handle_input(now, keyset::Input::Look { lookup: LookupId(self.number), kid }).unwrap();
    }

    /// What the key set says.
    pub(super) fn keys_said(&mut self) -> Vec<KeyWant> {
        let mut wants = Vec::new();
        while let Some(output) = self.keys.poll_output() {
            let (lookup, answer) = match output {
                keyset::Output::Effect(Effect::Http(id, request)) => {
                    wants.push(KeyWant::Fetch(id, request));
                    continue;
                }
                keyset::Output::Found { lookup, key } => (lookup, KeyAnswer::Found(key)),
                keyset::Output::Unknown { lookup } => (lookup, KeyAnswer::Unknown),
                keyset::Output::Unreachable { lookup } => (lookup, KeyAnswer::Unreachable),
                keyset::Output::Effect(_) | keyset::Output::Refreshed { .. } | keyset::Output::Stale { .. } => continue,
            };
            if let Some((connection, effect_id)) = self.lookups.remove(&lookup) {
                wants.push(KeyWant::Answer(connection, effect_id, answer));
            }
        }
        wants
    }

    /// What the feed says.
    pub(super) fn feed_said(&mut self) -> Vec<FeedWant> {
        let outputs = std::iter::from_fn(|| self.feed.poll_output());
        let wants = outputs.filter_map(|output| match output {
            revocations::Output::Effect(Effect::Http(id, request)) => Some(FeedWant::Http(id, request)),
            revocations::Output::Revoked { targets, orgs } => Some(FeedWant::Tell(hub::Input::Revoked { targets, orgs })),
            revocations::Output::Revalidate => Some(FeedWant::Tell(hub::Input::Revalidate)),
            revocations::Output::Effect(_) | revocations::Output::Connected | revocations::Output::Lost(_) => None,
        });
        wants.collect()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let connections = self.relay.connections.values().filter_map(Machine::poll_timeout);
        let rest = [self.keys.poll_timeout().map(|deadline| deadline.at), self.feed.poll_timeout().map(|deadline| deadline.at)];
        connections.map(|deadline| deadline.at).chain(rest.into_iter().flatten()).min()
    }
}

fn feed(now: Instant, dice: &mut Dice) -> RevocationFeed {
    RevocationFeed::new(now, format!("{API}{REVOCATIONS_PATH}"), SecretText::new("internal"), dice.jitter())
}
