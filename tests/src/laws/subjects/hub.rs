use bytes::Bytes;
use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    SessionId,
    relay::hub::{
        Confirmed, ConnectionId, Hub, Input, Kind, Output, Records, SealedRecord, SessionNumber, StoredSession, Tally, Write,
    },
    secret::SecretText,
    wire::{Frame, Head, Outcome},
};

use super::world::{latest, parsed, recent};
use crate::laws::Subject;

pub struct Routing;

#[derive(Clone, Debug)]
pub enum Fact {
    Told(Input),
    /// The store has made the `back`-th latest write durable.
    Wrote {
        back: usize,
    },
    /// The store answers the `back`-th latest read.
    ReadOut {
        back: usize,
        found: bool,
    },
}

fn connections() -> BoxedStrategy<ConnectionId> {
    (0_u64..5).prop_map(ConnectionId).boxed()
}

fn sessions() -> BoxedStrategy<SessionId> {
    (0_u8..2).prop_map(|byte| SessionId([byte; 16])).boxed()
}

fn numbers() -> BoxedStrategy<SessionNumber> {
    (0_u64..4).prop_map(SessionNumber).boxed()
}

fn outcomes() -> BoxedStrategy<Outcome> {
    proptest::sample::select(&[Outcome::Exited, Outcome::Cut]).boxed()
}

fn record(epoch: u32, len: usize) -> SealedRecord {
    SealedRecord { epoch, body: Bytes::from(vec![b'x'; len]) }
}

fn frames() -> BoxedStrategy<Frame> {
    let len = prop_oneof![9 => 16_usize..64, 1 => Just(600_000)];
    let data = (sessions(), 0_u64..6, len).prop_map(|(session, sequence, len)| Frame {
        head: Head::Data { session, epoch: 0, sequence },
        body: record(0, len).body,
    });
    prop_oneof![
        2 => (sessions(), 1_u8..3).prop_map(|(session, cipher)| Head::Open { session, cipher }.into()),
        6 => data,
        3 => (sessions(), 0_u64..6).prop_map(|(session, next)| Head::Resume { session, next }.into()),
        1 => (sessions(), 0_u64..6, outcomes()).prop_map(|(session, next, outcome)| Head::End { session, next, outcome }.into()),
        1 => (sessions(), 0_u64..5).prop_map(|(session, viewer)| Frame { head: Head::Peer { session, viewer }, body: record(0, 9).body }),
        1 => Just(Head::Rekey.into()),
        1 => sessions().prop_map(|session| Frame { head: Head::Envelope { session }, body: record(0, 9).body }),
    ]
    .boxed()
}

fn told() -> BoxedStrategy<Input> {
    let orgs = || proptest::sample::select(&["A", "B"]);
    let targets = || proptest::sample::select(&["r1", "r2"]);
    let kinds = proptest::sample::select(vec![Kind::Daemon(SecretText::new("token")), Kind::Viewer]);
    let confirmed =
        (orgs(), targets(), kinds).prop_map(|(org, target, kind)| Confirmed { org: parsed(org), target: parsed(target), kind });
    let stored =
        (numbers(), sessions(), 0_u64..4, proptest::option::of(outcomes())).prop_map(|(number, session, next, ended)| {
            let (org, target, credential) = (parsed("A"), parsed("r1"), SecretText::new("token"));
            Input::Stored(StoredSession {
                number,
                org,
                session,
                target,
                cipher: 1,
                credential,
                next,
                ended,
                tally: Tally::default(),
                envelope: None,
            })
        });
    prop_oneof![
        1 => stored,
        4 => (connections(), confirmed).prop_map(|(connection, who)| Input::Confirmed(connection, who)),
        10 => (connections(), frames()).prop_map(|(from, frame)| Input::Received(from, frame)),
        1 => connections().prop_map(|from| Input::Renewed(from, SecretText::new("newer"))),
        3 => (connections(), 0_usize..2_000_000).prop_map(|(connection, weight)| Input::Taken(connection, weight)),
        1 => connections().prop_map(Input::Gone),
        1 => (numbers(), 0_u64..6).prop_map(|(session, next)| Input::Appended(session, next)),
        1 => numbers().prop_map(Input::Ended),
        1 => numbers().prop_map(Input::Leaving),
        1 => (orgs(), any::<bool>()).prop_map(|(org, works)| Input::Storing(parsed(org), works)),
        1 => (connections(), numbers()).prop_map(|(viewer, session)| Input::Unreadable(viewer, session)),
        1 => Just(Input::Revalidate),
        1 => (targets(), orgs()).prop_map(|(target, org)| Input::Revoked { targets: vec![parsed(target)], orgs: vec![parsed(org)] }),
    ]
    .boxed()
}

impl Subject for Routing {
    type Machine = Hub;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 256;
    /// Some megabytes of records that wait for the store, byte by byte.
    const MAX_DEBUG: usize = 64 * 1024 * 1024;

    fn start(&self, _seed: u64) -> Hub {
        Hub::new()
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        prop_oneof![
            6 => told().prop_map(Fact::Told),
            2 => recent().prop_map(|back| Fact::Wrote { back }),
            1 => (recent(), any::<bool>()).prop_map(|(back, found)| Fact::ReadOut { back, found }),
        ]
        .boxed()
    }

    /// Withdrawals of access without end: what is remembered of them is bounded.
    fn flood(&self) -> BoxedStrategy<Fact> {
        any::<u64>()
            .prop_map(|target| Fact::Told(Input::Revoked { targets: vec![parsed(&target.to_string())], orgs: vec![] }))
            .boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        match fact {
            Fact::Told(input) => input.clone(),
            Fact::Wrote { back } => latest(said, *back, |output| match output {
                Output::Write(Write::Record { number, sequence, .. }) => Some(Input::Appended(*number, sequence + 1)),
                Output::Write(Write::End { number, .. }) => Some(Input::Ended(*number)),
                Output::Write(Write::Envelope { number, .. }) => Some(Input::Enveloped(*number)),
                _ => None,
            })
            .unwrap_or(Input::Ended(SessionNumber(99))),
            Fact::ReadOut { back, found } => latest(said, *back, |output| match output {
                Output::Read(read) if *found => {
                    let records = vec![record(0, 32); 2];
                    Some(Input::Records(Records { viewer: read.viewer, session: read.session, from: read.from, records }))
                }
                Output::Read(read) => Some(Input::Unreadable(read.viewer, read.session)),
                _ => None,
            })
            .unwrap_or(Input::Gone(ConnectionId(99))),
        }
    }
}
