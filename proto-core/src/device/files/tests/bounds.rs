//! L8: state files hold so much and no more; what a file says beyond that is damage.

use alloc::{format, string::String};

use super::{super::*, CONFIG, parsed};
use crate::UnixTime;

#[test]
fn config_holds_so_many_bindings_and_no_more() {
    let mut config = parsed(CONFIG).unwrap();
    let one = config.bindings[0].clone();
    let named = |n: usize| {
        let org = format!("O{n}");
        let identity = format!("relay-identities/{org}.json");
        BindingRecord { workspace_id: org.parse().unwrap(), identity, ..one.clone() }
    };
    config.bindings = (0..MAX_BINDINGS).map(named).collect();
    assert_eq!(config.check(), Ok(()));
    config.bindings.push(named(MAX_BINDINGS));
    assert_eq!(config.check(), Err(Reason::ConfigInvalid));
}

#[test]
fn the_ledger_holds_so_many_grants_and_no_more() {
    let grant = Grant { org_id: "A".parse().unwrap(), recursive: false, bound_at: String::new(), unknown: Unknown::new() };
    let directories = (0..MAX_GRANTS).map(|n| (format!("/{n}"), grant.clone())).collect();
    let mut grants = Grants { directories, ..Grants::default() };
    assert_eq!(grants.check(), Ok(()));
    grants.directories.insert("/one more".into(), grant);
    assert_eq!(grants.check(), Err(Reason::StateInvalid));
}

/// S107: a file that holds more declines than it should, by whatever way, is back within the bound with the next one.
#[test]
fn declines_beyond_the_limit_go_with_the_next_one() {
    let decline = |n| Decline { org_id: "A".parse().unwrap(), at: UnixTime(n), unknown: Unknown::new() };
    let directories = (0..declines::MAX_DECLINES as u64 + 5).map(|n| (format!("/{n}"), decline(n))).collect();
    let mut declines = Declines { directories, ..Declines::default() };
    declines.remember("/latest".into(), "A".parse().unwrap(), UnixTime(u64::MAX));
    assert_eq!(declines.directories.len(), declines::MAX_DECLINES);
    let kept = |path| declines.directories.contains_key(path);
    assert_eq!((kept("/5"), kept("/6"), kept("/latest")), (false, true, true));
}

/// The code of a pending pairing becomes part of a URL: another text is no code, and neither is one in another spelling.
#[test]
fn a_pending_pairing_holds_a_code_as_it_is_sent() {
    let pending = |code: &str| {
        let file = serde_json::json!({
            "version": 1, "apiEndpoint": "https://api.example", "kind": "daemon", "mode": "new",
            "seed": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "code": code, "statusToken": "s", "url": "u",
            "interval": 5, "expiresAt": 9,
        });
        PendingPairing::parse(&serde_json::to_vec(&file).unwrap()).map(|pending| pending.code)
    };
    assert_eq!(pending("BCDF2345"), Ok("BCDF2345".into()));
    for wrong in ["", "../admin", "BCDF234", "bcdf2345", "BCDF-2345"] {
        assert_eq!(pending(wrong), Err(Reason::StateInvalid), "{wrong}");
    }
}
