//! [`rotation`] beside the set of all generations that were given out.

use proptest::{collection::vec, prelude::*};
use proto_core::{
    UnixTime,
    id::DeviceKind,
    jose::{Confirmation, Thumbprint},
    key::StaticKey,
    platform::rotation::{self, Found, Holder, Record, Terms},
};
use verification::models::{config, renewal::Device};

const KEY: StaticKey = StaticKey([1; 32]);

fn record() -> Record {
    let id = |text: &str| text.parse().unwrap();
    let holder = Holder {
        org: "acme".parse().unwrap(),
        install: id("in"),
        runtime_target: id("rt"),
        machine: id("ma"),
        role: DeviceKind::Daemon,
        confirmation: Confirmation { static_key: KEY, identity: Thumbprint([2; 32]) },
    };
    Record { holder, latest: 1, is_revoked: false }
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    /// A credential of a generation that was given out, counted from the newest, is renewed; its answer may be lost.
    Renew {
        back: usize,
    },
    Revoke,
    PairAgain,
    DeleteOrg,
}

proptest! {
    #![proptest_config(config(512))]

    /// ROT-2, S124, S196: whatever is renewed, copied, replayed and lost, a credential counts exactly while the model says so, and
    /// its renewal yields the generation after it.
    #[test]
    fn a_platform_renews_like_its_model(deeds in vec(
        prop_oneof![
            20 => (0_usize..5).prop_map(|back| Deed::Renew { back }),
            1 => Just(Deed::Revoke),
            1 => Just(Deed::PairAgain),
            1 => Just(Deed::DeleteOrg),
        ],
        0..40,
    )) {
        let terms = Terms { issuer: "https://api.example".into(), opens_for: 60, renewable_for: 600 };
        let (mut record, mut model) = (record(), Device::default());
        for deed in deeds {
            match deed {
                Deed::Renew { back } => {
                    let generation = model.given.iter().rev().nth(back).copied().unwrap_or(1);
                    let claims = terms.credential(&record.holder, generation, "jti".parse().unwrap(), UnixTime(1_000));
                    let found = Found { org_lives: model.org_lives, record: Some(&record) };
                    let opens = rotation::validate(&claims, KEY, found).is_ok();
                    prop_assert_eq!(opens, model.counts(generation), "{} of {:?}", generation, &model);
                    let said = rotation::renew(&claims, generation, found).ok();
                    prop_assert_eq!(said, model.renew(generation), "{} of {:?}", generation, &model);
                    record.latest = said.unwrap_or(record.latest);
                }
                Deed::Revoke => (record.is_revoked, model.is_revoked) = (true, true),
                Deed::PairAgain => (record.is_revoked, record.latest, model) = (false, 1, Device { org_lives: model.org_lives, ..Device::default() }),
                Deed::DeleteOrg => model.org_lives = false,
            }
            prop_assert!(model.given.iter().all(|given| *given <= record.latest), "a given generation is beyond the latest");
        }
    }
}
