//! Effects of machines that own an uplink, and what may come of them.

use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    Entropy, Reason,
    effect::{Closed, Effect, Happening, HttpAnswer},
    secret::{Secret, SecretBytes},
    uplink::Ask,
};

use super::{
    handshake::second_message,
    world::{Fate, fates, id_of, key_set, recent, relay_identity, renewed, secret, socket_fates},
};

/// What comes of one of the latest effects.
#[derive(Clone, Debug)]
pub enum Net {
    /// What the other end would really answer to the `back`-th latest.
    Fitting { back: usize },
    /// Anything.
    Odd { back: usize, fate: Fate<&'static str> },
}

pub(super) fn nets() -> BoxedStrategy<Net> {
    let odd = prop_oneof![fates(proptest::sample::select(&["<html>", "{}"])), socket_fates()];
    prop_oneof![
        5 => recent().prop_map(|back| Net::Fitting { back }),
        1 => (recent(), odd).prop_map(|(back, fate)| Net::Odd { back, fate }),
    ]
    .boxed()
}

impl Net {
    /// The happening; `body` is what the platform answers. `None` while there was no effect yet.
    pub(super) fn happening<'a, I: Clone + 'a>(
        &self,
        effects: impl DoubleEndedIterator<Item = &'a Effect<I>>,
        body: impl FnOnce(&I) -> String,
    ) -> Option<Happening<I>> {
        match self {
            Self::Fitting { back } => effects.rev().nth(*back).map(|effect| fitting(effect, body)),
            Self::Odd { back, fate } => {
                let id = id_of(effects.rev().nth(*back)?);
                Some(fate.happening(id, ToString::to_string))
            }
        }
    }
}

fn fitting<I: Clone>(effect: &Effect<I>, body: impl FnOnce(&I) -> String) -> Happening<I> {
    let id = id_of(effect);
    match effect {
        Effect::Http(..) => {
            let body = SecretBytes::new(body(&id));
            Happening::Answered(id, HttpAnswer { status: 200, retry_after: None, body })
        }
        Effect::Connect(..) => Happening::Connected(id, Entropy::new([7; 32])),
        Effect::Send(_, message) => Happening::Received(id, second_message(&relay_identity(), message.clone())),
        Effect::Close(..) => Happening::Closed(id, Closed::ByPeer(Some(Reason::Superseded))),
        Effect::Store(..) | Effect::Remove(..) => Happening::Stored(id),
    }
}

/// What a good platform says to an uplink of the binding of [`record`](super::world::record).
pub(super) fn platform_says(ask: &Ask) -> String {
    platform_says_to(ask, &secret(1))
}

pub(super) fn platform_says_to(ask: &Ask, seed: &Secret) -> String {
    match ask {
        Ask::Rotation(_) => serde_json::to_string(&renewed(seed, "A", "r", 2)).unwrap(),
        Ask::Keys(_) | Ask::Link => key_set(),
    }
}
