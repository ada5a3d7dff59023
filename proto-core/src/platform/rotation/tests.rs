//! The rules of [`super`], each with what lies next to it.

use super::*;
use crate::{
    crypto::Identity,
    jose::{Thumbprint, prove},
    machine::entropy::Entropy,
    secret::Secret,
};

const NOW: UnixTime = UnixTime(1_770_000_000);

fn id(text: &str) -> PlatformId {
    text.parse().unwrap()
}

fn org(text: &str) -> OrgId {
    text.parse().unwrap()
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(Secret::new([seed; 32]))
}

fn keys(seed: u8) -> Confirmation {
    let identity = identity(seed);
    Confirmation { static_key: identity.static_key(), identity: Thumbprint::of_identity_key(identity.identity_key()) }
}

fn holder() -> Holder {
    Holder {
        org: org("acme"),
        install: id("in"),
        runtime_target: id("rt"),
        machine: id("ma"),
        role: DeviceKind::Daemon,
        confirmation: keys(1),
    }
}

fn record(latest: u64) -> Record {
    Record { holder: holder(), latest, is_revoked: false }
}

fn terms() -> Terms {
    Terms { issuer: "https://api.example".into(), opens_for: 3_600, renewable_for: 86_400 }
}

fn claims(generation: u64) -> Claims {
    terms().credential(&holder(), generation, id("jti"), NOW)
}

const fn found(record: &Record) -> Found<'_> {
    Found { org_lives: true, record: Some(record) }
}

/// ROT-2, ROT-6: of all generations around the latest, those behind the one before it are superseded; all others yield the next.
#[test]
fn each_generation_yields_its_successor_until_it_is_superseded() {
    for latest in 1..8 {
        for generation in 1..10 {
            let record = record(latest);
            let expected =
                if generation + 1 >= latest { Ok(generation + 1) } else { Err(Refusal::Because(Reason::TokenSuperseded)) };
            assert_eq!(renew(&claims(generation), generation, found(&record)), expected, "{generation} of {latest}");
            let opens = validate(&claims(generation), keys(1).static_key, found(&record));
            assert_eq!(opens.is_ok(), expected.is_ok(), "{generation} of {latest}");
        }
    }
    assert_eq!(renew(&claims(u64::MAX), u64::MAX, found(&record(u64::MAX))), Ok(u64::MAX));
}

#[test]
fn a_renewal_names_the_generation_of_its_credential() {
    for asked in [2, 4] {
        assert_eq!(renew(&claims(3), asked, found(&record(3))), Err(Refusal::OtherGeneration));
    }
}

/// S124, S196, ADM-2: a deleted organization comes before a revoked device, which comes before other keys.
#[test]
fn what_is_wrong_with_a_device_is_said_in_order() {
    let good = record(1);
    let revoked = Record { is_revoked: true, ..record(1) };
    let elsewhere = Record { holder: Holder { org: org("beta"), ..holder() }, ..record(1) };
    let other_keys = Record { holder: Holder { confirmation: keys(2), ..holder() }, ..record(1) };
    let both = Record { is_revoked: true, ..other_keys.clone() };
    for (org_lives, record, reason) in [
        (false, Some(&good), Reason::WorkspaceNotFound),
        (false, None, Reason::WorkspaceNotFound),
        (true, None, Reason::MachineRevoked),
        (true, Some(&revoked), Reason::MachineRevoked),
        (true, Some(&elsewhere), Reason::MachineRevoked),
        (true, Some(&both), Reason::MachineRevoked),
        (true, Some(&other_keys), Reason::TokenKeyMismatch),
    ] {
        let found = Found { org_lives, record };
        assert_eq!(validate(&claims(1), keys(1).static_key, found), Err(reason), "{record:?}");
        assert_eq!(renew(&claims(1), 1, found), Err(Refusal::Because(reason)), "{record:?}");
    }
    assert_eq!(validate(&claims(1), keys(2).static_key, Found { org_lives: false, record: None }), Err(Reason::TokenKeyMismatch));
}

#[test]
fn refusals_have_the_statuses_of_the_wire() {
    assert_eq!(Refusal::OtherGeneration.status(), 400);
    for (reason, status) in [
        (Reason::TokenKeyMismatch, 401),
        (Reason::TokenExpired, 401),
        (Reason::SignatureMismatch, 401),
        (Reason::MachineRevoked, 403),
        (Reason::WorkspaceNotFound, 403),
        (Reason::TokenSuperseded, 409),
    ] {
        assert_eq!(Refusal::Because(reason).status(), status, "{reason:?}");
    }
}

/// S34 to S39, PAIR-7, D8: every claim stands where it belongs, and both ends of a credential's life count from its making.
#[test]
fn a_credential_says_whose_it_is_and_how_long_it_is_good() {
    let claims = claims(7);
    assert_eq!((claims.issuer.as_str(), claims.audience.as_str()), ("https://api.example", RELAY_AUDIENCE));
    let ids = [&claims.install, &claims.runtime_target, &claims.machine, &claims.id].map(PlatformId::as_str);
    assert_eq!((claims.org.as_str(), ids), ("acme", ["in", "rt", "ma", "jti"]));
    assert_eq!((claims.role, claims.generation, claims.confirmation), (DeviceKind::Daemon, 7, keys(1)));
    assert_eq!((claims.issued_at, claims.not_before), (NOW, NOW));
    assert_eq!((claims.expires_at, claims.renewable_until), (NOW.plus(3_600), NOW.plus(86_400)));
}

/// RFC 9449: the proof is for one of the platform's URLs, that credential, and by its holder.
#[test]
fn possession_is_proved_for_one_of_the_urls() {
    let (token, claims) = (SecretText::new("token"), claims(1));
    let by = |seed: u8, url, token| {
        let target = ProofTarget { method: "POST", url, token };
        prove(&identity(seed), target, NOW, &Entropy::new([seed; 32]))
    };
    let urls = ["https://a.example/r", "http://localhost/r"];
    for url in urls {
        assert_eq!(prove_possession(&by(1, url, &token), &token, &claims, "POST", urls, NOW), Ok(()), "{url}");
    }
    let mismatch = Err(Reason::TokenKeyMismatch);
    assert_eq!(prove_possession(&by(1, "https://b.example/r", &token), &token, &claims, "POST", urls, NOW), mismatch);
    assert_eq!(prove_possession(&by(2, urls[0], &token), &token, &claims, "POST", urls, NOW), mismatch);
    let other = SecretText::new("other");
    assert_eq!(prove_possession(&by(1, urls[0], &other), &token, &claims, "POST", urls, NOW), mismatch);
    assert_eq!(prove_possession(&by(1, urls[0], &token), &token, &claims, "POST", [], NOW), mismatch);
    assert_eq!(
        prove_possession(&by(1, urls[0], &token), &token, &claims, "POST", urls, NOW.plus(1_000)),
        Err(Reason::TokenNotYetValid)
    );
}
