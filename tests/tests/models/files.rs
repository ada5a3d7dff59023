//! State files beside `verification::models::files`.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use proto_core::{
    device::files::{Config, Declines, Document, Grants, IdentityFile, PendingPairing, SessionFile},
    effect::StateFile,
    id::MAX_ID_LEN,
};
use serde_json::{Value, json};
use verification::models::{
    config,
    files::{folded, is_inside, keeps, object_at},
    given::{self, identity},
};

fn a_config() -> Value {
    let approval = given::approval(&identity(1), "A", "r");
    json!({
        "version": 1,
        "daemon": { "api": { "endpoint": "https://api.example" }, "relay": { "endpoint": "wss://relay.example/ws" } },
        "machine": "laptop",
        "bindings": [{
            "workspaceId": "A", "slug": "a", "name": "A Inc.", "installId": "i", "runtimeTargetId": "r", "machineId": "m",
            "issueToken": approval.issue_token.expose(), "generation": 1, "identity": "relay-identities/A.json",
            "relay": { "url": "wss://relay.example/ws", "staticKeys": [approval.relay.static_keys[0].to_base64url()] },
            "policyMode": "standard", "state": "active", "api": { "endpoint": "https://other.example" }
        }]
    })
}

/// Values that other versions may have written.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no other", |number| number.is_finite()).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(".{0,4}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

const PLACES: [&[&str]; 7] = [
    &[],
    &["daemon"],
    &["daemon", "api"],
    &["daemon", "relay"],
    &["bindings", "0"],
    &["bindings", "0", "relay"],
    &["bindings", "0", "api"],
];

proptest! {
    #![proptest_config(config(512))]

    /// BIND-8: whatever other versions have put anywhere into `config.json` is still there after it was read and written.
    #[test]
    fn config_keeps_what_it_does_not_know(unknown in vec((proptest::sample::select(&PLACES), "x[a-z~é]{0,6}", values()), 0..6)) {
        let mut document = a_config();
        for (place, name, value) in unknown {
            object_at(&mut document, place).unwrap().insert(name, value);
        }
        let parsed = Config::parse(&serde_json::to_vec(&document).unwrap()).unwrap();
        let written = parsed.write().unwrap();
        let again: Value = serde_json::from_slice(written.expose()).unwrap();
        prop_assert!(keeps(&document, &again), "{document} became {again}");
        prop_assert_eq!(Config::parse(written.expose()).unwrap(), parsed);
    }

    /// BIND-8: any bytes as any state file are an error or a valid state, which is written and read as the same.
    #[test]
    fn any_bytes_are_an_error_or_a_state(bytes in mutated()) {
        fn check<D: Document + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
            if let Ok(document) = D::parse(bytes) {
                assert_eq!(D::parse(document.write().unwrap().expose()), Ok(document));
            }
        }
        check::<Config>(&bytes);
        check::<Grants>(&bytes);
        check::<Declines>(&bytes);
        check::<PendingPairing>(&bytes);
        check::<SessionFile>(&bytes);
        check::<IdentityFile>(&bytes);
    }
}

/// Documents with a few bytes changed, cut off or doubled.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let documents = proptest::sample::select(vec![
        a_config().to_string(),
        r#"{"version":1,"directories":{"/a":{"org_id":"A","bound_at":"t"}}}"#.into(),
        r#"{"directories":{"/a":{"organization_id":"A","at":1}}}"#.into(),
        "[]".into(),
        String::new(),
    ]);
    (documents, vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 0..4)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (place, byte, how) in changes {
            let place = place.index(bytes.len() + 1);
            match how {
                0 => bytes.truncate(place),
                1 => bytes.insert(place, byte),
                2 => bytes.extend_from_within(place..),
                _ => bytes.iter_mut().skip(place).take(1).for_each(|old| *old = byte),
            }
        }
        bytes
    })
}

/// Ids that a file system could take for something else.
fn nasty() -> Vec<String> {
    let mut ids: Vec<String> = [
        "a",
        "A",
        "aa",
        "aA",
        "Aa",
        "AA",
        ".",
        "..",
        "...",
        "-",
        "--",
        "a.",
        "A.",
        ".a",
        "a-",
        "CON",
        "con",
        "Con",
        "NUL",
        "nul",
        "aux",
        "COM1",
        "com1",
        "LPT1",
        "a:b",
        "A:B",
        "a:DATA",
        "C:",
        "c:",
        "a.json",
        "A.JSON",
        "a.json.",
        "json",
        "_",
        "__",
        "a_",
        "A_",
        "0",
        "00",
        "1",
        "A1",
        "a1",
        "k",
        "K",
        "s",
        "S",
        "i",
        "I",
        "ss",
        "SS",
        "ff",
        "FF",
        "fi",
        "FI",
        "01J7M8N9P0Q1R2S3T4U5V6W7X8",
        "01j7m8n9p0q1r2s3t4u5v6w7x8",
        "..-..",
        "a..b",
        "A..B",
    ]
    .map(String::from)
    .to_vec();
    // All of two characters, and some as long as they may be.
    let alphabet = ['a', 'b', 'A', 'B', '0', '.', '-', '_', ':'];
    ids.extend(alphabet.iter().flat_map(|one| alphabet.map(|other| format!("{one}{other}"))));
    for (one, other) in [("a", "A"), ("A", "a"), ("aB", "Ab")] {
        ids.extend([one.repeat(MAX_ID_LEN / one.len()), format!("{}{other}", one.repeat(MAX_ID_LEN / one.len() - 1))]);
    }
    ids.sort();
    ids.dedup();
    ids
}

/// ISO-8, enumerated: no two identities share a file, also where case does not count, and none leaves its folder.
#[test]
fn no_two_identities_share_a_file() {
    let mut taken = BTreeMap::new();
    for id in nasty() {
        for number in [0, 1, 2, 10, u32::MAX] {
            let file = StateFile::Identity(given::id(&id), number);
            let path = file.path();
            assert!(is_inside(&path, "relay-identities"), "ISO-8: {id:?} leads to {path}");
            assert!(path.len() <= 255 + "relay-identities/".len() && path.is_ascii(), "ISO-8: {path}");
            assert_eq!(StateFile::identity_at(&path), Some(file), "ISO-8: {path}");
            let other = taken.insert(folded(&path), (id.clone(), number));
            assert_eq!(other, None, "ISO-8: {id:?} and its like share {path}");
        }
    }
}

/// ISO-8: ids of other alphabets, which a file system might normalise into each other, are none (D4).
#[test]
fn ids_that_could_be_folded_are_none() {
    for id in [
        "\u{e9}", "e\u{301}", "\u{17f}", "\u{212a}", "\u{fb01}", "\u{130}", "\u{131}", "\u{df}", "a/b", "a\\b", "a\0", "a b", "",
        "~", "+", "%41",
    ] {
        assert!(id.parse::<proto_core::OrgId>().is_err(), "D4: {id:?}");
    }
}
