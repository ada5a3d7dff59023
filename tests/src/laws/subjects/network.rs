//! Effects of machines that own an uplink, and what may come of them.

use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::effect::{Effect, IoEvent};

use super::world::{Fate, fates, id_of, recent, socket_fates};
use crate::fixtures::network::fitting;

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
    /// The event; `body` is what the platform answers. `None` while there was no effect yet.
    pub(super) fn io_event<'a, I: Clone + 'a>(
        &self,
        effects: impl DoubleEndedIterator<Item = &'a Effect<I>>,
        body: impl FnOnce(&I) -> String,
    ) -> Option<IoEvent<I>> {
        match self {
            Self::Fitting { back } => effects.rev().nth(*back).map(|effect| fitting(effect, body)),
            Self::Odd { back, fate } => {
                let id = id_of(effects.rev().nth(*back)?);
                Some(fate.io_event(id, ToString::to_string))
            }
        }
    }
}
