use bytes::Bytes;
use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    SessionId,
    crypto::{
        Cipher, PureRust,
        seal::{EpochSecret, Scope},
    },
    device::session::{Input, Output, Session},
    wire::{Content, Head, Outcome},
};

use super::world::{parsed, reasons, secret};
use crate::laws::{START, Subject};

const ID: SessionId = SessionId([7; 16]);

pub struct Streamed;

impl Subject for Streamed {
    type Machine = Session;
    type Fact = Input;
    /// A window of records that are as small as they can be.
    const MAX_OUTPUTS: usize = 4_096;
    /// Some hundred records of 64 KiB, byte by byte; a flood of small ones stays far below `MAX_RETAINED`.
    const MAX_DEBUG: usize = 64 * 1024 * 1024;

    fn start(&self, seed: u64) -> Session {
        let cipher = if seed.is_multiple_of(2) { Cipher::Aes256Gcm } else { Cipher::ChaCha20Poly1305 };
        let scope = Scope { org: parsed("org"), session: ID, cipher };
        Session::new(&PureRust, scope, EpochSecret::new(secret(1)), START)
    }

    fn facts(&self) -> BoxedStrategy<Input> {
        let sessions = || prop_oneof![9 => Just(ID), 1 => Just(SessionId([8; 16]))];
        let content = prop_oneof![
            (0_usize..64).prop_map(|len| Content::Output(Bytes::from(vec![b'x'; len]))),
            Just(Content::Output(Bytes::from(vec![b'x'; 100_000]))),
            any::<(u16, u16)>().prop_map(|(columns, rows)| Content::Resize { columns, rows }),
            any::<i32>().prop_map(|status| Content::Exit { status }),
        ];
        let heads = prop_oneof![
            4 => (sessions(), 0_u64..12).prop_map(|(session, next)| Head::Resume { session, next }),
            8 => (sessions(), 0_u64..12).prop_map(|(session, next)| Head::Acknowledge { session, next }),
            1 => any::<u64>().prop_map(|nonce| Head::Ping { nonce }),
        ];
        prop_oneof![
            40 => content.prop_map(Input::Push),
            10 => Just(Input::Attached),
            4 => Just(Input::Detached),
            30 => heads.prop_map(|head| Input::Frame(head.into())),
            1 => reasons().prop_map(|reason| Input::Frame(Head::Revoke { reason }.into())),
            8 => proptest::sample::select(&[Outcome::Exited, Outcome::Cut]).prop_map(Input::End),
        ]
        .boxed()
    }

    fn flood(&self) -> BoxedStrategy<Input> {
        let resume = Input::Frame(Head::Resume { session: ID, next: 0 }.into());
        prop_oneof![
            8 => (0_usize..8).prop_map(|len| Input::Push(Content::Output(Bytes::from(vec![b'x'; len])))),
            1 => Just(Input::Attached),
            1 => Just(Input::Detached),
            1 => Just(resume),
        ]
        .boxed()
    }

    fn input(&self, fact: &Input, _said: &[Output]) -> Input {
        fact.clone()
    }
}
