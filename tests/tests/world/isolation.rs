//! Two orgs on one machine.

use std::{collections::BTreeSet, time::Duration};

use proto_core::{Instant, SessionId, crypto::Identity, jose::Unverified};

use crate::{World, bound};

/// Everything that is one org's own, as bytes.
fn values(world: &World, slug: &str) -> BTreeSet<Vec<u8>> {
    let org = world.org(slug);
    let config = world.laptop.config();
    let record = config.bindings.iter().find(|record| record.workspace_id == org).unwrap();
    let claims = Unverified::parse(&record.issue_token).unwrap().into_unproven();
    let seed = world.laptop.disk[&record.identity_file().unwrap()].clone();
    let seed =
        <proto_core::device::files::IdentityFile as proto_core::device::files::Document>::parse(seed.expose()).unwrap().seed;
    let identity = Identity::from_seed(seed.clone());
    let texts = [
        record.workspace_id.as_str(),
        record.install_id.as_str(),
        record.runtime_target_id.as_str(),
        record.machine_id.as_str(),
        record.issue_token.expose(),
        claims.id.as_str(),
    ];
    let mut values: BTreeSet<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    values.extend([seed.expose().to_vec(), identity.static_key().0.to_vec(), identity.identity_key().0.to_vec()]);
    values.extend([identity.static_keys().private().expose().to_vec(), record.relay.static_keys[0].0.to_vec()]);
    for pin in world.laptop.pins().into_iter().filter(|pin| pin.workspace_id == org) {
        let SessionId(id) = pin.session;
        values.extend([id.to_vec(), pin.secret.expose().to_vec(), pin.session.to_string().into_bytes()]);
    }
    values
}

/// A value as it is, in hexadecimal, and in base64url at each of its three offsets (ISO-1).
fn spellings(value: &[u8]) -> Vec<Vec<u8>> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut spellings = vec![value.to_vec(), value.iter().rev().copied().collect()];
    spellings.push(value.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect());
    for offset in 0..3 {
        let whole = &value[offset..offset + (value.len() - offset) / 3 * 3];
        let letters = whole.chunks(3).flat_map(|three| {
            let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
            [18, 12, 6, 0].map(|shift| LETTERS[usize::try_from(bits >> shift & 63).unwrap()])
        });
        spellings.push(letters.collect());
    }
    spellings
}

/// S73 to S77, S133, ISO-1, ISO-3: of what is one org's own, nothing is the other's, and nothing was ever sent to the other's
/// relay, in any spelling. Of what the platform was sent, no request names both.
#[test]
fn two_orgs_share_nothing() {
    let mut world = bound(&["acme", "oss"]);
    for slug in ["acme", "oss"] {
        let run = world.run(&format!("/work/{slug}"));
        world.show(run, "something");
        world.settle();
    }
    // Credentials are renewed and links come back, too.
    world.restart_relay("acme");
    world.pass(Duration::from_hours(3));
    let (acme, oss) = (values(&world, "acme"), values(&world, "oss"));
    assert!(acme.len() >= 14 && oss.len() >= 14);
    assert_eq!(acme.intersection(&oss).count(), 0);
    for (own, other) in [("acme", &oss), ("oss", &acme)] {
        let url = format!("wss://relay-{own}.example/ws");
        let sent: Vec<_> = world.sent.iter().filter(|sent| sent.to == url).collect();
        assert!(sent.len() > 10);
        for spelling in other.iter().flat_map(|value| spellings(value)) {
            let holds = |bytes: &[u8]| bytes.windows(spelling.len()).any(|window| window == spelling);
            assert!(!sent.iter().any(|sent| holds(&sent.bytes)), "{own} was sent something of the other's");
        }
    }
    let names = |bytes: &[u8], values: &BTreeSet<Vec<u8>>| {
        let spelled = values.iter().flat_map(|value| spellings(value));
        spelled.into_iter().any(|spelling| bytes.windows(spelling.len()).any(|window| window == spelling))
    };
    let requests = world.sent.iter().filter(|sent| sent.to == verification::world::API);
    assert!(!requests.into_iter().any(|sent| names(&sent.bytes, &acme) && names(&sent.bytes, &oss)));
}

/// S75, D18: the second organization does not learn the name of the machine that the first one knows.
#[test]
fn two_orgs_know_the_machine_by_two_names() {
    let world = bound(&["acme", "oss"]);
    let name = |slug: &str| {
        let org = world.org(slug);
        let mut own = world.platform.targets.values().filter(|target| target.record.holder.org == org);
        own.next().map(|target| target.name.clone()).unwrap()
    };
    assert_eq!(name("acme"), world.laptop.name);
    assert!(name("oss").starts_with("machine-"), "{}", name("oss"));
}

/// The canaries of the test above would be found: each org's own values are found in what its own relay was sent.
#[test]
fn the_search_finds_what_is_there() {
    let mut world = bound(&["acme"]);
    let run = world.run("/work/acme");
    world.show(run, "something");
    world.settle();
    let org = world.org("acme");
    let token = world.laptop.config().bindings[0].issue_token.clone();
    let sent: Vec<_> = world.sent.iter().filter(|sent| sent.to.starts_with("wss")).collect();
    let finds = |value: &[u8]| {
        spellings(value).iter().any(|s| sent.iter().any(|sent| sent.bytes.windows(s.len()).any(|window| window == s)))
    };
    assert!(finds(token.expose().as_bytes()) && finds(org.as_str().as_bytes()));
    assert!(finds(&world.laptop.runs[run].id().unwrap().0));
}

/// ISO-2, ISO-5: what happens to one org, up to its end, changes nothing of what the other's relay is sent, nor when; also not
/// after a restart of the daemon.
#[test]
fn one_org_does_not_affect_the_other() {
    for (own, other) in [("acme", "oss"), ("oss", "acme")] {
        assert_eq!(traffic(own, other, false), traffic(own, other, true), "{own} is affected by {other}");
    }
}

/// When and how much the relay of `own` is sent, while `other` is disturbed or not.
fn traffic(own: &str, other: &str, disturb: bool) -> Vec<(Instant, usize)> {
    let half_an_hour = Duration::from_mins(30);
    let mut world = bound(&["acme", "oss"]);
    let run = world.run(&format!("/work/{own}"));
    let since = world.sent.len();
    if disturb {
        world.relay(other).is_up = false;
        world.restart_relay(other);
    }
    world.pass(half_an_hour);
    world.show(run, "something");
    if disturb {
        world.unpair(Some(other)).unwrap();
    }
    world.pass(half_an_hour);
    world.kill();
    world.boot();
    world.restart_relay(own);
    world.pass(half_an_hour);
    let to_own = world.sent[since..].iter().filter(|sent| sent.to.contains(&format!("relay-{own}")));
    to_own.map(|sent| (sent.at, sent.bytes.len())).collect()
}
