use bytes::Bytes;
use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    SessionId,
    crypto::Cipher,
    device::spool::{EffectId, Input, MAX_TOTAL, Output, Spool},
    effect::{Effect, IoEvent, StateFile},
    wire::{Frame, Head, Outcome},
};

use super::world::{latest, reasons, recent};
use crate::laws::{START, Subject};

const ID: SessionId = SessionId([7; 16]);

pub struct Kept;

#[derive(Clone, Debug)]
pub enum Fact {
    Open(Option<u64>),
    Data(u64, usize),
    End(u64),
    Full(u64),
    Left,
    Close,
    Relay(Head),
    Disk { back: usize, works: bool },
}

impl Subject for Kept {
    type Machine = Spool;
    type Fact = Fact;
    /// A window of records that are as small as they can be.
    const MAX_OUTPUTS: usize = 4_096;
    /// What a process may have handed over to a disk that never answers, byte by byte.
    const MAX_DEBUG: usize = 64 * 1024 * 1024;

    fn start(&self, seed: u64) -> Spool {
        if seed.is_multiple_of(3) {
            Spool::restore(START, ID, Cipher::Aes256Gcm, [(0, 100), (3, 50)])
        } else {
            Spool::new(START, ID, Cipher::ChaCha20Poly1305)
        }
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        let heads = prop_oneof![
            4 => (0_u64..12).prop_map(|next| Head::Resume { session: ID, next }),
            8 => (0_u64..12).prop_map(|next| Head::Acknowledge { session: ID, next }),
            1 => any::<u64>().prop_map(|nonce| Head::Ping { nonce }),
            1 => reasons().prop_map(|reason| Head::Revoke { reason }),
        ];
        prop_oneof![
            6 => proptest::option::weighted(0.9, 0_u64..4).prop_map(Fact::Open),
            30 => (0_u64..12, prop_oneof![9 => 0_usize..64, 1 => Just(60_000)]).prop_map(|(n, len)| Fact::Data(n, len)),
            4 => (0_u64..12).prop_map(Fact::End),
            1 => (0_u64..12).prop_map(Fact::Full),
            3 => Just(Fact::Left),
            1 => Just(Fact::Close),
            20 => heads.prop_map(Fact::Relay),
            20 => (recent(), prop_oneof![4 => Just(true), 1 => Just(false)]).prop_map(|(back, works)| Fact::Disk { back, works }),
        ]
        .boxed()
    }

    fn before_flood(&self) -> Vec<Fact> {
        vec![Fact::Open(Some(0)), Fact::Data(0, 8)]
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        prop_oneof![
            8 => (0_u64..40, 0_usize..8).prop_map(|(n, len)| Fact::Data(n, len)),
            1 => Just(Fact::Open(Some(0))),
            1 => Just(Fact::Relay(Head::Resume { session: ID, next: 0 })),
        ]
        .boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        let source = |frame| Input::Source { frame, free: MAX_TOTAL };
        let data =
            |sequence, len| Frame { head: Head::Data { session: ID, epoch: 0, sequence }, body: Bytes::from(vec![b'x'; len]) };
        match fact {
            Fact::Open(source_first) => {
                let body = source_first.map_or_else(Bytes::new, |from| Bytes::copy_from_slice(&from.to_be_bytes()));
                source(Frame { head: Head::Open { session: ID, cipher: 1 }, body })
            }
            Fact::Data(sequence, len) => source(data(*sequence, *len)),
            Fact::End(next) => source(Head::End { session: ID, next: *next, outcome: Outcome::Exited }.into()),
            Fact::Full(sequence) => Input::Source { frame: data(*sequence, 8), free: 0 },
            Fact::Left => Input::Left,
            Fact::Close => Input::Close,
            Fact::Relay(head) => Input::Relay(head.clone().into()),
            Fact::Disk { back, works } => Input::Io(answered(said, *back, *works)),
        }
    }
}

/// What a disk answers to one of the latest questions.
fn answered(said: &[Output], back: usize, works: bool) -> IoEvent<EffectId> {
    let asked = |output: &Output| if let Output::Effect(effect) = output { Some(effect.clone()) } else { None };
    match latest(said, back, asked) {
        Some(Effect::Load(ask, file)) if works => IoEvent::Loaded(ask, stored(said, &file)),
        Some(Effect::Load(ask, _)) => IoEvent::NotLoaded(ask),
        Some(Effect::Store(ask, ..) | Effect::Remove(ask, _)) if works => IoEvent::Stored(ask),
        Some(Effect::Store(ask, ..) | Effect::Remove(ask, _)) => IoEvent::NotStored(ask),
        _ => IoEvent::Stored(EffectId::Keep(99)),
    }
}

fn stored(said: &[Output], wanted: &StateFile) -> Option<proto_core::secret::SecretBytes> {
    said.iter().rev().find_map(|output| match output {
        Output::Effect(Effect::Store(_, file, contents)) if file == wanted => Some(contents.clone()),
        _ => None,
    })
}
