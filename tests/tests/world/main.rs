//! Everything together, in memory: the real machines of the daemon, the relay and the viewers, on virtual time.

mod bindings;
mod clocks;
mod credentials;
mod directories;
mod forgeries;
mod isolation;
mod limits;
mod organization_key;
mod pairing;
mod races;
mod streaming;
mod viewers;
mod visitors;
mod watching;

use verification::world::World;

/// A world with a machine that is paired with `names`, and a directory `/work/{name}` bound to each.
fn bound(names: &[&str]) -> World {
    let mut world = World::with(names);
    for (number, name) in names.iter().enumerate() {
        let mode = if number == 0 { proto_core::api::PairingMode::New } else { proto_core::api::PairingMode::Add };
        world.pair_with(name, mode);
        world.bind(&format!("/work/{name}"), name).unwrap();
    }
    world
}

/// What the records of a run say, as the store of its relay has them, opened with the key that the daemon keeps.
fn stored(world: &World, run: usize) -> Vec<proto_core::wire::Content> {
    use proto_core::crypto::{
        Cipher, PureRust,
        seal::{EpochSecret, Opener, Scope},
    };
    let run = &world.laptop.runs[run];
    let session = run.id().expect("it streams");
    let pins = world.laptop.pins();
    let pin = pins.into_iter().find(|pin| pin.session == session).expect("it is pinned");
    let scope = Scope { org: pin.workspace_id.clone(), session, cipher: Cipher::from_byte(pin.cipher).unwrap() };
    let mut opener = Opener::new(&PureRust, scope, 0, EpochSecret::new(pin.secret));
    let stored = world.relays.values().find_map(|relay| relay.session(session)).expect("the relay has it");
    assert_eq!(stored.org, pin.workspace_id);
    let records = (0..).zip(&stored.records).map(|(sequence, sealed)| {
        let mut plain = Vec::new();
        opener.open(sealed.epoch, sequence, &sealed.body, &mut plain).expect("it opens in its place");
        proto_core::wire::Record::decode(&plain.into()).unwrap().content
    });
    records.collect()
}
