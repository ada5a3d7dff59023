//! What the subjects share beside the fixtures: the fates of effects.

use std::fmt::Debug;

pub(super) use crate::fixtures::{
    ISSUER, UNIX, approval, clock, id_of, identity, key_set, parsed, platform_key, record, relay, relay_identity, relay_record,
    renewed, secret, token, uplink_settings,
};
use bytes::Bytes;
use proptest::{collection::vec, prelude::*, strategy::BoxedStrategy};
use proto_core::{
    Entropy, Reason, UnixTime,
    effect::{Closed, HttpAnswer, IoEvent, NetFault},
    secret::SecretBytes,
};

/// How many of the recent outputs an answer may be for.
const RECENT: usize = 4;

pub(super) fn reasons() -> BoxedStrategy<Reason> {
    proptest::sample::select(Reason::ALL).boxed()
}

/// What becomes of an effect: a recipe for an [`IoEvent`]. `B` is the recipe of a body.
#[derive(Clone, Debug)]
pub enum Fate<B> {
    Answered { status: u16, retry_after: Option<u32>, body: B },
    Unanswered(NetFault),
    Connected(u8),
    Received(Vec<u8>),
    Sent(u32),
    Closed(Closed),
    Stored,
    NotStored,
}

impl<B> Fate<B> {
    /// The event, with the body that `bake` makes.
    pub(super) fn io_event<I>(&self, id: I, bake: impl FnOnce(&B) -> String) -> IoEvent<I> {
        match self {
            Self::Answered { status, retry_after, body } => {
                let body = SecretBytes::new(bake(body));
                // Some say what time it is, years apart.
                let date = retry_after.map(|seconds| UnixTime(1_800_000_000).plus(seconds.into()));
                IoEvent::Answered(id, HttpAnswer { status: *status, retry_after: *retry_after, date, body })
            }
            Self::Unanswered(fault) => IoEvent::Unanswered(id, *fault),
            Self::Connected(seed) => IoEvent::Connected(id, Entropy::new([*seed; 32])),
            Self::Received(bytes) => IoEvent::Received(id, Bytes::copy_from_slice(bytes)),
            Self::Sent(messages) => IoEvent::Sent(id, *messages),
            Self::Closed(closed) => IoEvent::Closed(id, *closed),
            Self::Stored => IoEvent::Stored(id),
            Self::NotStored => IoEvent::NotStored(id),
        }
    }
}

/// Fates of requests and files; most are good.
pub(super) fn fates<B: Clone + Debug + 'static>(bodies: impl Strategy<Value = B> + 'static) -> BoxedStrategy<Fate<B>> {
    let status = prop_oneof![6 => Just(200), 3 => Just(201), 1 => proptest::sample::select(&[204, 400, 401, 404, 410, 429, 503])];
    let retry_after = proptest::option::weighted(0.2, prop_oneof![0_u32..100, any::<u32>()]);
    prop_oneof![
        8 => (status, retry_after, bodies).prop_map(|(status, retry_after, body)| Fate::Answered { status, retry_after, body }),
        1 => faults().prop_map(Fate::Unanswered),
        6 => Just(Fate::Stored),
        1 => Just(Fate::NotStored),
    ]
    .boxed()
}

/// Fates of a WebSocket.
pub(super) fn socket_fates<B: Clone + Debug + 'static>() -> BoxedStrategy<Fate<B>> {
    let closed = prop_oneof![
        proptest::option::of(reasons()).prop_map(Closed::ByPeer),
        Just(Closed::ByUs),
        faults().prop_map(Closed::Fault)
    ];
    prop_oneof![
        4 => any::<u8>().prop_map(Fate::Connected),
        2 => vec(any::<u8>(), 0..128).prop_map(Fate::Received),
        1 => any::<u32>().prop_map(Fate::Sent),
        2 => closed.prop_map(Fate::Closed),
    ]
    .boxed()
}

pub(super) fn faults() -> BoxedStrategy<NetFault> {
    use NetFault::{BadUrl, Broken, Dns, NotUnderstood, Refused, TimedOut, Tls, TooLarge};
    proptest::sample::select(&[BadUrl, Dns, Refused, Tls, TimedOut, Broken, NotUnderstood, TooLarge]).boxed()
}

/// How far back the output lies that an answer is for: mostly the latest.
pub(super) fn recent() -> BoxedStrategy<usize> {
    prop_oneof![4 => Just(0), 1 => 0..RECENT].boxed()
}

/// The `back`-th latest output that `pick` takes something from.
pub(super) fn latest<'a, O, T: 'a>(said: &'a [O], back: usize, pick: impl Fn(&'a O) -> Option<T> + 'a) -> Option<T> {
    said.iter().rev().filter_map(pick).nth(back)
}
