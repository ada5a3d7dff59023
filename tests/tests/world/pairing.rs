//! Pairing, from the command to the connection.

use std::time::Duration;

use proto_core::{Reason, api::PairingMode, local::PairEvent};
use tests::world::World;

/// S1 to S6, S14, S19, S26, S38 to S40, S56 to S71: a code is shown, somebody approves, and the daemon is connected within
/// seconds, with everything on disk that pairing yields.
#[test]
fn pairing_ends_connected() {
    let mut world = World::with(&["acme"]);
    world.pair(PairingMode::New, None).unwrap();
    assert!(
        matches!(&world.laptop.pairing[..], [PairEvent::Code(code)] if code.code.len() == 8 && code.url.contains("/pair?code="))
    );
    world.pass(Duration::from_mins(5));
    assert_eq!(world.laptop.config().bindings, []);
    world.approve("acme");
    world.pass(Duration::from_secs(3));
    assert!(matches!(&world.laptop.pairing[..], [_, PairEvent::Paired { org, refreshed: false }] if org.slug == "acme"));
    assert!(world.is_connected("acme"));
    let config = world.laptop.config();
    let [record] = &config.bindings[..] else { panic!("{config:?}") };
    assert_eq!((record.workspace_id.clone(), record.name.as_str()), (world.org("acme"), "acme Inc."));
    assert_eq!(world.platform.targets.len(), 1);
    assert_eq!(world.laptop.seeds().len(), 1);
    assert_eq!(world.code(), None);
}

/// S8, S10, S12: nobody approves.
#[test]
fn a_code_that_nobody_approves_expires() {
    let mut world = World::with(&["acme"]);
    world.pair(PairingMode::New, None).unwrap();
    world.pass(Duration::from_mins(16));
    assert_eq!(world.laptop.pairing.last(), Some(&PairEvent::Failed { reason: Reason::CodeExpired }));
    assert!(world.laptop.disk.is_empty());
}
