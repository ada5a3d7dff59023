use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::platform::pairing_code::{CheckId, Input, Membership, Output, PairingCode};

use super::world::{latest, parsed, recent};
use crate::laws::{START, Subject};

pub struct Code;

#[derive(Clone, Debug)]
pub enum Fact {
    Told(Input),
    Checked { back: usize, standing: Membership },
}

impl Subject for Code {
    type Machine = PairingCode;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 2;
    const MAX_DEBUG: usize = 1_024;

    fn start(&self, seed: u64) -> PairingCode {
        PairingCode::mint(START, seed.is_multiple_of(2).then(|| "acme".into()))
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        let name = || proptest::sample::select(&["ann", "bob"]).prop_map(parsed);
        let standing = prop_oneof![
            4 => Just(Membership::Member { slug: "acme".into() }),
            1 => Just(Membership::Member { slug: "other".into() }),
            1 => Just(Membership::NoMember),
        ];
        prop_oneof![
            6 => any::<bool>().prop_map(|token_fits| Fact::Told(Input::Polled { token_fits })),
            2 => name().prop_map(|by| Fact::Told(Input::Approve { by, org: parsed("org") })),
            1 => name().prop_map(|by| Fact::Told(Input::Deny { by })),
            3 => (recent(), standing).prop_map(|(back, standing)| Fact::Checked { back, standing }),
        ]
        .boxed()
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        let polled = Fact::Told(Input::Polled { token_fits: true });
        let approved = Fact::Told(Input::Approve { by: parsed("ann"), org: parsed("org") });
        let refused = Fact::Checked { back: 0, standing: Membership::NoMember };
        proptest::sample::select(vec![polled, approved, refused]).boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        match fact {
            Fact::Told(input) => input.clone(),
            Fact::Checked { back, standing } => {
                let asked = latest(said, *back, |output| match output {
                    Output::CheckStanding { check, .. } => Some(*check),
                    _ => None,
                });
                Input::Checked { check: asked.unwrap_or(CheckId(7)), standing: standing.clone() }
            }
        }
    }
}
